#include "kernels/networks/clip_text/clip_text.h"

#include "kernels/networks/clip_text/clip_text_state.h"

namespace weft {
namespace {

Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

// What the forward pass relies on, whatever a configuration says.
Status check(const ClipTextConfig& c, DType compute) {
  constexpr int64_t kMostWidth = 1 << 16;
  if (compute != DType::kF32 && compute != DType::kBF16)
    return invalid("a text encoder computes in f32 or bf16");
  if (c.width < 1 || c.width > kMostWidth || c.mlp_width < 1 || c.mlp_width > kMostWidth * 8 ||
      c.projection_width < 0 || c.projection_width > kMostWidth)
    return invalid("the widths of a text encoder are out of range").expected("1 to 65536");
  if (c.vocabulary < 1 || c.vocabulary > (int64_t{1} << 24) || c.n_positions < 1 ||
      c.n_positions > kMostWidth)
    return invalid("the vocabulary or the positions of a text encoder are out of range");
  if (c.n_layers < 1 || c.n_layers > 256) return invalid("the layers of a text encoder are out of range");
  if (c.n_heads < 1 || c.width % c.n_heads != 0 || c.width / c.n_heads > kMaxDenseHeadDim)
    return invalid("the number of heads must divide the width of a text encoder")
        .expected("a divisor of " + std::to_string(c.width))
        .got(std::to_string(c.n_heads));
  if (!(c.epsilon > 0)) return invalid("the epsilon of a text encoder's norms must be positive");
  return Status();
}

// Binds every layer to its tensors: names as in transformers' CLIPTextModel.
void plan_clip_text(ClipText::State& s) {
  const ClipTextConfig& c = s.config;
  WeightPlan& plan = *s.plan;
  const std::string_view marker = "text_model.embeddings.token_embedding.weight";
  const std::string prefix = s.source.contains(marker) ? "text_model." : "";
  plan.mapped(prefix + "embeddings.token_embedding.weight", {c.vocabulary, c.width}, &s.token_embedding);
  plan.values(prefix + "embeddings.position_embedding.weight", {c.n_positions, c.width},
              &s.position_embedding);
  plan.ignore(prefix + "embeddings.position_ids");
  s.layers.resize(static_cast<size_t>(c.n_layers));
  for (size_t i = 0; i < s.layers.size(); ++i) {
    ClipTextLayer& layer = s.layers[i];
    const std::string name = prefix + "encoder.layers." + std::to_string(i);
    const std::string attention = name + ".self_attn";
    plan.layer_norm(name + ".layer_norm1", c.width, c.epsilon, &layer.norm1);
    plan.dense({attention + ".q_proj", attention + ".k_proj", attention + ".v_proj"}, c.width, c.width,
               BiasTensor::kRequired, &layer.qkv);
    plan.dense({attention + ".out_proj"}, c.width, c.width, BiasTensor::kRequired, &layer.out);
    plan.layer_norm(name + ".layer_norm2", c.width, c.epsilon, &layer.norm2);
    plan.dense({name + ".mlp.fc1"}, c.mlp_width, c.width, BiasTensor::kRequired, &layer.up);
    plan.dense({name + ".mlp.fc2"}, c.width, c.mlp_width, BiasTensor::kRequired, &layer.down);
  }
  plan.layer_norm(prefix + "final_layer_norm", c.width, c.epsilon, &s.final_norm);
  if (c.projection_width > 0)
    plan.dense({"text_projection"}, c.projection_width, c.width, BiasTensor::kNone, &s.projection);
}

}  // namespace

ClipText::ClipText(std::unique_ptr<State> state) : state_(std::move(state)) {}
ClipText::ClipText(ClipText&&) noexcept = default;
ClipText& ClipText::operator=(ClipText&&) noexcept = default;
ClipText::~ClipText() = default;

Result<ClipText> ClipText::open(WeightSource source, const ClipTextConfig& config, DType compute) {
  if (Status valid = check(config, compute); !valid.ok()) return valid;
  auto state = std::make_unique<State>();
  state->config = config;
  state->compute = state->inner = compute;
  state->source = std::move(source);
  state->plan.emplace(state->source, compute);
  plan_clip_text(*state);
  if (Status fits = state->plan->check("text encoder"); !fits.ok()) return fits;
  return ClipText(std::move(state));
}

const ClipTextConfig& ClipText::config() const { return state_->config; }
DType ClipText::compute() const { return state_->compute; }
int64_t ClipText::packed_weights_bytes() const { return state_->plan->packed_bytes(); }
int64_t ClipText::mapped_bytes() const {
  return static_cast<int64_t>(state_->token_embedding->tensor->size_bytes);
}
int64_t ClipText::parameters() const { return state_->plan->parameters(); }
bool ClipText::loaded() const { return state_->loaded; }
void ClipText::unload() { state_->loaded = false; }

Status ClipText::load(PackedWeightStore& store, std::string_view source_key, Executor executor,
                      const StopRequest& stop) {
  if (Status loaded = state_->plan->load(store, source_key, executor, stop); !loaded.ok()) return loaded;
  state_->loaded = true;
  return Status();
}

}  // namespace weft
