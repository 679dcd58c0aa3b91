/// The number formats in which weights are stored, with their block sizes: the plain ones and the
/// block-quantised ones of GGUF. A block holds `elements` consecutive weights of one row in `bytes` bytes.
/// Source: the GGUF specification (ggml, docs/gguf.md) and the block structures that it names; MXFP4: OCP
/// Microscaling Formats 1.0.
#ifndef WEFT_KERNELS_QUANT_FORMAT_H
#define WEFT_KERNELS_QUANT_FORMAT_H

#include <cstdint>

namespace weft {

enum class WeightFormat : uint8_t {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI8,
  kI16,
  kI32,
  kI64,  // one element a block
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,  // 32 elements a block
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_XS,  // 256 elements a block
  kIQ4_NL,
  kMXFP4,  // 32 elements a block
};
inline constexpr int kWeightFormatCount = static_cast<int>(WeightFormat::kMXFP4) + 1;

struct BlockLayout {
  const char* name;  // as GGUF users write it: "Q4_K"
  int32_t elements;  // weights a block
  int32_t bytes;     // bytes a block
};

constexpr BlockLayout block_layout(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32: return {"F32", 1, 4};
    case WeightFormat::kF16: return {"F16", 1, 2};
    case WeightFormat::kBF16: return {"BF16", 1, 2};
    case WeightFormat::kF64: return {"F64", 1, 8};
    case WeightFormat::kI8: return {"I8", 1, 1};
    case WeightFormat::kI16: return {"I16", 1, 2};
    case WeightFormat::kI32: return {"I32", 1, 4};
    case WeightFormat::kI64: return {"I64", 1, 8};
    case WeightFormat::kQ4_0: return {"Q4_0", 32, 18};
    case WeightFormat::kQ4_1: return {"Q4_1", 32, 20};
    case WeightFormat::kQ5_0: return {"Q5_0", 32, 22};
    case WeightFormat::kQ5_1: return {"Q5_1", 32, 24};
    case WeightFormat::kQ8_0: return {"Q8_0", 32, 34};
    case WeightFormat::kQ2_K: return {"Q2_K", 256, 84};
    case WeightFormat::kQ3_K: return {"Q3_K", 256, 110};
    case WeightFormat::kQ4_K: return {"Q4_K", 256, 144};
    case WeightFormat::kQ5_K: return {"Q5_K", 256, 176};
    case WeightFormat::kQ6_K: return {"Q6_K", 256, 210};
    case WeightFormat::kIQ4_XS: return {"IQ4_XS", 256, 136};
    case WeightFormat::kIQ4_NL: return {"IQ4_NL", 32, 18};
    case WeightFormat::kMXFP4: return {"MXFP4", 32, 17};
  }
  return {"?", 1, 0};
}

}  // namespace weft
#endif
