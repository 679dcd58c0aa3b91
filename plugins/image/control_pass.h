/// One call's control networks: what they add to the UNet's skip connections, summed over all that act at that call.
///
/// A request's pictures are brought to where the networks compute once, for all calls. Memory comes from scratch: that of pictures on
/// a device, and the sums', where the networks compute. Thread safety: one thread.
///
///   std::span<std::byte> memory = place_control_pictures(scratch, model, size, controls);        // of a request
///   Result<Controls> controls = bring_controls(compute, request, kControl, size, memory);
///   ControlPass pass = ControlPass::place(scratch, model, extent, controls);
///   Status status = pass.apply(compute, controls, plan, call, inputs, workspace, stop);   // before ModelCompute::predict()
#ifndef WEFT_PLUGINS_IMAGE_CONTROL_PASS_H
#define WEFT_PLUGINS_IMAGE_CONTROL_PASS_H

#include <span>
#include <vector>

#include "kernels/diffusion/sampling_plan.h"
#include "plugins/image/control.h"
#include "plugins/image/generation_parameters.h"
#include "plugins/image/model_compute.h"

namespace weft::image {

/// Memory for up to `controls` pictures of this size on the model's device; none on the CPU.
std::span<std::byte> place_control_pictures(Scratch& scratch, const DiffusionModel& model,
                                            const PictureSize& size, int64_t controls);
/// Those at a request's input; their pictures are the request's, or on a device in `memory`. Errors: those of input_controls(),
/// kInvalidShape (not of this size), kOutOfRange (more than was placed), the device's.
Result<Controls> bring_controls(ModelCompute& compute, const sdk::Request& request, size_t port,
                                const PictureSize& size, std::span<std::byte> memory);

class ControlPass {
 public:
  ControlPass() = default;
  /// controls: at most; of one there is nothing to sum, so that it takes half of the memory.
  static ControlPass place(Scratch& scratch, const DiffusionModel& model, const UNetExtent& extent,
                           int64_t controls);
  /// Of apply()'s workspace: the largest of all networks.
  static int64_t workspace_bytes(const DiffusionModel& model, const UNetExtent& extent, uint32_t n_threads);

  /// Points `inputs` at the sums; leaves it as it is if no control acts at this call. Errors: those of ControlNet::forward.
  Status apply(ModelCompute& compute, const Controls& controls, const diffusion::SamplingPlan& plan,
               int64_t call, UNetInputs& inputs, std::span<std::byte> workspace, const StopRequest& stop);

 private:
  std::vector<TensorView> sums_, residuals_;  // of every skip connection, and last of the middle
};

/// Whether a control acts at a call. By its share of the calls, as diffusers counts: from the first call that begins at
/// or after start to the last that ends at or before end.
bool acts(const Control& control, int64_t call, int64_t n_calls);

}  // namespace weft::image
#endif
