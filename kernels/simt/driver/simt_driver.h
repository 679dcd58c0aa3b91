/// The device simt:0: streams and memory of a HostDriver, and the CUDA kernels of this tree compiled by g++ and run on the CPU.
///
/// What the verifier finds in a kernel (races, accesses outside of the buffers that are allocated when its stream comes to it)
/// loses the device, as a fault does on a real one: the error is the finding, with kernel, block, thread and line.
#ifndef WEFT_KERNELS_SIMT_DRIVER_SIMT_DRIVER_H
#define WEFT_KERNELS_SIMT_DRIVER_SIMT_DRIVER_H

#include <atomic>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "kernels/device/host_driver.h"
#include "kernels/device/ops.h"
#include "kernels/simt/device.h"

namespace weft {

struct SimtDriverOptions {
  HostDriverOptions host;
  int order = 0;             // of threads, as simt::DeviceOptions
  uint64_t fail_launch = 0;  // the Nth launch finds its device lost; 0: none
};

/// "memory=64MiB delay=3 order=2 fail_allocation=5 fail_launch=9", in any order, each once at most; what the environment variable
/// WEFT_SIMT says. Errors: kInvalidArgument.
Result<SimtDriverOptions> parse_simt_options(std::string_view text);

class SimtDriver final : public HostDriver {
 public:
  static Result<std::shared_ptr<SimtDriver>> create(SimtDriverOptions options);
  ~SimtDriver() override { end_streams(); }
  const DeviceOps& ops() const override { return ops_; }
  uint64_t launches() const { return launches_.load(); }

 private:
  SimtDriver(SimtDriverOptions options, std::unique_ptr<HostArena> arena);
  NativeStream make_handle(HostStream& stream) override;
  void drop_handle(NativeStream handle) noexcept override;
  Status run(simt::Device& device, const std::function<Status()>& launch);

  const SimtDriverOptions options_;
  const DeviceOps ops_ = cuda_kernel_ops();
  std::atomic<uint64_t> launches_{0};
  std::mutex mutex_;
  std::unordered_map<NativeStream, std::unique_ptr<simt::Device>> devices_;
};

}  // namespace weft
#endif
