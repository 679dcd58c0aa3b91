#include "kernels/networks/decoder/decoder.h"

#include <algorithm>

#include "kernels/networks/decoder/decoder_state.h"
#include "kernels/quant/dequantize.h"

namespace weft {
namespace {

// Part of the packed weights' key: changes with the order or content of the packed bytes.
constexpr int kDecoderLayoutVersion = 1;

// Models of config.json whose decoder is but a part of them.
constexpr std::string_view kWithTower[] = {"llava", "gemma3"};

// What precedes the names of the body's tensors in safetensors files; a file is known by its embedding.
constexpr std::string_view kHuggingFacePrefixes[] = {"model.", "transformer.", "", "model.language_model.",
                                                     "language_model.model."};

std::string find_prefix(const WeightFile& file, const FileLayout& layout) {
  for (std::string_view prefix : kHuggingFacePrefixes)
    for (const PartName& name : layout.names)
      if (name.part == Part::kTokenEmbedding && file.find(tensor_name(prefix, name.name, 0) + ".weight"))
        return std::string(prefix);
  return "";
}

Status refuse(const WeightFile& file, std::string message, std::string expected, std::string got) {
  return Status(StatusCode::kUnsupported, std::move(message))
      .at(file.path().string())
      .expected(std::move(expected))
      .got(std::move(got));
}

// What the forward pass relies on, whatever the file says.
Status check(const WeightFile& file, const DecoderConfig& c) {
  constexpr int64_t kMostWidth = int64_t{1} << 24, kMostHeads = 65536;
  if (c.width > kMostWidth || c.mlp_width > kMostWidth || c.n_heads > kMostHeads ||
      c.query_width() > kMostWidth)
    return refuse(file, "the model's shape is out of range", "at most 65536 heads, widths of 2^24",
                  std::to_string(c.n_heads) + " heads, width " + std::to_string(c.width) + ", MLP width " +
                      std::to_string(c.mlp_width));
  if (c.head_dim < 1 || c.head_dim > kMaxHeadDim)
    return refuse(file, "the size of a head is out of range", "1 to " + std::to_string(kMaxHeadDim),
                  std::to_string(c.head_dim));
  if (c.n_kv_heads < 1 || c.n_heads % c.n_kv_heads != 0)
    return refuse(file, "the number of KV heads must divide the number of heads",
                  "a divisor of " + std::to_string(c.n_heads), std::to_string(c.n_kv_heads));
  for (const RopeConfig* rope : {&c.rope, &c.local_rope})
    if (rope->layout != RopeLayout::kNone &&
        (rope->n_rotated < 2 || rope->n_rotated > c.head_dim || rope->n_rotated % 2 != 0))
      return refuse(file, "the number of rotated components is out of range",
                    "an even number of 2 to " + std::to_string(c.head_dim), std::to_string(rope->n_rotated));
  return Status();
}

}  // namespace

Decoder::Decoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;
Decoder::~Decoder() = default;

Result<std::unique_ptr<Decoder::State>> open_state(const WeightFile& file) {
  auto state = std::make_unique<Decoder::State>();
  state->file = &file;
  const bool gguf = file.container() == WeightContainer::kGguf;
  Result<std::string_view> name = file.metadata().string(gguf ? "general.architecture" : "model_type");
  if (!name.ok()) return name.status();
  std::string prefix = gguf ? std::string(*name) + "." : "";
  // A model with a vision tower keeps its decoder's configuration one level deeper.
  const bool has_more = !gguf && file.metadata().contains(kTextModelType);
  if (has_more && std::ranges::find(kWithTower, *name) != std::end(kWithTower)) {
    prefix = "text_config.";
    name = file.metadata().string(kTextModelType);
    if (!name.ok()) return name.status();
  }
  Result<const Architecture*> architecture = find_architecture(*name);
  if (!architecture.ok()) return architecture.status().at(file.path().string());
  state->config.architecture = std::string(*name);
  state->architecture = *architecture;
  state->layout = (*architecture)->layout(file.container());
  state->config.rope.layout = state->layout.rope;
  MetadataReader reader(file.metadata(), prefix);
  Status configured = (*architecture)->configure(reader, file.container(), state->config);
  if (!configured.ok()) return configured;
  if (Status valid = check(file, state->config); !valid.ok()) return valid;
  if (!gguf) state->prefix = find_prefix(file, state->layout);
  if (Status planned = plan_weights(*state); !planned.ok()) return planned;
  return state;
}

Result<Decoder> Decoder::open(const WeightFile& file) {
  auto state = open_state(file);
  if (!state.ok()) return state.status();
  return Decoder(*std::move(state));
}

const DecoderConfig& Decoder::config() const { return state_->config; }
int64_t Decoder::packed_weights_bytes() const { return state_->packed_bytes; }
int64_t Decoder::mapped_bytes() const { return static_cast<int64_t>(state_->token_embedding->size_bytes); }
bool Decoder::loaded() const { return state_->loaded; }

KvLayout Decoder::kv_layout(KvFormat format) const {
  return {state_->config.n_layers, state_->config.n_kv_heads, state_->config.head_dim, format};
}

Status Decoder::load(PackedWeightStore& store, std::string_view source_key, Executor executor) {
  const std::string key = std::string(source_key) + ".decoder-" + std::to_string(kDecoderLayoutVersion) +
                          "." + std::to_string(kPackedLayoutVersion);
  Result<const std::byte*> packed = store.get(
      key, state_->packed_bytes, [&](std::byte* bytes) { return fill_packed(*state_, bytes, executor); });
  if (!packed.ok()) return packed.status();
  for (const PackStep& step : state_->steps) {
    if (step.vector) *step.vector = reinterpret_cast<const float*>(*packed + step.offset);
    else step.matrix->data = *packed + step.offset;
  }
  state_->loaded = true;
  return Status();
}

}  // namespace weft
