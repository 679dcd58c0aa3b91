/// How a device's product is cut into tiles: by its extents alone, so that results do not depend on where it runs.
#ifndef WEFT_KERNELS_OPS_GEMM_PRODUCT_TILING_H
#define WEFT_KERNELS_OPS_GEMM_PRODUCT_TILING_H

#include <cstdint>

#include "kernels/tensor.h"

namespace weft {

/// Rows by columns of a tile; f32 has only the smallest.
enum class ProductTile : uint8_t { k128x128, k128x64, k64x64 };
constexpr int64_t tile_rows(ProductTile t) { return t == ProductTile::k64x64 ? 64 : 128; }
constexpr int64_t tile_cols(ProductTile t) { return t == ProductTile::k128x128 ? 128 : 64; }

struct ProductTiling {
  ProductTile tile = ProductTile::k64x64;
  int splits = 1;  // blocks that share the depth of a tile

  constexpr int64_t tiles(int64_t m, int64_t n) const {
    return ((m + tile_rows(tile) - 1) / tile_rows(tile)) * ((n + tile_cols(tile) - 1) / tile_cols(tile));
  }
  /// Floats of workspace.
  constexpr int64_t workspace(int64_t m, int64_t n) const { return splits > 1 ? splits * m * n : 0; }
};

/// Of [m, k] times [n, k]: the tile whose busiest multiprocessor has the least to do, and splits where tiles are fewer than those.
constexpr ProductTiling product_tiling(DType dtype, int64_t m, int64_t n, int64_t k) {
  constexpr int64_t kMultiprocessors = 132, kMostSplits = 16, kStepsOfSplit = 8;
  ProductTiling best;
  if (dtype != DType::kF32) {
    // What an element of a tile costs: small tiles read more for each.
    constexpr struct {
      ProductTile tile;
      int64_t cost;
    } kTiles[] = {{ProductTile::k128x128, 16}, {ProductTile::k128x64, 19}, {ProductTile::k64x64, 23}};
    int64_t least = INT64_MAX;
    for (const auto& t : kTiles) {
      const int64_t tiles = ProductTiling{t.tile, 1}.tiles(m, n);
      const int64_t cost =
          (tiles + kMultiprocessors - 1) / kMultiprocessors * tile_rows(t.tile) * tile_cols(t.tile) * t.cost;
      if (cost < least) least = cost, best.tile = t.tile;
    }
  }
  const int64_t tiles = best.tiles(m, n), depth = 128 / size_bytes(dtype), steps = (k + depth - 1) / depth;
  if (n % 4 != 0 || tiles == 0) return best;
  int64_t splits = 2 * kMultiprocessors / tiles;
  if (splits > steps / kStepsOfSplit) splits = steps / kStepsOfSplit;
  if (splits > kMostSplits) splits = kMostSplits;
  if (splits > 1) best.splits = static_cast<int>(splits);
  return best;
}

}  // namespace weft
#endif
