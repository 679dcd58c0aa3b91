/// Matrices as they lie on a device, for tests of kernels that read them. A test that includes this links weft_unpack_simt.
#ifndef WEFT_KERNELS_TESTING_DEVICE_MATRIX_H
#define WEFT_KERNELS_TESTING_DEVICE_MATRIX_H

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "kernels/ops/matmul/tile_weights_cuda.h"
#include "kernels/simt/device.h"

namespace weft::testing {

/// blocks: [n, k] as a file has it. Those of plain formats stay as they are. Throws std::runtime_error if the kernel fails.
inline std::vector<uint8_t> device_matrix(WeightFormat format, const std::vector<uint8_t>& blocks, int64_t n,
                                          int64_t k) {
  if (!lies_in_tiles(format)) return blocks;
  simt::Device device;
  simt::Buffer<uint8_t> from(device, "blocks", blocks),
      to(device, "tiles", std::vector<uint8_t>(static_cast<size_t>(device_matrix_bytes(format, n, k)), 0xff));
  if (!tile_weights_cuda({format, from.data(), to.data(), n, k}, &device).ok())
    throw std::runtime_error(device.report().text());
  return to.values();
}

}  // namespace weft::testing
#endif
