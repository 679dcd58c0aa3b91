#include "kernels/networks/decoder/lora_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "kernels/quant/dequantize.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

constexpr std::string_view kEndings[][2] = {
    {".weight.lora_a", ".weight.lora_b"},
    {".lora_A.weight", ".lora_B.weight"},
    {".lora_A.default.weight", ".lora_B.default.weight"},
};

class AdapterReader {
 public:
  AdapterReader(const Decoder::State& model, const WeightFile& file)
      : model_(model), file_(file), layout_(model.architecture->layout(file.container())) {}

  Result<std::vector<LoraFilePair>> read() {
    if (Status status = read_alpha(); !status.ok()) return status;
    found_.resize(model_.linears.size());
    for (const WeightTensor& tensor : file_.tensors())
      if (Status status = assign(tensor); !status.ok()) return status;
    std::vector<LoraFilePair> pairs;
    for (const LinearName& name : model_.linears) {
      LoraFilePair& pair = found_[static_cast<size_t>(name.linear->index)];
      if (!pair.a && !pair.b) continue;
      if (Status status = check(name, pair); !status.ok()) return status;
      pairs.push_back(pair);
    }
    if (pairs.empty())
      return Status(StatusCode::kInvalidArgument, "the adapter holds no low-rank pair")
          .at(file_.path().string());
    return pairs;
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
      LoraFilePair& pair = found_[static_cast<size_t>(linear->linear->index)];
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

  Status check(const LinearName& name, LoraFilePair& pair) const {
    if (!pair.a || !pair.b)
      return Status(StatusCode::kNotFound, "one half of a low-rank pair is missing")
          .at(file_.where(*(pair.a ? pair.a : pair.b)));
    const Linear& linear = *name.linear;
    const int64_t rank = pair.a->rank == 2 ? pair.a->extents[0] : 0;
    if (Status status = check_half(*pair.a, rank, linear.w.k); !status.ok()) return status;
    if (Status status = check_half(*pair.b, linear.w.n, rank); !status.ok()) return status;
    pair.linear = &linear;
    pair.part = name.part;
    pair.rank = rank;
    pair.scale = static_cast<float>(
        alpha_ / (divides_by_root_ ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank)));
    return {};
  }

  Status check_half(const WeightTensor& tensor, int64_t n, int64_t k) const {
    if (tensor.rank != 2 || tensor.extents[0] != n || tensor.extents[1] != k || n < 1 || k < 1)
      return Status(StatusCode::kInvalidShape, "a half of a low-rank pair does not fit the layer")
          .at(file_.where(tensor))
          .expected("[" + std::to_string(n) + ", " + std::to_string(k) + "]");
    const WeightFormat format = tensor.format;
    if (format != WeightFormat::kF32 && format != WeightFormat::kF16 && format != WeightFormat::kBF16)
      return Status(StatusCode::kUnsupported, "adapters are read in F32, F16 or BF16")
          .at(file_.where(tensor))
          .got(block_layout(format).name);
    return {};
  }

  const Decoder::State& model_;
  const WeightFile& file_;
  FileLayout layout_;
  double alpha_ = 0;
  bool divides_by_root_ = false;
  std::vector<LoraFilePair> found_;  // by Linear::index
};

/// The file's row that belongs at row `row` of the layer.
int64_t file_row(const Decoder::State& model, const FileLayout& layout, Part part, int64_t row) {
  const DecoderConfig& c = model.config;
  if (part == Part::kQkv && layout.qkv == QkvOrder::kGrouped) return grouped_qkv_row(c, row);
  const bool rotated = part == Part::kQuery || part == Part::kKey;
  if (!rotated || layout.rope == c.rope.layout) return row;
  const int64_t head = row - row % c.head_dim, within = row % c.head_dim, half = c.head_dim / 2;
  if (c.rope.layout == RopeLayout::kInterleaved) return head + within / 2 + within % 2 * half;
  return head + (within < half ? 2 * within : 2 * (within - half) + 1);
}

}  // namespace

Result<std::vector<LoraFilePair>> read_lora(const Decoder::State& model, const WeightFile& file) {
  return AdapterReader(model, file).read();
}

std::vector<std::byte> b_rows(const Decoder::State& model, const WeightFile& file, const LoraFilePair& pair) {
  const FileLayout layout = model.architecture->layout(file.container());
  const int64_t n = pair.linear->w.n, row_bytes = weights_bytes(pair.b->format, pair.rank);
  std::vector<std::byte> rows(static_cast<size_t>(n * row_bytes));
  for (int64_t row = 0; row < n; ++row)
    std::memcpy(rows.data() + row * row_bytes,
                pair.b->data + file_row(model, layout, pair.part, row) * row_bytes,
                static_cast<size_t>(row_bytes));
  return rows;
}

}  // namespace weft
