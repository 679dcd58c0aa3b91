/// What ptxas says that kernels take of a multiprocessor, held to bounds by tests: registers, spills, shared memory, occupancy
/// on sm_80, sm_89 and sm_90. Without nvcc there is nothing to hold.
///
///   const simt::StaticBounds bounds[] = {{"norm_rows", {.registers = 40, .occupancy = 1}}};
///   if (!simt::has_nvcc_output("norm")) GTEST_SKIP() << simt::kNoNvcc;
///   EXPECT_EQ(simt::beyond_static_bounds("norm", bounds), "");
#ifndef WEFT_KERNELS_SIMT_STATIC_BOUNDS_H
#define WEFT_KERNELS_SIMT_STATIC_BOUNDS_H

#include <span>
#include <string>

namespace weft::simt {

inline constexpr const char* kNoNvcc =
    "skipped: there is no PTX, since nvcc was not found when this was built";

/// Of all kernels whose mangled name has `kernel` in it. No kernel may spill.
struct StaticBounds {
  const char* kernel;
  int registers = 0;     // a thread, at most
  double occupancy = 0;  // of a multiprocessor's threads, at least, with the launch bounds' threads a block
  int dynamic_shared_bytes = 0;  // a block, that a launch asks for
};

bool has_nvcc_output(const std::string& source);

/// The kernels of `source`.cu that are beyond their bounds or have none, one a line with what they take; empty if all keep
/// them.
std::string beyond_static_bounds(const std::string& source, std::span<const StaticBounds> bounds);

}  // namespace weft::simt
#endif
