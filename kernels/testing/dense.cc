#include "kernels/testing/dense.h"

#include "kernels/tensor_checks.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft::testing {
namespace {

constexpr int64_t kGap = 3;
constexpr float kUntouched = -7;

}  // namespace

std::vector<IsaLevel> available_levels() {
  std::vector<IsaLevel> levels;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    if (isa_available(static_cast<IsaLevel>(i))) levels.push_back(static_cast<IsaLevel>(i));
  }
  return levels;
}

FloatTensor::FloatTensor(DType dtype, std::vector<int64_t> shape, uint64_t seed)
    : dtype_(dtype), shape_(std::move(shape)), row_(shape_.back()), stride_(row_ + kGap), n_rows_(1) {
  for (size_t i = 0; i + 1 < shape_.size(); ++i) n_rows_ *= shape_[i];
  // One element before the first, so that no address is aligned.
  storage_.resize(static_cast<size_t>((n_rows_ * stride_ + 1) * size_bytes(dtype)));
  for (int64_t i = 0; i < n_rows_ * stride_; ++i) store_element(view().data, dtype_, i, kUntouched);
  if (n_rows_ * row_ == 0) return;
  const std::vector<float> random = random_normal(n_rows_ * row_, seed);
  for (int64_t i = 0; i < n_rows_ * row_; ++i) set(i, seed == 0 ? 0 : random[static_cast<size_t>(i)]);
}

TensorView FloatTensor::view() const {
  TensorView view;
  view.data = const_cast<uint8_t*>(storage_.data()) + size_bytes(dtype_);
  view.dtype = dtype_;
  view.rank = static_cast<int>(shape_.size());
  int64_t stride = stride_;
  for (int i = view.rank - 1; i >= 0; --i) {
    view.shape[i] = shape_[static_cast<size_t>(i)];
    view.strides[i] = i == view.rank - 1 ? 1 : stride;
    if (i < view.rank - 1) stride *= view.shape[i];
  }
  return view;
}

TensorView FloatTensor::rows(int64_t first, int64_t count) const {
  TensorView part = view();
  part.data = static_cast<uint8_t*>(part.data) + first * part.strides[0] * size_bytes(dtype_);
  part.shape[0] = count;
  return part;
}

std::vector<float> FloatTensor::values() const {
  std::vector<float> values;
  for (int64_t r = 0; r < n_rows_; ++r) {
    for (int64_t i = 0; i < row_; ++i) values.push_back(load_element(view().data, dtype_, r * stride_ + i));
  }
  return values;
}

void FloatTensor::set(int64_t i, float value) {
  store_element(view().data, dtype_, i / row_ * stride_ + i % row_, value);
}

bool FloatTensor::gaps_untouched() const {
  for (int64_t r = 0; r < n_rows_; ++r) {
    for (int64_t i = row_; i < stride_; ++i) {
      if (load_element(view().data, dtype_, r * stride_ + i) != kUntouched) return false;
    }
  }
  return true;
}

double relative_error(const FloatTensor& got, const FloatTensor& want) {
  const std::vector<float> a = got.values(), b = want.values();
  return relative_error(a.data(), b.data(), static_cast<int64_t>(b.size()));
}

}  // namespace weft::testing
