#include "kernels/networks/unet/control_net.h"

#include <bit>

#include "kernels/networks/unet/unet_walk.h"

namespace weft {

struct ControlNet::State {
  ControlNetConfig config;
  UNet::State unet;  // its way down and middle, and the source, plan and weights of everything
  ConvolutionLayer hint_in;
  std::vector<ConvolutionLayer> hint_steps;  // in pairs: one at a resolution, one to the next
  ConvolutionLayer hint_out;
  std::vector<ConvolutionLayer> skip_outputs;
  ConvolutionLayer mid_output;
};

namespace {

Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

void plan_control_net(ControlNet::State& s) {
  WeightPlan& plan = *s.unet.plan;
  const ControlNetConfig& c = s.config;
  plan_unet_way_down(s.unet);
  const std::string hint = "controlnet_cond_embedding";
  const std::vector<int64_t>& channels = c.hint_channels;
  plan.convolution(hint + ".conv_in", channels[0], c.picture_channels, 3, BiasTensor::kRequired, &s.hint_in);
  s.hint_steps.resize(2 * (channels.size() - 1));
  for (size_t i = 0; i < s.hint_steps.size(); ++i)
    plan.convolution(hint + ".blocks." + std::to_string(i), channels[(i + 1) / 2], channels[i / 2], 3,
                     BiasTensor::kRequired, &s.hint_steps[i]);
  plan.convolution(hint + ".conv_out", c.unet.levels[0].channels, channels.back(), 3, BiasTensor::kRequired,
                   &s.hint_out);
  size_t at = 0;
  for (const UNetLevel& level : c.unet.levels) at += static_cast<size_t>(level.n_resnets) + 1;
  s.skip_outputs.resize(at);
  at = 0;
  const auto output = [&](int64_t width) {
    plan.convolution("controlnet_down_blocks." + std::to_string(at), width, width, 1, BiasTensor::kRequired,
                     &s.skip_outputs[at]);
    ++at;
  };
  output(c.unet.levels[0].channels);
  for (size_t i = 0; i < c.unet.levels.size(); ++i) {
    for (int64_t j = 0; j < c.unet.levels[i].n_resnets; ++j) output(c.unet.levels[i].channels);
    if (i + 1 < c.unet.levels.size()) output(c.unet.levels[i].channels);
  }
  const int64_t width = c.unet.levels.back().channels;
  plan.convolution("controlnet_mid_block", width, width, 1, BiasTensor::kRequired, &s.mid_output);
}

class Walker : public UNetWalk {
 public:
  Walker(const ControlNet::State& state, LayerPass& pass, const UNetExtent& extent, const UNetInputs* inputs)
      : UNetWalk(state.unet, pass, extent, inputs), c_s_(state) {}

  // skips, mid: where the residuals go.
  void walk(const TensorView& picture, float strength, std::span<const TensorView> skips,
            const TensorView& mid) {
    const TensorView hint = embed_picture(picture);
    TensorView x;
    if (!way_down(hint, &x)) return;
    pass_.give(hint);
    for (size_t i = 0; i < skips.size(); ++i)
      pass_.convolution(c_s_.skip_outputs[i], skips_[i], skips[i], {});
    pass_.convolution(c_s_.mid_output, x, mid, {});
    pass_.barrier();
    if (strength != 1) {
      for (const TensorView& skip : skips) pass_.affine(strength, 0, skip);
      pass_.affine(strength, 0, mid);
    }
    drop(x);
    while (n_skips_ > 0) pass_.give(skips_[--n_skips_]);
    give_conditioning();
  }

 private:
  TensorView embed_picture(const TensorView& picture) {
    const DType inner = c_s_.unet.inner;
    TensorView x = pass_.take(
        inner, {picture.shape[0], picture.shape[1], picture.shape[2], c_s_.config.hint_channels[0]});
    pass_.convolution(c_s_.hint_in, picture, x,
                      {.pad_before = 1, .pad_after = 1, .activation = Activation::kSilu});
    pass_.barrier();
    for (size_t i = 0; i < c_s_.hint_steps.size(); ++i) {
      const int64_t stride = i % 2 == 0 ? 1 : 2;
      const TensorView y = pass_.take(inner, {x.shape[0], x.shape[1] / stride, x.shape[2] / stride,
                                              c_s_.hint_steps[i].w.shape.out_channels});
      pass_.convolution(c_s_.hint_steps[i], x, y,
                        {.stride = stride, .pad_before = 1, .pad_after = 1, .activation = Activation::kSilu});
      pass_.barrier();
      pass_.give(x);
      x = y;
    }
    const TensorView y =
        pass_.take(c_s_.unet.stored, {x.shape[0], x.shape[1], x.shape[2], c_.levels[0].channels});
    pass_.convolution(c_s_.hint_out, x, y, {.pad_before = 1, .pad_after = 1});
    pass_.barrier();
    pass_.give(x);
    return y;
  }

  const ControlNet::State& c_s_;
};

TensorView picture_of(const UNetExtent& e, int64_t pictures, const ControlNetConfig& c) {
  return TensorView::contiguous(nullptr, DType::kF32,
                                {pictures, e.height * c.factor(), e.width * c.factor(), c.picture_channels});
}

}  // namespace

ControlNet::ControlNet(std::unique_ptr<State> state) : state_(std::move(state)) {}
ControlNet::ControlNet(ControlNet&&) noexcept = default;
ControlNet& ControlNet::operator=(ControlNet&&) noexcept = default;
ControlNet::~ControlNet() = default;

Result<ControlNet> ControlNet::open(WeightSource source, const ControlNetConfig& config, DType compute) {
  if (Status valid = check_unet_config(config.unet, compute); !valid.ok()) return valid;
  if (!config.unet.has_mid_block) return invalid("a control network has a middle");
  if (config.hint_channels.empty() || config.hint_channels.size() > 8 || config.picture_channels < 1)
    return invalid("the embedding of a control network's picture is out of range")
        .expected("1 to 8 resolutions");
  for (int64_t channels : config.hint_channels)
    if (channels < 1 || channels > (1 << 16))
      return invalid("the channels of a control network's picture are out of range");
  auto state = std::make_unique<State>();
  state->config = config;
  state->unet.config = config.unet;
  state->unet.compute = state->unet.stored = state->unet.inner = compute;
  state->unet.source = std::move(source);
  state->unet.plan.emplace(state->unet.source, compute);
  plan_control_net(*state);
  if (Status fits = state->unet.plan->check("control network"); !fits.ok()) return fits;
  return ControlNet(std::move(state));
}

const ControlNetConfig& ControlNet::config() const { return state_->config; }
DType ControlNet::compute() const { return state_->unet.compute; }
int64_t ControlNet::packed_weights_bytes() const { return state_->unet.plan->packed_bytes(); }
int64_t ControlNet::parameters() const { return state_->unet.plan->parameters(); }
int64_t ControlNet::n_skips() const { return static_cast<int64_t>(state_->skip_outputs.size()); }
bool ControlNet::loaded() const { return state_->unet.weights.loaded(); }
void ControlNet::unload() { state_->unet.weights.unload(); }
int64_t ControlNet::device_weights_bytes() const { return state_->unet.plan->device_bytes(); }

ControlNet::Skip ControlNet::skip(int64_t i) const {
  const std::vector<UNetLevel>& levels = state_->config.unet.levels;
  if (i == 0) return {levels[0].channels, 0};
  int64_t at = 1;
  for (size_t l = 0; l < levels.size(); ++l) {
    const int64_t end = at + levels[l].n_resnets;
    const int64_t halvings = static_cast<int64_t>(l);
    if (i < end) return {levels[l].channels, halvings};
    if (i == end && l + 1 < levels.size()) return {levels[l].channels, halvings + 1};
    at = end + 1;
  }
  return {levels.back().channels, static_cast<int64_t>(levels.size()) - 1};
}

TensorView ControlNet::residual(int64_t i, const UNetExtent& extent) const {
  const Skip of = skip(i);
  int64_t height = extent.height, width = extent.width;
  for (int64_t k = 0; k < of.halvings; ++k) height = (height + 1) / 2, width = (width + 1) / 2;
  return TensorView::contiguous(nullptr, DType::kF32, {extent.images, height, width, of.channels});
}

namespace {

// A pass that measures.
auto measure(const ControlNet& network, const ControlNet::State& s, const UNetExtent& extent,
             int64_t pictures) {
  return [&network, &s, extent, pictures](LayerPass& pass) {
    std::vector<TensorView> skips;
    for (int64_t i = 0; i < network.n_skips(); ++i) skips.push_back(network.residual(i, extent));
    Walker(s, pass, extent, nullptr)
        .walk(picture_of(extent, pictures, s.config), 1, skips, network.residual(network.n_skips(), extent));
  };
}

Status check_call(const ControlNet::State& s, bool loaded, const UNetInputs& inputs,
                  const TensorView& picture, std::span<const TensorView> skips, const TensorView& mid,
                  UNetExtent* extent) {
  if (!loaded) return invalid("the control network's weights are not loaded");
  const UNetConfig& c = s.config.unet;
  if (Status valid = check_unet_inputs(c, inputs); !valid.ok()) return valid;
  *extent = {inputs.sample.shape[0], inputs.sample.shape[1], inputs.sample.shape[2], inputs.context.shape[1]};
  if (Status valid = check_skip_views(c, *extent, skips, mid); !valid.ok()) return valid;
  const bool is_for_all = picture.rank > 0 && picture.shape[0] == 1;
  const TensorView wanted = picture_of(*extent, is_for_all ? 1 : extent->images, s.config);
  return check_f32_view(picture, "control picture",
                        {wanted.shape[0], wanted.shape[1], wanted.shape[2], wanted.shape[3]});
}

}  // namespace

int64_t ControlNet::workspace_bytes(const UNetExtent& extent, int64_t pictures, uint32_t n_threads) const {
  return LayerPass::measure(n_threads, measure(*this, *state_, extent, pictures));
}

int64_t ControlNet::device_workspace_bytes(const UNetExtent& extent, int64_t pictures) const {
  return LayerPass::measure_on_device(measure(*this, *state_, extent, pictures)).workspace_bytes;
}

Status ControlNet::load(PackedWeightStore& store, std::string_view source_key, Executor executor,
                        const StopRequest& stop) {
  return state_->unet.weights.load(*state_->unet.plan, store, source_key, executor, stop);
}

Status ControlNet::load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop,
                           DeviceBuffer memory) {
  return state_->unet.weights.load_on(*state_->unet.plan, stream, executor, stop, std::move(memory));
}

Status ControlNet::forward(const UNetInputs& inputs, const TensorView& picture, float strength,
                           std::span<const TensorView> skips, const TensorView& mid,
                           std::span<std::byte> workspace, Executor executor, const StopRequest& stop,
                           LayerTimes* times) const {
  const State& s = *state_;
  UNetExtent extent;
  if (Status valid = check_call(s, s.unet.weights.on_host(), inputs, picture, skips, mid, &extent);
      !valid.ok())
    return valid;
  const int64_t needed = workspace_bytes(extent, picture.shape[0], executor.max_threads());
  return LayerPass::run(
      workspace, needed, "the control network's", executor, stop, times,
      [&](LayerPass& pass) { Walker(s, pass, extent, &inputs).walk(picture, strength, skips, mid); });
}

Status ControlNet::forward_on(DevicePasses& passes, const UNetInputs& inputs, const TensorView& picture,
                              float strength, std::span<const TensorView> skips, const TensorView& mid,
                              std::span<std::byte> workspace, const StopRequest& stop) const {
  const State& s = *state_;
  UNetExtent extent;
  if (Status valid = check_call(s, s.unet.weights.on_device(), inputs, picture, skips, mid, &extent);
      !valid.ok())
    return valid;
  std::vector<int64_t> numbers = pass_numbers(extent, inputs, skips, mid);
  numbers.push_back(std::bit_cast<int32_t>(strength));
  numbers.push_back(picture.shape[0]);
  numbers.push_back(reinterpret_cast<intptr_t>(picture.data));
  return passes.run(
      s.unet.weights.pass_shape("the control network's", std::move(numbers)), workspace, stop,
      [&](LayerPass& pass) { Walker(s, pass, extent, &inputs).walk(picture, strength, skips, mid); });
}

}  // namespace weft
