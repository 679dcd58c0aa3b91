/// A CUDA device behind driver.h: streams and events as they are, memory from a pool of its own (cudaMallocFromPoolAsync) in
/// which no stream is made to wait for another, kernels as nvcc compiled them, and NVIDIA's libraries where they win (vendor/).
#ifndef WEFT_KERNELS_CUDA_CUDA_DRIVER_H
#define WEFT_KERNELS_CUDA_CUDA_DRIVER_H

#include <cuda_runtime.h>

#include <memory>
#include <mutex>
#include <vector>

#include "kernels/device/copy_counters.h"
#include "kernels/device/driver.h"
#include "kernels/device/ops.h"

namespace weft {

/// Of every device that the driver shows. Errors: kNotFound (no driver, one that is too old, no device), with CUDA's reason.
Result<std::vector<DeviceFacts>> cuda_devices();

class CudaDriver final : public DeviceDriver {
 public:
  /// Errors: those of cuda_devices(), kNotFound (index), kOutOfMemory.
  static Result<std::shared_ptr<DeviceDriver>> open(int index);
  ~CudaDriver() override;

  const DeviceFacts& facts() const override { return facts_; }
  const DeviceOps& ops() const override { return ops_; }
  Result<NativeStream> create_stream() override;
  void destroy_stream(NativeStream stream) noexcept override;
  Result<NativeEvent> create_event() override;
  void destroy_event(NativeEvent event) noexcept override;
  Status record(NativeEvent event, NativeStream stream) override;
  Status wait(NativeStream stream, NativeEvent event) override;
  Result<bool> reached(NativeEvent event) override;
  Status synchronize(NativeStream stream) override;
  Result<void*> allocate(uint64_t size_bytes, NativeStream stream, const char* tag) override;
  Status release(void* data, NativeStream stream) override;
  DevicePoolStatistics pool_statistics() const override;
  Status trim(uint64_t keep_bytes) override;
  Status set_release_threshold(uint64_t keep_bytes) override;
  Result<void*> allocate_pinned(uint64_t size_bytes) override;
  void release_pinned(void* data) noexcept override;
  Status copy_to_device(void* to, const void* from, uint64_t size_bytes, NativeStream stream) override;
  Status copy_to_host(void* to, const void* from, uint64_t size_bytes, NativeStream stream) override;
  Status copy_within(void* to, const void* from, uint64_t size_bytes, NativeStream stream) override;
  DeviceCopies copies() const override { return copies_.total(); }
  Status fill(void* to, uint8_t value, uint64_t size_bytes, NativeStream stream) override;
  Status begin_capture(NativeStream stream) override;
  Result<NativeGraph> end_capture(NativeStream stream) override;
  Status launch(NativeGraph graph, NativeStream stream) override;
  void destroy_graph(NativeGraph graph) noexcept override;
  Result<void*> allocate_shared(uint64_t size_bytes, NativeStream stream, const char* tag) override;
  Result<int> export_pool() override;
  Result<NativeEvent> create_shared_event() override;
  Result<SharedBlock> export_block(void* data, uint64_t size_bytes, NativeEvent ready,
                                   NativeEvent returned) override;
  Result<NativePool> open_pool(int descriptor) override;
  void close_pool(NativePool pool) noexcept override;
  Result<OpenedBlock> open_block(NativePool pool, const SharedBlock& block) override;
  Status close_block(const OpenedBlock& block, NativeStream last_use) override;
  Status allow_peer(int index) override;

 private:
  CudaDriver(int index, DeviceFacts facts);
  /// Makes the device the calling thread's, and CUDA's code a status that names device and call.
  template <typename Call>
  Status on_device(const char* what, const Call& call) const;
  Result<void*> allocate_from(cudaMemPool_t pool, uint64_t size_bytes, NativeStream stream, const char* tag);
  /// Makes it if there is none yet. Errors: kUnsupported.
  Result<cudaMemPool_t> shared_pool();

  const int index_;
  const DeviceFacts facts_;
  DeviceOps ops_ = cuda_kernel_ops();
  cudaMemPool_t pool_ = nullptr;
  std::mutex shared_pool_mutex_;
  cudaMemPool_t shared_pool_ = nullptr;  // apart, since CUDA trims no pool that processes share
  CopyCounters copies_;
};

}  // namespace weft
#endif
