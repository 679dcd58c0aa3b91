/// The order in which block-quantised matrices lie on a device: tiles of 16 rows, whose bytes are those of the blocks, arranged so
/// that a warp reads whole lines and finds in each lane what it gives to the tensor cores.
///
/// A matrix [n, k] is ceil(n / 16) tiles, a tile is ceil(k / unit) units one after another, and a unit is 16 rows of 256 elements
/// (formats of superblocks) or 64 (formats of blocks of 32). In a unit lie, each a plane of its own:
///   - codes, in the order of mma.m16n8k32's first operand: of run r of 32 elements, lane 4 g + c has words 0 to 3, which are
///     elements 4 c to 4 c + 3 of row g, of row g + 8, and elements 16 + 4 c to 16 + 4 c + 3 of row g, of row g + 8;
///     codes of 5, 6 and 3 bits are two planes, of the lower 4 or 2 bits and of the others;
///   - scales and minima, in the order in which lanes use them;
///   - what superblocks multiply these with.
/// weight_tiles_device.h says it for each format. Codes around a zero point are signed. Rows past n and elements past k are zeros,
/// so that only n that are no multiple of 16 and k that are no multiple of the unit take more bytes than the file.
#ifndef WEFT_KERNELS_QUANT_WEIGHT_TILES_H
#define WEFT_KERNELS_QUANT_WEIGHT_TILES_H

#include <cstdint>

#include "kernels/quant/format.h"

namespace weft {

inline constexpr int64_t kTileRows = 16;

/// Whether matrices of this format lie in tiles on a device; others lie as rows of elements.
constexpr bool lies_in_tiles(WeightFormat format) { return block_layout(format).elements > 1; }

/// Elements of a row in a unit. Precondition: lies_in_tiles().
constexpr int64_t tile_unit_elements(WeightFormat format) {
  return block_layout(format).elements == 256 ? 256 : 64;
}
constexpr int64_t tile_unit_bytes(WeightFormat format) {
  const BlockLayout block = block_layout(format);
  return kTileRows * tile_unit_elements(format) / block.elements * block.bytes;
}
/// Of a tile of rows of k elements.
constexpr int64_t tile_bytes(WeightFormat format, int64_t k) {
  const int64_t unit = tile_unit_elements(format);
  return (k + unit - 1) / unit * tile_unit_bytes(format);
}

/// Bytes of a matrix [n, k] on a device, whatever its format.
constexpr int64_t device_matrix_bytes(WeightFormat format, int64_t n, int64_t k) {
  if (!lies_in_tiles(format)) return n * k * block_layout(format).bytes;
  return (n + kTileRows - 1) / kTileRows * tile_bytes(format, k);
}

}  // namespace weft
#endif
