#include "kernels/networks/clip_vision/clip_vision.h"

#include "kernels/networks/clip_vision/clip_vision_state.h"

namespace weft {
namespace {

EncoderShape shape_of(const ClipVisionConfig& c) {
  return {.width = c.width,
          .n_heads = c.n_heads,
          .mlp_width = c.mlp_width,
          .activation = c.activation,
          .epsilon = c.epsilon,
          .norms = NormPlace::kBefore,
          .mask = AttentionMask::kNone};
}

// What the forward pass relies on, whatever a configuration says.
Status check(const ClipVisionConfig& c, DType compute) {
  if (Status valid = check_encoder(shape_of(c), c.n_layers, compute, "an image encoder"); !valid.ok())
    return valid;
  constexpr int64_t kMostPixels = 1 << 14, kMostWidth = 1 << 16;
  if (c.image_size < 1 || c.image_size > kMostPixels || c.patch_size < 1 || c.patch_size > c.image_size ||
      c.projection_width < 0 || c.projection_width > kMostWidth)
    return Status(StatusCode::kInvalidArgument, "the sizes of an image encoder are out of range")
        .got("pictures of " + std::to_string(c.image_size) + ", patches of " + std::to_string(c.patch_size) +
             " pixels, a projection to " + std::to_string(c.projection_width));
  return Status();
}

// Binds every layer to its tensors: names as in transformers' CLIPVisionModel.
void plan_clip_vision(ClipVision::State& s) {
  const ClipVisionConfig& c = s.config;
  WeightPlan& plan = *s.plan;
  plan.convolution("embeddings.patch_embedding", c.width, 3, c.patch_size, BiasTensor::kNone, &s.patches);
  plan.values("embeddings.class_embedding", {c.width}, &s.class_embedding);
  plan.values("embeddings.position_embedding.weight", {c.n_tokens(), c.width}, &s.position_embedding);
  plan.ignore("embeddings.position_ids");
  plan.layer_norm("pre_layrnorm", c.width, c.epsilon, &s.first_norm);  // sic
  s.layers.resize(static_cast<size_t>(c.n_layers));
  for (size_t i = 0; i < s.layers.size(); ++i)
    plan_encoder_layer(plan, clip_layer_names("encoder.layers." + std::to_string(i)), s.shape, &s.layers[i]);
  plan.layer_norm("post_layernorm", c.width, c.epsilon, &s.last_norm);
  if (c.projection_width > 0)
    plan.dense({"visual_projection"}, c.projection_width, c.width, BiasTensor::kNone, &s.projection);
}

}  // namespace

ClipVision::ClipVision(std::unique_ptr<State> state) : state_(std::move(state)) {}
ClipVision::ClipVision(ClipVision&&) noexcept = default;
ClipVision& ClipVision::operator=(ClipVision&&) noexcept = default;
ClipVision::~ClipVision() = default;

Result<ClipVision> ClipVision::open(WeightSource source, const ClipVisionConfig& config, DType compute) {
  if (Status valid = check(config, compute); !valid.ok()) return valid;
  auto state = std::make_unique<State>();
  state->config = config;
  state->shape = shape_of(config);
  state->compute = compute;
  state->source = std::move(source);
  state->plan.emplace(state->source, compute);
  plan_clip_vision(*state);
  if (Status fits = state->plan->check("image encoder"); !fits.ok()) return fits;
  return ClipVision(std::move(state));
}

const ClipVisionConfig& ClipVision::config() const { return state_->config; }
DType ClipVision::compute() const { return state_->compute; }
int64_t ClipVision::packed_weights_bytes() const { return state_->plan->packed_bytes(); }
int64_t ClipVision::parameters() const { return state_->plan->parameters(); }
bool ClipVision::loaded() const { return state_->loaded; }
void ClipVision::unload() { state_->loaded = false; }

Status ClipVision::load(PackedWeightStore& store, std::string_view source_key, Executor executor,
                        const StopRequest& stop) {
  if (Status loaded = state_->plan->load(store, source_key, executor, stop); !loaded.ok()) return loaded;
  state_->loaded = true;
  return Status();
}

}  // namespace weft
