/// Every way in which a test runs a kernel: what g++ made of it, in each order of threads, and the PTX that nvcc made for
/// sm_80 and sm_90, where the build found nvcc; and that PTX on a GPU, where there is one. WEFT_TEST_TARGETS=gpu leaves the GPU
/// alone.
///
///   for (const simt::Target& target : simt::targets("norm")) {
///     SCOPED_TRACE(target.name);
///     simt::Device device(target.options);
///     ...
///   }
#ifndef WEFT_KERNELS_SIMT_TARGETS_H
#define WEFT_KERNELS_SIMT_TARGETS_H

#include <memory>
#include <string>
#include <vector>

#include "kernels/simt/device.h"
#include "kernels/simt/hardware.h"

namespace weft::simt {

struct Target {
  std::string name;  // "order 3", "PTX for sm_90", "NVIDIA H100 80GB HBM3"
  DeviceOptions options;
  std::shared_ptr<const ptx::Module> module = nullptr;  // what options.ptx points to
  std::shared_ptr<const Hardware> hardware = nullptr;   // what options.hardware points to
};

/// source: of the .cu file, without folder and ending. Throws std::runtime_error if there is PTX that cannot be parsed or
/// that the GPU's driver refuses.
std::vector<Target> targets(const std::string& source);
/// Those whose accesses are checked: all but the GPU.
std::vector<Target> checked_targets(const std::string& source);
/// Those of g++ alone.
std::vector<Target> thread_orders();

/// "build/cpu/ptx/norm.sm_80.ptx", whether or not there is one. ending: "ptx" or "resources".
std::string nvcc_output(const std::string& source, const std::string& architecture,
                        const std::string& ending);

}  // namespace weft::simt
#endif
