#include "kernels/networks/vision_transformer/vision_transformer.h"

#include <algorithm>
#include <cmath>

#include "kernels/networks/vision_transformer/vision_transformer_state.h"

namespace weft {
namespace {

EncoderShape shape_of(const VisionTransformerConfig& c) {
  return {.width = c.width,
          .n_heads = c.n_heads,
          .mlp_width = c.mlp_width,
          .gated_mlp = c.gated_mlp,
          .activation = c.activation,
          .epsilon = c.epsilon,
          .norms = NormPlace::kBefore,
          .mask = AttentionMask::kNone};
}

// What the forward pass relies on, whatever a configuration says.
Status check(const VisionTransformerConfig& c, DType compute) {
  if (Status valid = check_encoder(shape_of(c), c.n_layers, compute, "an image encoder"); !valid.ok())
    return valid;
  constexpr int64_t kMostPixels = 1 << 14, kMostWidth = 1 << 16, kMostClasses = 1 << 20;
  constexpr int64_t kMostPatches = 1 << 16;
  if (c.max_patches < 0 || c.max_patches > kMostPatches ||
      (c.keeps_shapes() && (c.has_class_token || c.norms_embeddings || !c.patches_have_bias)))
    return Status(StatusCode::kInvalidArgument, "pictures that keep their shapes are SigLIP 2's")
        .got(std::to_string(c.max_patches) + " patches");
  if (c.image_size < 1 || c.image_size > kMostPixels || c.patch_size < 1 || c.patch_size > c.image_size ||
      c.projection_width < 0 || c.projection_width > kMostWidth || c.n_classes < 0 ||
      c.n_classes > kMostClasses || c.trained_patches_a_side < 1 || c.trained_patches_a_side > kMostPixels)
    return Status(StatusCode::kInvalidArgument, "the sizes of an image encoder are out of range")
        .got("pictures of " + std::to_string(c.image_size) + ", patches of " + std::to_string(c.patch_size) +
             " pixels, a projection to " + std::to_string(c.projection_width));
  return Status();
}

void plan_attention_pooling(VisionTransformer::State& s) {
  const VisionTransformerConfig& c = s.config;
  WeightPlan& plan = *s.plan;
  const std::string attention = "head.attention.";
  plan.values("head.probe", {c.width}, &s.query);
  plan.dense({attention + "q_proj"}, c.width, c.width, BiasTensor::kRequired, &s.head_query);
  plan.dense({attention + "k_proj", attention + "v_proj"}, c.width, c.width, BiasTensor::kRequired,
             &s.head_key_value);
  plan.dense({attention + "out_proj"}, c.width, c.width, BiasTensor::kRequired, &s.head_out);
  plan.layer_norm("head.layernorm", c.width, c.epsilon, &s.head_norm);
  plan.dense({"head.mlp.fc1"}, c.mlp_width, c.width, BiasTensor::kRequired, &s.head_up);
  plan.dense({"head.mlp.fc2"}, c.width, c.mlp_width, BiasTensor::kRequired, &s.head_down);
}

constexpr const char* kPositions = "embeddings.position_embedding.weight";

// Binds every layer to its tensors: names as in transformers' CLIPVisionModel, and for what that lacks as in SiglipVisionModel.
void plan_vision_transformer(VisionTransformer::State& s) {
  const VisionTransformerConfig& c = s.config;
  WeightPlan& plan = *s.plan;
  const std::string patches = "embeddings.patch_embedding";
  if (c.keeps_shapes())
    plan.dense({patches}, c.width, c.patch_values(), BiasTensor::kRequired, &s.patch_rows);
  else
    plan.convolution(patches, c.width, 3, c.patch_size,
                     c.patches_have_bias ? BiasTensor::kRequired : BiasTensor::kNone, &s.patches);
  if (c.has_class_token) plan.values("embeddings.class_embedding", {c.width}, &s.class_embedding);
  plan.values(kPositions, {c.n_class_tokens() + c.trained_patches_a_side * c.trained_patches_a_side, c.width},
              &s.trained_positions);
  plan.ignore("embeddings.position_ids");
  if (c.norms_embeddings) plan.layer_norm("pre_layrnorm", c.width, c.epsilon, &s.first_norm);  // sic
  s.layers.resize(static_cast<size_t>(c.n_layers));
  for (size_t i = 0; i < s.layers.size(); ++i)
    plan_encoder_layer(plan, clip_layer_names("encoder.layers." + std::to_string(i)), s.shape, &s.layers[i]);
  if (c.norms_hidden || c.pooling != PicturePooling::kNone)
    plan.layer_norm("post_layernorm", c.width, c.epsilon, &s.last_norm);
  if (c.pooling == PicturePooling::kAttention) plan_attention_pooling(s);
  if (c.projection_width > 0)
    plan.dense({"visual_projection"}, c.projection_width, c.width, BiasTensor::kNone, &s.projection);
  if (c.classifier != ClassifierInput::kNone)
    plan.dense({"classifier"}, c.n_classes,
               c.classifier == ClassifierInput::kClassTokenAndMean ? 2 * c.width : c.width,
               BiasTensor::kRequired, &s.classifier);
}

// Keys' cubic kernel with a = -0.75, as PyTorch interpolates.
void cubic_weights(double t, double weights[4]) {
  constexpr double a = -0.75;
  const auto near = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
  const auto far = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
  weights[0] = far(t + 1);
  weights[1] = near(t);
  weights[2] = near(1 - t);
  weights[3] = far(2 - t);
}

// For each of `to` places, the places among `from` that it is made of, ends repeated.
struct CubicPlace {
  int64_t from[4];
  double weights[4];
};
std::vector<CubicPlace> cubic_places(int64_t from, int64_t to) {
  std::vector<CubicPlace> places(static_cast<size_t>(to));
  for (int64_t i = 0; i < to; ++i) {
    const double at =
        (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
    const double whole = std::floor(at);
    CubicPlace& place = places[static_cast<size_t>(i)];
    cubic_weights(at - whole, place.weights);
    for (int64_t k = 0; k < 4; ++k)
      place.from[k] = std::clamp<int64_t>(static_cast<int64_t>(whole) - 1 + k, 0, from - 1);
  }
  return places;
}

// The table of positions for another number of patches, as transformers' interpolate_pos_encoding makes it.
std::vector<float> resize_positions(const VisionTransformerConfig& c, const float* trained) {
  const int64_t from = c.trained_patches_a_side, to = c.patches_a_side(), width = c.width;
  std::vector<float> resized(static_cast<size_t>(c.n_tokens() * width));
  std::copy_n(trained, c.n_class_tokens() * width, resized.data());
  const float* table = trained + c.n_class_tokens() * width;
  const std::vector<CubicPlace> places = cubic_places(from, to);
  std::vector<double> sum(static_cast<size_t>(width));
  for (int64_t i = 0; i < to * to; ++i) {
    const CubicPlace &row = places[static_cast<size_t>(i / to)],
                     &column = places[static_cast<size_t>(i % to)];
    std::fill(sum.begin(), sum.end(), 0.0);
    for (int r = 0; r < 4; ++r)
      for (int k = 0; k < 4; ++k) {
        const float* value = table + (row.from[r] * from + column.from[k]) * width;
        const double weight = row.weights[r] * column.weights[k];
        for (int64_t x = 0; x < width; ++x) sum[static_cast<size_t>(x)] += weight * value[x];
      }
    std::copy(sum.begin(), sum.end(), resized.begin() + (c.n_class_tokens() + i) * width);
  }
  return resized;
}

Status read_positions(const VisionTransformer::State& s, Executor executor, std::vector<float>* trained) {
  trained->resize(static_cast<size_t>(s.source.find(kPositions)->count()));
  return s.source.read(kPositions, trained->data(), executor);
}

// The table for another number of patches in a device's memory.
Status resize_positions_on(VisionTransformer::State& s, const DeviceStream& stream, Executor executor,
                           std::byte* to) {
  std::vector<float> trained;
  if (Status read = read_positions(s, executor, &trained); !read.ok()) return read;
  const std::vector<float> resized = resize_positions(s.config, trained.data());
  Status copied = stream.copy_to_device(to, resized.data(), resized.size() * sizeof(float));
  if (Status passed = stream.synchronize(); copied.ok()) copied = std::move(passed);
  s.positions = reinterpret_cast<const float*>(to);
  return copied;
}

}  // namespace

VisionTransformer::VisionTransformer(std::unique_ptr<State> state) : state_(std::move(state)) {}
VisionTransformer::VisionTransformer(VisionTransformer&&) noexcept = default;
VisionTransformer& VisionTransformer::operator=(VisionTransformer&&) noexcept = default;
VisionTransformer::~VisionTransformer() = default;

Result<VisionTransformer> VisionTransformer::open(WeightSource source, const VisionTransformerConfig& config,
                                                  DType compute) {
  if (Status valid = check(config, compute); !valid.ok()) return valid;
  auto state = std::make_unique<State>();
  state->config = config;
  state->shape = shape_of(config);
  state->compute = compute;
  state->source = std::move(source);
  state->plan.emplace(state->source, compute);
  plan_vision_transformer(*state);
  if (Status fits = state->plan->check("image encoder"); !fits.ok()) return fits;
  return VisionTransformer(std::move(state));
}

const VisionTransformerConfig& VisionTransformer::config() const { return state_->config; }
DType VisionTransformer::compute() const { return state_->compute; }
int64_t VisionTransformer::packed_weights_bytes() const { return state_->plan->packed_bytes(); }
int64_t VisionTransformer::parameters() const { return state_->plan->parameters(); }
bool VisionTransformer::loaded() const { return state_->weights.loaded(); }
void VisionTransformer::unload() {
  state_->weights.unload();
  state_->device_memory = DeviceBuffer();
}

Status VisionTransformer::load(PackedWeightStore& store, std::string_view source_key, Executor executor,
                               const StopRequest& stop) {
  State& s = *state_;
  if (Status loaded = s.weights.load(*s.plan, store, source_key, executor, stop); !loaded.ok()) return loaded;
  s.positions = s.host_positions = s.trained_positions;
  if (s.resizes_positions()) {
    s.resized_positions = resize_positions(s.config, s.trained_positions);
    s.positions = s.resized_positions.data();
  }
  return Status();
}

int64_t VisionTransformer::device_weights_bytes() const {
  const VisionTransformerConfig& c = state_->config;
  return state_->plan->device_bytes() + (state_->resizes_positions() ? c.n_tokens() * c.width * 4 : 0);
}

Status VisionTransformer::load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop,
                                  DeviceBuffer given) {
  State& s = *state_;
  Result<DeviceBuffer> memory = DeviceBuffer::given_or_allocate(
      std::move(given), stream, static_cast<uint64_t>(device_weights_bytes()), "weights");
  if (!memory.ok()) return memory.status();
  const int64_t of_plan = s.plan->device_bytes();
  DeviceBuffer part = DeviceBuffer::borrow(memory->data(), static_cast<uint64_t>(of_plan));
  if (Status loaded = s.weights.load_on(*s.plan, stream, executor, stop, std::move(part)); !loaded.ok())
    return loaded;
  s.positions = s.trained_positions;
  Status positioned;
  if (s.resizes_positions()) positioned = resize_positions_on(s, stream, executor, memory->data() + of_plan);
  if (s.config.keeps_shapes()) positioned = read_positions(s, executor, &s.kept_positions);
  s.host_positions = s.kept_positions.data();
  if (!positioned.ok()) {
    s.weights.unload();
    return positioned;
  }
  s.device_memory = *std::move(memory);
  return Status();
}

}  // namespace weft
