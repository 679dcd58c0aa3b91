#include "kernels/networks/decoder/lora.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/networks/decoder/decoder_state.h"
#include "kernels/networks/decoder/lora_state.h"
#include "kernels/quant/dequantize.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

constexpr std::string_view kEndings[][2] = {
    {".weight.lora_a", ".weight.lora_b"},
    {".lora_A.weight", ".lora_B.weight"},
    {".lora_A.default.weight", ".lora_B.default.weight"},
};

// The two halves of one adapted layer.
struct FoundPair {
  const WeightTensor* a = nullptr;
  const WeightTensor* b = nullptr;
};

class AdapterReader {
 public:
  AdapterReader(const Decoder::State& model, const WeightFile& file, LoraAdapter::State& out)
      : model_(model), file_(file), out_(out), layout_(model.architecture->layout(file.container())) {}

  Status read(Executor executor) {
    if (Status status = read_alpha(); !status.ok()) return status;
    found_.resize(model_.linears.size());
    for (const WeightTensor& tensor : file_.tensors())
      if (Status status = assign(tensor); !status.ok()) return status;
    out_.pairs.resize(model_.linears.size());
    for (const LinearName& name : model_.linears)
      if (Status status = pack(name, executor); !status.ok()) return status;
    if (out_.rank == 0)
      return Status(StatusCode::kInvalidArgument, "the adapter holds no low-rank pair")
          .at(file_.path().string());
    return Status();
  }

 private:
  bool gguf() const { return file_.container() == WeightContainer::kGguf; }

  Status read_alpha() {
    const Metadata& metadata = file_.metadata();
    if (gguf()) {
      Result<std::string_view> architecture = metadata.string("general.architecture");
      if (!architecture.ok()) return architecture.status();
      if (*architecture != model_.config.architecture && !same_architecture(*architecture))
        return Status(StatusCode::kInvalidArgument, "the adapter was made for another architecture")
            .at(file_.path().string())
            .expected(model_.config.architecture)
            .got(std::string(*architecture));
    } else {
      Result<bool> dora = metadata.boolean_or("use_dora", false);
      if (!dora.ok()) return dora.status();
      if (*dora)
        return Status(StatusCode::kUnsupported, "DoRA adapters are not read")
            .at(file_.path().string())
            .hint("merge the adapter into the model");
      Result<bool> root = metadata.boolean_or("use_rslora", false);
      if (!root.ok()) return root.status();
      divides_by_root_ = *root;
    }
    Result<double> alpha = metadata.number(gguf() ? "adapter.lora.alpha" : "lora_alpha");
    if (!alpha.ok()) return alpha.status();
    alpha_ = *alpha;
    return Status();
  }

  bool same_architecture(std::string_view name) const {
    for (std::string_view candidate : model_.architecture->names)
      if (candidate == name) return true;
    return false;
  }

  Status assign(const WeightTensor& tensor) {
    for (const auto& [a_ending, b_ending] : kEndings) {
      const bool is_a = tensor.name.ends_with(a_ending);
      if (!is_a && !tensor.name.ends_with(b_ending)) continue;
      const std::string_view layer =
          std::string_view(tensor.name).substr(0, tensor.name.size() - (is_a ? a_ending : b_ending).size());
      const LinearName* linear = find_linear(layer);
      if (!linear) break;
      FoundPair& pair = found_[static_cast<size_t>(linear->linear->index)];
      (is_a ? pair.a : pair.b) = &tensor;
      return Status();
    }
    return Status(StatusCode::kUnsupported,
                  "the adapter changes what is no linear layer of this model's blocks")
        .at(file_.where(tensor))
        .expected("low-rank pairs of attention and MLP layers");
  }

  const LinearName* find_linear(std::string_view name) const {
    for (const LinearName& linear : model_.linears) {
      for (const PartName& part : layout_.names) {
        if (part.part != linear.part) continue;
        const std::string wanted = tensor_name("", part.name, linear.layer);
        // PEFT puts the path of the wrapped model in front.
        if (name == wanted || (!gguf() && name.ends_with("." + wanted))) return &linear;
      }
    }
    return nullptr;
  }

  Status pack(const LinearName& name, Executor executor) {
    const Linear& linear = *name.linear;
    const FoundPair& found = found_[static_cast<size_t>(linear.index)];
    if (!found.a && !found.b) return Status();
    if (!found.a || !found.b)
      return Status(StatusCode::kNotFound, "one half of a low-rank pair is missing")
          .at(file_.where(*(found.a ? found.a : found.b)));
    const int64_t rank = found.a->rank == 2 ? found.a->extents[0] : 0;
    LowRankPair& pair = out_.pairs[static_cast<size_t>(linear.index)];
    if (Status s = pack_half(*found.a, rank, linear.w.k, nullptr, &pair.a, executor); !s.ok()) return s;
    if (Status s = pack_half(*found.b, linear.w.n, rank, &name, &pair.b, executor); !s.ok()) return s;
    pair.scale = static_cast<float>(
        alpha_ / (divides_by_root_ ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank)));
    out_.rank = std::max(out_.rank, rank);
    return Status();
  }

  // rows_of: the layer whose outputs the rows are, in the file's order; null for A.
  Status pack_half(const WeightTensor& tensor, int64_t n, int64_t k, const LinearName* rows_of,
                   PackedMatrix* out, Executor executor) {
    if (tensor.rank != 2 || tensor.extents[0] != n || tensor.extents[1] != k || n < 1 || k < 1)
      return Status(StatusCode::kInvalidShape, "a half of a low-rank pair does not fit the layer")
          .at(file_.where(tensor))
          .expected("[" + std::to_string(n) + ", " + std::to_string(k) + "]");
    const WeightFormat format = tensor.format;
    if (format != WeightFormat::kF32 && format != WeightFormat::kF16 && format != WeightFormat::kBF16)
      return Status(StatusCode::kUnsupported, "adapters are read in F32, F16 or BF16")
          .at(file_.where(tensor))
          .got(block_layout(format).name);
    const int64_t row_bytes = weights_bytes(format, k);
    std::vector<std::byte> rows(static_cast<size_t>(n * row_bytes));
    for (int64_t row = 0; row < n; ++row)
      std::memcpy(rows.data() + row * row_bytes,
                  tensor.data + (rows_of ? file_row(rows_of->part, row) : row) * row_bytes,
                  static_cast<size_t>(row_bytes));
    Result<int64_t> bytes = packed_size_bytes(format, n, k);
    if (!bytes.ok()) return bytes.status().at(file_.where(tensor));
    Result<const std::byte*> packed = out_.memory.get(tensor.name, *bytes, [&](std::byte* to) {
      return pack_matrix(format, n, k, rows.data(), to, executor);
    });
    if (!packed.ok()) return packed.status();
    *out = {format, n, k, *packed};
    out_.size_bytes += *bytes;
    return Status();
  }

  // The file's row that belongs at row `row` of the packed weights.
  int64_t file_row(Part part, int64_t row) const {
    const DecoderConfig& c = model_.config;
    if (part == Part::kQkv && layout_.qkv == QkvOrder::kGrouped) return grouped_qkv_row(c, row);
    const bool rotated = part == Part::kQuery || part == Part::kKey;
    if (!rotated || layout_.rope == c.rope.layout) return row;
    const int64_t head = row - row % c.head_dim, within = row % c.head_dim, half = c.head_dim / 2;
    if (c.rope.layout == RopeLayout::kInterleaved) return head + within / 2 + within % 2 * half;
    return head + (within < half ? 2 * within : 2 * (within - half) + 1);
  }

  const Decoder::State& model_;
  const WeightFile& file_;
  LoraAdapter::State& out_;
  FileLayout layout_;
  double alpha_ = 0;
  bool divides_by_root_ = false;
  std::vector<FoundPair> found_;  // by Linear::index
};

}  // namespace

LoraAdapter::LoraAdapter(std::unique_ptr<State> state) : state_(std::move(state)) {}
LoraAdapter::LoraAdapter(LoraAdapter&&) noexcept = default;
LoraAdapter& LoraAdapter::operator=(LoraAdapter&&) noexcept = default;
LoraAdapter::~LoraAdapter() = default;

Result<LoraAdapter> LoraAdapter::load(const Decoder& decoder, const WeightFile& file, Executor executor) {
  auto state = std::make_unique<State>();
  if (Status read = AdapterReader(decoder.state(), file, *state).read(executor); !read.ok()) return read;
  return LoraAdapter(std::move(state));
}

int64_t LoraAdapter::rank() const { return state_->rank; }
int64_t LoraAdapter::size_bytes() const { return state_->size_bytes; }

}  // namespace weft
