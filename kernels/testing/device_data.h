/// Elements of the types that device kernels read and write, to and from f32; for tests. Values.
#ifndef WEFT_KERNELS_TESTING_DEVICE_DATA_H
#define WEFT_KERNELS_TESTING_DEVICE_DATA_H

#include <cstdint>
#include <vector>

#include "kernels/quant/dequantize.h"
#include "kernels/quant/format.h"
#include "kernels/tensor.h"

namespace weft::testing {

constexpr WeightFormat format_of(DType dtype) {
  return dtype == DType::kF16    ? WeightFormat::kF16
         : dtype == DType::kBF16 ? WeightFormat::kBF16
                                 : WeightFormat::kF32;
}

/// The bytes of values rounded to f32, f16 or bf16.
inline std::vector<uint8_t> encoded(DType dtype, const std::vector<float>& values) {
  std::vector<uint8_t> bytes(values.size() * static_cast<size_t>(size_bytes(dtype)));
  if (!values.empty())
    quantize(format_of(dtype), values.data(), static_cast<int64_t>(values.size()), bytes.data());
  return bytes;
}
inline std::vector<float> decoded(DType dtype, const std::vector<uint8_t>& bytes) {
  std::vector<float> values(bytes.size() / static_cast<size_t>(size_bytes(dtype)));
  if (!values.empty())
    dequantize(format_of(dtype), bytes.data(), static_cast<int64_t>(values.size()), values.data());
  return values;
}

/// The weight formats that kernels for devices read: those of device::Block.
inline constexpr WeightFormat kDeviceFormats[] = {
    WeightFormat::kF32,  WeightFormat::kF16,    WeightFormat::kBF16,   WeightFormat::kQ4_0,
    WeightFormat::kQ4_1, WeightFormat::kQ5_0,   WeightFormat::kQ5_1,   WeightFormat::kQ8_0,
    WeightFormat::kQ2_K, WeightFormat::kQ3_K,   WeightFormat::kQ4_K,   WeightFormat::kQ5_K,
    WeightFormat::kQ6_K, WeightFormat::kIQ4_XS, WeightFormat::kIQ4_NL, WeightFormat::kMXFP4};

}  // namespace weft::testing
#endif
