#include "kernels/networks/clip_text/clip_text.h"

#include "kernels/networks/clip_text/clip_text_state.h"

namespace weft {
namespace {

Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

EncoderShape shape_of(const ClipTextConfig& c) {
  return {.width = c.width,
          .n_heads = c.n_heads,
          .mlp_width = c.mlp_width,
          .activation = c.activation,
          .epsilon = c.epsilon,
          .norms = NormPlace::kBefore,
          .mask = c.mask};
}

// What the forward pass relies on, whatever a configuration says.
Status check(const ClipTextConfig& c, DType compute) {
  if (Status valid = check_encoder(shape_of(c), c.n_layers, compute, "a text encoder"); !valid.ok())
    return valid;
  constexpr int64_t kMost = 1 << 16;
  if (c.projection_width < 0 || c.projection_width > kMost)
    return invalid("the projection of a text encoder is out of range");
  if (c.vocabulary < 1 || c.vocabulary > (int64_t{1} << 24) || c.n_positions < 1 || c.n_positions > kMost)
    return invalid("the vocabulary or the positions of a text encoder are out of range");
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
    const std::string name = prefix + "encoder.layers." + std::to_string(i);
    plan_encoder_layer(plan, clip_layer_names(name), s.shape, &s.layers[i]);
  }
  plan.layer_norm(prefix + "final_layer_norm", c.width, c.epsilon, &s.final_norm);
  if (c.projection_width > 0)
    plan.dense({"text_projection"}, c.projection_width, c.width,
               c.projection_has_bias ? BiasTensor::kRequired : BiasTensor::kNone, &s.projection);
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
  state->shape = shape_of(config);
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
int64_t ClipText::device_weights_bytes() const { return state_->plan->device_bytes(); }
int64_t ClipText::mapped_bytes() const {
  return static_cast<int64_t>(state_->token_embedding->tensor->size_bytes);
}
int64_t ClipText::parameters() const { return state_->plan->parameters(); }
bool ClipText::loaded() const { return state_->weights.loaded(); }
void ClipText::unload() { state_->weights.unload(); }

Status ClipText::load(PackedWeightStore& store, std::string_view source_key, Executor executor,
                      const StopRequest& stop) {
  return state_->weights.load(*state_->plan, store, source_key, executor, stop);
}

Status ClipText::load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop,
                         DeviceBuffer memory) {
  return state_->weights.load_on(*state_->plan, stream, executor, stop, std::move(memory));
}

}  // namespace weft
