#include "plugins/image/control_pass.h"

#include <algorithm>

namespace weft::image {
namespace {

// What a control network takes of the UNet's inputs: an inpainting UNet sees more than latents, LCM its guidance.
UNetInputs inputs_for(const ControlNet& network, const UNetInputs& inputs) {
  UNetInputs own = inputs;
  const UNetConfig& config = network.config().unet;
  own.extra = {};
  if (config.guidance_width == 0) own.guidance = {};
  if (config.added_width == 0) own.pooled = own.sizes = {};
  own.skip_residuals = {};
  own.mid_residual = {};
  return own;
}

// One view for each skip connection, and one for the middle.
std::vector<TensorView> place_residuals(Scratch& scratch, const ControlNet& network,
                                        const UNetExtent& extent) {
  std::vector<TensorView> views;
  for (int64_t i = 0; i <= network.n_skips(); ++i) {
    const ControlNet::Skip skip = network.skip(i);
    int64_t height = extent.height, width = extent.width;
    for (int64_t k = 0; k < skip.halvings; ++k) height = (height + 1) / 2, width = (width + 1) / 2;
    const std::span<float> values = scratch.take<float>(extent.images * height * width * skip.channels);
    views.push_back(
        TensorView::contiguous(values.data(), DType::kF32, {extent.images, height, width, skip.channels}));
  }
  return views;
}

}  // namespace

ControlPass ControlPass::place(Scratch& scratch, const DiffusionModel& model, const UNetExtent& extent,
                               int64_t controls) {
  ControlPass pass;
  if (controls == 0 || model.controls().empty()) return pass;
  const ControlNet& any = model.controls().front().network;  // the skip connections are the UNet's
  const int64_t factor = any.config().factor();
  pass.pictures_ =
      scratch.take<float>(extent.images * extent.height * factor * extent.width * factor * kControlChannels);
  pass.sums_ = place_residuals(scratch, any, extent);
  if (controls > 1) pass.residuals_ = place_residuals(scratch, any, extent);
  return pass;
}

int64_t ControlPass::workspace_bytes(const DiffusionModel& model, const UNetExtent& extent,
                                     uint32_t n_threads) {
  int64_t most = 0;
  for (const NamedControl& control : model.controls()) {
    most = std::max(most, control.network.workspace_bytes(extent, n_threads));
  }
  return most;
}

Status ControlPass::apply(const DiffusionModel& model, const Controls& controls,
                          const diffusion::SamplingPlan& plan, int64_t call, UNetInputs& inputs,
                          std::span<std::byte> workspace, Executor executor, const StopRequest& stop) {
  bool is_first = true;
  const int64_t batch = inputs.sample.shape[0];
  for (size_t i = 0; i < controls.list.size(); ++i) {
    const Control& control = controls.list[i];
    if (!acts(control, call, plan.n_calls())) continue;
    const Result<const NamedControl*> found = control_network(model, control.network);
    if (!found.ok()) return found.status();
    const std::span<const float> picture = controls.picture(i);
    for (int64_t k = 0; k < batch; ++k) {
      std::copy(picture.begin(), picture.end(), pictures_.begin() + k * static_cast<int64_t>(picture.size()));
    }
    const std::vector<TensorView>& into = is_first ? sums_ : residuals_;
    Status status = (*found)->network.forward(
        inputs_for((*found)->network, inputs),
        TensorView::contiguous(pictures_.data(), DType::kF32,
                               {batch, controls.height, controls.width, kControlChannels}),
        static_cast<float>(control.strength), std::span(into).first(into.size() - 1), into.back(), workspace,
        executor, stop);
    if (!status.ok()) return status;
    if (!is_first) add_up(executor);
    is_first = false;
  }
  if (is_first) return {};
  inputs.skip_residuals = std::span(sums_).first(sums_.size() - 1);
  inputs.mid_residual = sums_.back();
  return {};
}

void ControlPass::add_up(Executor executor) {
  constexpr int64_t kGrain = int64_t{1} << 16;
  for (size_t i = 0; i < sums_.size(); ++i) {
    float* sum = sums_[i].as<float>();
    const float* more = residuals_[i].as<float>();
    executor.parallel_for(sums_[i].count(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) sum[k] += more[k];
    });
  }
}

bool acts(const Control& control, int64_t call, int64_t n_calls) {
  const auto n = static_cast<double>(n_calls);
  return static_cast<double>(call) / n >= control.start && static_cast<double>(call + 1) / n <= control.end;
}

}  // namespace weft::image
