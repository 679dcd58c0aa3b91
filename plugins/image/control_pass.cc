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

// One view for each skip connection, and one for the middle, where the networks compute.
std::vector<TensorView> place_residuals(Scratch& scratch, const ControlNet& network,
                                        const UNetExtent& extent) {
  std::vector<TensorView> views;
  for (int64_t i = 0; i <= network.n_skips(); ++i) {
    TensorView view = network.residual(i, extent);
    view.data = scratch.take_for_network(view.count() * size_bytes(view.dtype)).data();
    views.push_back(view);
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
    most = std::max(most, control_workspace_bytes(model, control.network, extent, n_threads));
  }
  return most;
}

Status ControlPass::apply(ModelCompute& compute, const Controls& controls,
                          const diffusion::SamplingPlan& plan, int64_t call, UNetInputs& inputs,
                          std::span<std::byte> workspace, const StopRequest& stop) {
  bool is_first = true;
  const int64_t batch = inputs.sample.shape[0];
  for (size_t i = 0; i < controls.list.size(); ++i) {
    const Control& control = controls.list[i];
    if (!acts(control, call, plan.n_calls())) continue;
    const Result<const NamedControl*> found = control_network(compute.model(), control.network);
    if (!found.ok()) return found.status();
    const std::span<const float> picture = controls.picture(i);
    for (int64_t k = 0; k < batch; ++k) {
      std::copy(picture.begin(), picture.end(), pictures_.begin() + k * static_cast<int64_t>(picture.size()));
    }
    const std::vector<TensorView>& into = is_first ? sums_ : residuals_;
    Status status =
        compute.control((*found)->network, inputs_for((*found)->network, inputs),
                        TensorView::contiguous(pictures_.data(), DType::kF32,
                                               {batch, controls.height, controls.width, kControlChannels}),
                        static_cast<float>(control.strength), into, workspace, stop);
    for (size_t k = 0; status.ok() && !is_first && k < sums_.size(); ++k) {
      status = compute.add(sums_[k], residuals_[k]);
    }
    if (!status.ok()) return status;
    is_first = false;
  }
  if (is_first) return {};
  inputs.skip_residuals = std::span(sums_).first(sums_.size() - 1);
  inputs.mid_residual = sums_.back();
  return {};
}

bool acts(const Control& control, int64_t call, int64_t n_calls) {
  const auto n = static_cast<double>(n_calls);
  return static_cast<double>(call) / n >= control.start && static_cast<double>(call + 1) / n <= control.end;
}

}  // namespace weft::image
