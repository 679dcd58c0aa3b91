/// A network's tensors as a GGUF file with block-quantised linear layers, as stable-diffusion.cpp writes them; and, to compare
/// with, the values that those blocks stand for in f32.
#ifndef WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_TESTING_QUANTIZED_FILE_H
#define WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_TESTING_QUANTIZED_FILE_H

#include <weft/sdk/executor.h>

#include <cstdint>
#include <filesystem>
#include <span>

#include "kernels/layers/weight_source.h"

namespace weft::testing {

struct QuantizedFile {
  int64_t n_quantized = 0, quantized_bytes = 0;  // weights in blocks, and the blocks
  int64_t n_fallback = 0;                        // of n_quantized, those in Q8_0 for their width
};

/// Matrices take the formats in turn; one whose rows are not whole blocks becomes Q8_0, or stays f32 if those of 32 do not fit
/// either. Other tensors are f32. Failures are those of the test.
QuantizedFile write_quantized(const WeightSource& source, std::span<const WeightFormat> formats,
                              const std::filesystem::path& quantized,
                              const std::filesystem::path& dequantized, Executor executor);

}  // namespace weft::testing
#endif
