#include "kernels/networks/vision_language/multimodal_projector.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/device/ops.h"
#include "kernels/layers/layer_pass.h"
#include "kernels/layers/network_weights.h"
#include "kernels/layers/weight_plan.h"
#include "kernels/ops/norm/norm.h"

namespace weft {

struct MultimodalProjector::State {
  MultimodalProjectorConfig config;
  DType compute = DType::kF32;
  WeightSource source;
  std::optional<WeightPlan> plan;  // refers to source
  NetworkWeights weights;

  DenseLayer first, second;               // kTwoLayers; kMeanNorm has the second alone
  const float* norm_weights = nullptr;    // [tower_width], as the file has them; on a device 1 is added there
  std::vector<float> norm_weights_and_1;  // on the host
  Norm norm;
};

namespace {

constexpr int64_t kMostWidth = 1 << 16, kMostStates = 1 << 20;

int64_t side_of(int64_t square) { return std::lround(std::sqrt(static_cast<double>(square))); }

Status check(const MultimodalProjectorConfig& c, DType compute) {
  if (compute != DType::kF32 && compute != DType::kBF16)
    return Status(StatusCode::kInvalidArgument, "a projector computes in f32 or bf16");
  const int64_t side = side_of(c.n_states);
  const bool fits = c.tower_width >= 1 && c.tower_width <= kMostWidth && c.text_width >= 1 &&
                    c.text_width <= kMostWidth && c.n_states >= 1 && c.n_states <= kMostStates;
  const bool pools =
      c.kind == ProjectorKind::kTwoLayers ||
      (side * side == c.n_states && c.pooled_side >= 1 && side % c.pooled_side == 0 && c.epsilon > 0);
  if (fits && pools) return {};
  return Status(StatusCode::kInvalidArgument, "the sizes of a projector are out of range")
      .got(std::to_string(c.n_states) + " states, widths " + std::to_string(c.tower_width) + " and " +
           std::to_string(c.text_width) + ", " + std::to_string(c.pooled_side) + " patches a side pooled");
}

// One thread's way through the pass, or the measure of its memory.
class Walker {
 public:
  Walker(const MultimodalProjector::State& state, LayerPass& pass, const float* states, float* rows)
      : s_(state),
        c_(state.config),
        pass_(pass),
        states_(const_cast<float*>(states)),
        out_(TensorView::contiguous(rows, DType::kF32, {c_.n_rows(), c_.text_width})) {}

  void walk() {
    if (c_.kind == ProjectorKind::kTwoLayers) two_layers();
    else mean_norm();
  }

 private:
  void two_layers() {
    const TensorView wide = pass_.take(s_.compute, {c_.n_states, c_.text_width});
    pass_.dense(s_.first, TensorView::contiguous(states_, DType::kF32, {c_.n_states, c_.tower_width}), wide,
                {.activation = c_.activation});
    pass_.barrier();
    pass_.dense(s_.second, wide, out_);
    pass_.barrier();
    pass_.give(wide);
  }

  void mean_norm() {
    const TensorView means = pass_.take(DType::kF32, {c_.n_rows(), c_.tower_width});
    if (pass_.on_device()) {
      means_on_device(means);
      pass_.layer_norm(s_.norm, means, means);
    } else if (!pass_.measures()) {
      for (int64_t i = pass_.begin(c_.n_rows()); i < pass_.end(c_.n_rows()); ++i) {
        float* mean = means.as<float>() + i * c_.tower_width;
        mean_of_patches(i, mean);
        norm_rows(s_.norm, mean, c_.tower_width, mean, c_.tower_width, 1, c_.tower_width, pass_.level());
      }
    }
    pass_.barrier();
    pass_.dense(s_.second, means, out_);
    pass_.barrier();
    pass_.give(means);
  }

  // Means of the pieces of each row of patches, and then of the pieces that lie below one another.
  void means_on_device(const TensorView& means) {
    const int64_t side = side_of(c_.n_states), rows_a_side = side / c_.pooled_side, width = c_.tower_width;
    const TensorView pieces = pass_.take(DType::kF32, {side * rows_a_side, width});
    pass_.mean(TensorView::contiguous(states_, DType::kF32, {side * rows_a_side, c_.pooled_side, width}),
               pieces);
    for (int64_t row = 0; row < rows_a_side; ++row) {
      TensorView columns =
          TensorView::contiguous(pieces.as<float>() + row * c_.pooled_side * rows_a_side * width, DType::kF32,
                                 {rows_a_side, c_.pooled_side, width});
      columns.strides[0] = width;
      columns.strides[1] = rows_a_side * width;
      pass_.mean(columns, TensorView::contiguous(means.as<float>() + row * rows_a_side * width, DType::kF32,
                                                 {rows_a_side, width}));
    }
    pass_.give(pieces);
  }

  void mean_of_patches(int64_t row, float* mean) const {
    const int64_t side = side_of(c_.n_states), rows_a_side = side / c_.pooled_side, width = c_.tower_width;
    const int64_t top = row / rows_a_side * c_.pooled_side, left = row % rows_a_side * c_.pooled_side;
    for (int64_t k = 0; k < width; ++k) mean[k] = 0;
    for (int64_t y = top; y < top + c_.pooled_side; ++y)
      for (int64_t x = left; x < left + c_.pooled_side; ++x) {
        const float* state = states_ + (y * side + x) * width;
        for (int64_t k = 0; k < width; ++k) mean[k] += state[k];
      }
    const auto count = static_cast<float>(c_.pooled_side * c_.pooled_side);
    for (int64_t k = 0; k < width; ++k) mean[k] /= count;
  }

  const MultimodalProjector::State& s_;
  const MultimodalProjectorConfig& c_;
  LayerPass& pass_;
  float* states_;
  TensorView out_;
};

}  // namespace

int64_t MultimodalProjectorConfig::n_rows() const {
  if (kind == ProjectorKind::kTwoLayers) return n_states;
  const int64_t rows_a_side = side_of(n_states) / pooled_side;
  return rows_a_side * rows_a_side;
}

MultimodalProjector::MultimodalProjector(std::unique_ptr<State> state) : state_(std::move(state)) {}
MultimodalProjector::MultimodalProjector(MultimodalProjector&&) noexcept = default;
MultimodalProjector& MultimodalProjector::operator=(MultimodalProjector&&) noexcept = default;
MultimodalProjector::~MultimodalProjector() = default;

Result<MultimodalProjector> MultimodalProjector::open(WeightSource source,
                                                      const MultimodalProjectorConfig& config,
                                                      DType compute) {
  if (Status valid = check(config, compute); !valid.ok()) return valid;
  auto state = std::make_unique<State>();
  const MultimodalProjectorConfig& c = state->config = config;
  state->compute = compute;
  state->source = std::move(source);
  state->norm = {NormKind::kRms, nullptr, nullptr, c.epsilon};
  WeightPlan& plan = state->plan.emplace(state->source, compute);
  if (c.kind == ProjectorKind::kTwoLayers) {
    const BiasTensor bias = c.has_biases ? BiasTensor::kRequired : BiasTensor::kNone;
    plan.dense({"linear_1"}, c.text_width, c.tower_width, bias, &state->first);
    plan.dense({"linear_2"}, c.text_width, c.text_width, bias, &state->second);
  } else {
    plan.values("mm_soft_emb_norm.weight", {c.tower_width}, &state->norm_weights);
    plan.dense({"mm_input_projection"}, c.text_width, c.tower_width, BiasTensor::kNone, &state->second);
  }
  if (Status fits = plan.check("projector"); !fits.ok()) return fits;
  return MultimodalProjector(std::move(state));
}

const MultimodalProjectorConfig& MultimodalProjector::config() const { return state_->config; }
int64_t MultimodalProjector::packed_weights_bytes() const { return state_->plan->packed_bytes(); }
bool MultimodalProjector::loaded() const { return state_->weights.loaded(); }
void MultimodalProjector::unload() { state_->weights.unload(); }

int64_t MultimodalProjector::workspace_bytes(uint32_t n_threads) const {
  return LayerPass::measure(n_threads,
                            [&](LayerPass& pass) { Walker(*state_, pass, nullptr, nullptr).walk(); });
}

Status MultimodalProjector::load(PackedWeightStore& store, std::string_view source_key, Executor executor) {
  State& s = *state_;
  if (Status loaded = s.weights.load(*s.plan, store, source_key, executor, {}); !loaded.ok()) return loaded;
  if (s.norm_weights) {
    s.norm_weights_and_1.assign(s.norm_weights, s.norm_weights + s.config.tower_width);
    for (float& weight : s.norm_weights_and_1) weight += 1;
    s.norm.weight = s.norm_weights_and_1.data();
  }
  return {};
}

Status MultimodalProjector::forward(const float* states, float* rows, std::span<std::byte> workspace,
                                    Executor executor, const StopRequest& stop) const {
  if (!state_->weights.on_host())
    return Status(StatusCode::kInvalidArgument, "the projector's weights are not loaded");
  return LayerPass::run(workspace, workspace_bytes(executor.max_threads()), "the projector's", executor, stop,
                        nullptr, [&](LayerPass& pass) { Walker(*state_, pass, states, rows).walk(); });
}

int64_t MultimodalProjector::device_weights_bytes() const { return state_->plan->device_bytes(); }

Status MultimodalProjector::load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop,
                                    DeviceBuffer memory) {
  State& s = *state_;
  Status loaded = s.weights.load_on(*s.plan, stream, executor, stop, std::move(memory));
  if (!loaded.ok() || !s.norm_weights) return loaded;
  Status added = stream.device()->ops().affine(
      {.scale = 1, .shift = 1, .x = const_cast<float*>(s.norm_weights), .count = s.config.tower_width},
      stream);
  if (Status passed = stream.synchronize(); added.ok()) added = std::move(passed);
  if (!added.ok()) s.weights.unload();
  s.norm.weight = s.norm_weights;
  return added;
}

int64_t MultimodalProjector::device_workspace_bytes() const {
  return LayerPass::measure_on_device(
             [&](LayerPass& pass) { Walker(*state_, pass, nullptr, nullptr).walk(); })
      .workspace_bytes;
}

Status MultimodalProjector::forward_on(DevicePasses& passes, const float* states, float* rows,
                                       std::span<std::byte> workspace, const StopRequest& stop) const {
  if (!state_->weights.on_device())
    return Status(StatusCode::kInvalidArgument, "the projector's weights are not loaded on a device");
  std::vector<int64_t> places = {reinterpret_cast<intptr_t>(states), reinterpret_cast<intptr_t>(rows)};
  return passes.run(state_->weights.pass_shape("the projector's", std::move(places)), workspace, stop,
                    [&](LayerPass& pass) { Walker(*state_, pass, states, rows).walk(); });
}

}  // namespace weft
