/// What tests of dense ops share: aligned memory, the levels of this machine, and tensors of f32 or bf16 with gaps.
///
///   FloatTensor x(DType::kBF16, {2, 8, 8, 320}, seed);  op({.x = x.view(), ...});  x.values();
#ifndef WEFT_KERNELS_TESTING_DENSE_H
#define WEFT_KERNELS_TESTING_DENSE_H

#include <cstdint>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/tensor.h"

namespace weft::testing {

struct AlignedBytes {
  explicit AlignedBytes(int64_t size) : storage(static_cast<size_t>(size) + 64) {}
  void* data() {
    return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(storage.data()) + 63) / 64 * 64);
  }
  std::vector<uint8_t> storage;
};

/// Those that this machine has, lowest first.
std::vector<IsaLevel> available_levels();

/// A tensor whose rows (its last dimension) lie three elements further apart than they need to, at an address that is not
/// aligned. Values are standard normal, or zero for seed 0; the gaps hold a value that nobody may change.
class FloatTensor {
 public:
  FloatTensor(DType dtype, std::vector<int64_t> shape, uint64_t seed);
  TensorView view() const;
  /// Rows [first, first + count) of the first dimension.
  TensorView rows(int64_t first, int64_t count) const;
  /// All elements in order, without the gaps.
  std::vector<float> values() const;
  /// Element number i in that order.
  void set(int64_t i, float value);
  bool gaps_untouched() const;

 private:
  DType dtype_;
  std::vector<int64_t> shape_;
  std::vector<uint8_t> storage_;
  int64_t row_, stride_, n_rows_;
};

/// relative_error() of tolerance.h over all elements.
double relative_error(const FloatTensor& got, const FloatTensor& want);

}  // namespace weft::testing
#endif
