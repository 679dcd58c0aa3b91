#include "plugins/image/control_pass.h"

#include <algorithm>
#include <string>

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

Status check_size(const Controls& controls, const PictureSize& size) {
  if (controls.empty() || (controls.height == size.height && controls.width == size.width)) return {};
  return Status(StatusCode::kInvalidShape, "a control of another size than the picture to make")
      .at("port 'control'")
      .expected(std::to_string(size.width) + " x " + std::to_string(size.height) + " pixels")
      .got(std::to_string(controls.width) + " x " + std::to_string(controls.height))
      .hint("image.resize makes the picture of image.control fit");
}

}  // namespace

std::span<std::byte> place_control_pictures(Scratch& scratch, const DiffusionModel& model,
                                            const PictureSize& size, int64_t controls) {
  if (controls == 0 || model.device() == nullptr) return {};
  return scratch.take_for_network(controls * size.height * size.width * kControlChannels *
                                  static_cast<int64_t>(sizeof(float)));
}

Result<Controls> bring_controls(ModelCompute& compute, const sdk::Request& request, size_t port,
                                const PictureSize& size, std::span<std::byte> memory) {
  Result<Controls> controls = input_controls(request, port);
  if (!controls.ok() || controls->empty()) return controls;
  if (Status fits = check_size(*controls, size); !fits.ok()) return fits;
  if (compute.model().device() != nullptr && controls->pictures.size_bytes() > memory.size())
    return Status(StatusCode::kOutOfRange, "more controls than were prepared for").at("port 'control'");
  Result<std::span<const float>> brought = compute.bring(controls->pictures, memory);
  if (!brought.ok()) return brought.status();
  controls->pictures = *brought;
  return controls;
}

ControlPass ControlPass::place(Scratch& scratch, const DiffusionModel& model, const UNetExtent& extent,
                               int64_t controls) {
  ControlPass pass;
  if (controls == 0 || model.controls().empty()) return pass;
  const ControlNet& any = model.controls().front().network;  // the skip connections are the UNet's
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
  for (size_t i = 0; i < controls.list.size(); ++i) {
    const Control& control = controls.list[i];
    if (!acts(control, call, plan.n_calls())) continue;
    const Result<const NamedControl*> found = control_network(compute.model(), control.network);
    if (!found.ok()) return found.status();
    const std::vector<TensorView>& into = is_first ? sums_ : residuals_;
    Status status =
        compute.control((*found)->network, inputs_for((*found)->network, inputs),
                        TensorView::contiguous(const_cast<float*>(controls.picture(i).data()), DType::kF32,
                                               {1, controls.height, controls.width, kControlChannels}),
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
