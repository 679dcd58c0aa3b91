/// A CUDA device whose kernels run on the CPU: one fiber a CUDA thread, or the PTX of nvcc's by an interpreter, checked at
/// every access and barrier.
///
/// The device is handed to a kernel's host function where a CUDA build takes its stream (CUstream_st is what cudaStream_t
/// points to), so that one host function serves both. A launch runs at once, to its end. The device owns the stacks of
/// its fibers and the report of what was found since clear(). One host thread at a time; `workers` threads share a
/// launch's blocks among them.
///
///   simt::Device device({.order = 3});
///   simt::Buffer<float> x(device, "x", values);
///   ASSERT_TRUE(activate_cuda(..., x.data(), ..., &device).ok()) << device.report().text();
#ifndef WEFT_KERNELS_SIMT_DEVICE_H
#define WEFT_KERNELS_SIMT_DEVICE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/simt/report.h"

struct CUstream_st {};

namespace weft::simt {

/// Orders in which threads run between two barriers that a test goes through.
inline constexpr int kOrders = 8;

/// When a cp.async copies: at its wait, the latest that the language allows, or at once.
enum class CopyTime : uint8_t { kLatest, kAtOnce };

namespace ptx {
struct Module;
}
class Hardware;

/// Whether the sectors and bank conflicts of each line are counted: what tests of a kernel want and what uses of it do not.
enum class Counting : uint8_t { kOff, kOn };

struct DeviceOptions {
  int order = 0;  // 0: warps and lanes forwards; 1: backwards; more: shuffled anew every turn, by this seed
  CopyTime copy_time = CopyTime::kLatest;
  int workers = 1;
  const ptx::Module* ptx =
      nullptr;  // runs this code, which outlives the device, in the place of what g++ made
  const Hardware* hardware = nullptr;  // with ptx: a GPU runs it, nothing is checked; outlives the device
  Counting counting = Counting::kOn;
};

struct Memory {
  std::string name;
  uintptr_t begin = 0, end = 0;
};

struct LaunchState;

class Device : public CUstream_st {
 public:
  explicit Device(DeviceOptions options = {});
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const DeviceOptions& options() const { return options_; }
  /// Of all launches since clear(). Sites are by source line and sorted.
  const Report& report() const { return report_; }
  void clear() { report_ = {}; }

  /// [data, data + size) is memory that kernels may access, until removed. Buffer does this.
  void add_memory(const std::string& name, const void* data, size_t size);
  void remove_memory(const void* data);
  /// queue gets each launch, to run it later in the order of calls. Without one launches run at once.
  void set_queue(std::function<Status(std::function<Status()> launch)> queue) { queue_ = std::move(queue); }
  const std::function<Status(std::function<Status()>)>& queue() const { return queue_; }
  /// All of it, in the place of what was there.
  void set_memory(std::vector<Memory> memory) { memory_ = std::move(memory); }
  const std::vector<Memory>& memory() const { return memory_; }

 private:
  friend struct LaunchState;
  DeviceOptions options_;
  Report report_;
  std::vector<Memory> memory_;
  std::function<Status(std::function<Status()>)> queue_;
};

/// Bytes of device memory between two guards; what Buffer holds.
class GuardedMemory {
 public:
  GuardedMemory(Device& device, const std::string& name, const void* values, size_t size, size_t shift);
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  void* data() const { return data_; }
  /// Copies the contents. Throws std::runtime_error if a GPU's kernel has written to a guard.
  void read(void* to) const;

 private:
  static constexpr size_t kGuard = 256;
  Device& device_;
  const std::string name_;
  const size_t size_, shift_;
  std::vector<unsigned char> storage_;
  unsigned char* image_;            // in storage_: guard, shift, contents, guard
  unsigned char* there_ = nullptr;  // on a GPU: the image, copied
  unsigned char* data_;
};

/// `count` elements of device memory between two guards: 256-byte aligned as CUDA's allocations are, or `shift`
/// elements after that. Kernels that leave it are found; the bytes of the guards are those of NaN.
template <typename T>
class Buffer {
 public:
  Buffer(Device& device, const std::string& name, const std::vector<T>& values, size_t shift = 0)
      : memory_(device, name, values.data(), values.size() * sizeof(T), shift * sizeof(T)),
        count_(values.size()) {}

  /// On a GPU: an address of its memory, which the host does not read.
  T* data() { return static_cast<T*>(memory_.data()); }
  std::vector<T> values() const {
    std::vector<T> values(count_);
    memory_.read(values.data());
    return values;
  }

 private:
  GuardedMemory memory_;
  size_t count_;
};

}  // namespace weft::simt
#endif
