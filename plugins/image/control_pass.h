/// One call's control networks: what they add to the UNet's skip connections, summed over all that act at that call.
///
/// Memory comes from scratch: the sums', where the networks compute. Thread safety: one thread.
///
///   ControlPass pass = ControlPass::place(scratch, model, extent, controls);
///   Status status = pass.apply(compute, controls, plan, call, inputs, workspace, stop);   // before ModelCompute::predict()
#ifndef WEFT_PLUGINS_IMAGE_CONTROL_PASS_H
#define WEFT_PLUGINS_IMAGE_CONTROL_PASS_H

#include <span>
#include <vector>

#include "kernels/diffusion/sampling_plan.h"
#include "plugins/image/control.h"
#include "plugins/image/model_compute.h"

namespace weft::image {

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
  std::span<float> pictures_;                 // [batch, height, width, 3]
  std::vector<TensorView> sums_, residuals_;  // of every skip connection, and last of the middle
};

/// Whether a control acts at a call. By its share of the calls, as diffusers counts: from the first call that begins at
/// or after start to the last that ends at or before end.
bool acts(const Control& control, int64_t call, int64_t n_calls);

}  // namespace weft::image
#endif
