/// Products of small matrices held in tiles: Intel's AMX where the body has it, plain arrays in every other body, with
/// the same bits, so that the logic of a kernel made of tiles is tested on machines without AMX.
///
/// There are eight tiles, 0 to 7, each up to 16 rows of 64 bytes. A Tiles object gives them their shapes and owns them
/// until it dies; one a thread at a time. Tile numbers are template arguments, because the instructions name registers.
///
///   TileShapes shapes;
///   shapes.set(0, 16, 64), shapes.set(1, m, 4 * pairs), shapes.set(2, pairs, 64);   // C [m][16], A, B
///   Tiles tiles(shapes);
///   tiles.zero<0>();
///   tiles.load<1>(a, a_stride), tiles.load<2>(b, 64);
///   tiles.multiply_bf16<0, 1, 2>();
///   tiles.store<0>(c, c_stride);
///
/// The second factor B lies in groups of four bytes: row k holds, for each of 16 columns n, the 4 k, ..., 4 k + 3rd bytes of
/// column n (two bf16, or four 8-bit integers). Tiles are there in a source given to weft_isa_sources() with ALSO amx, and
/// internal to the object; elsewhere only the constants are. Source: Intel Architecture Instruction Set Extensions Programming Reference, chapter 3 (AMX).
#ifndef WEFT_KERNELS_CPU_TILES_H
#define WEFT_KERNELS_CPU_TILES_H

#include <stdint.h>

namespace weft {
inline constexpr int kTiles = 8;
inline constexpr int kMostTileRows = 16;
inline constexpr int kMostTileRowBytes = 64;
}  // namespace weft

#if defined(WEFT_ISA_NAMESPACE)
namespace weft::WEFT_ISA_NAMESPACE {
namespace {

/// What `ldtilecfg` reads. Tiles that are not set have no rows and must not be used.
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  /// n_rows: 1 to 16. n_bytes of a row: a multiple of 4, up to 64.
  void set(int tile, int n_rows, int n_bytes) {
    rows[tile] = static_cast<uint8_t>(n_rows);
    row_bytes[tile] = static_cast<uint16_t>(n_bytes);
  }
};
static_assert(sizeof(TileShapes) == 64);

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE

#if defined(WEFT_ISA_AMX)
#include "kernels/cpu/tiles_amx.h"
#else
#include "kernels/cpu/tiles_plain.h"
#endif
#endif

#endif
