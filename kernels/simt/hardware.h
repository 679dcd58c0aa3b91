/// A GPU, where there is one, as one more way to run a test: the driver takes the PTX that the build made, and launches as
/// they are. What the checkers see, nobody sees here; results, and the guards around buffers, are what is compared.
///
/// libcuda.so.1 is looked for at run time; without it, or in a build without nvcc, present() is false.
#ifndef WEFT_KERNELS_SIMT_HARDWARE_H
#define WEFT_KERNELS_SIMT_HARDWARE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <memory>
#include <string>

namespace weft::simt {

struct LaunchShape;

/// One module of PTX on the first CUDA device. Owns what the driver made of it; memory is the caller's.
class Hardware {
 public:
  static bool present();
  /// "NVIDIA H100 80GB HBM3"; and its compute capability, 90. Only where present().
  static const std::string& name();
  static int capability();

  /// Errors: kNotFound (no device), kInternal (what the driver says of the PTX).
  static Result<std::shared_ptr<const Hardware>> load(const std::string& ptx_path);
  ~Hardware();

  /// Runs to its end. symbol: as the PTX calls the kernel.
  Status launch(const std::string& symbol, const LaunchShape& shape) const;

  // Of the device's memory; errors throw std::runtime_error, as tests want them.
  static void* upload(const void* data, size_t size);
  static void download(void* to, const void* from, size_t size);
  static void release(void* data);

 private:
  explicit Hardware(void* module) : module_(module) {}
  void* module_;
};

}  // namespace weft::simt
#endif
