/// Group norms of one image that is computed tile by tile: every tile is normalised by the whole image's statistics.
///
/// Normalised by its own statistics, a tile gets colours and contrast of its own, and blending only hides the seams. The
/// image's statistics of a norm are known once every tile has come to it, so that tiles are swept over repeatedly: a sweep
/// normalises by what the sweep before found, and adds up what it finds itself. After n sweeps the first n - 1 norms are
/// exact, and as norms make up for errors before them the others settle sooner than that: change() tells.
/// Each pixel counts once: of a tile only its core, which no other tile has.
///
/// Ownership: refers to nothing. Threads: begin_ and end_ functions and change() while no pass runs; the rest is for LayerPass.
///
///   TiledNorms norms;
///   do {
///     norms.begin_sweep();
///     for (const Tile& tile : tiles) {
///       norms.begin_tile(tile.core);
///       ...a pass over the tile, which begins with pass.set_tiled_norms(&norms)...
///       norms.end_tile();
///     }
///   } while (norms.change() > 5e-3);
#ifndef WEFT_KERNELS_LAYERS_TILED_NORMS_H
#define WEFT_KERNELS_LAYERS_TILED_NORMS_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/ops/group_norm/group_norm.h"
#include "kernels/tensor.h"

namespace weft {

/// Part of a tile, in units that divide all of its activations: of a VAE, latents.
struct TileCore {
  int64_t tile_rows = 0, tile_cols = 0;  // of the whole tile
  int64_t first_row = 0, n_rows = 0;
  int64_t first_col = 0, n_cols = 0;
};

class TiledNorms {
 public:
  /// What was found in the sweep before is used in this one; in the first one tiles use their cores' own.
  void begin_sweep();
  void begin_tile(const TileCore& core);
  void end_tile();
  /// The largest difference between what the last sweep used and what it found, over all norms and groups: of a mean in
  /// standard deviations, of a deviation relative. Infinite after the first sweep.
  double change() const;
  int64_t n_norms() const { return static_cast<int64_t>(found_.size()); }

  /// g, whose x is the current tile at any resolution, with x cut to the core.
  GroupNorm of_core(const GroupNorm& g) const;
  /// The index-th norm of the pass: adds the core's moments, which lie in g.scale and g.shift as group_norm_moments_share()
  /// leaves them, puts those to use there, and returns g with as many pixels as they stand for, for group_norm_scale_share().
  GroupNorm join(size_t index, const GroupNorm& of_core);

  // The same on a device, where moments are known when the pass has ended: [2, channels], means, then squares.
  /// Whether a sweep before found what this one uses.
  bool knows_the_image() const { return !used_.empty(); }
  void write_used(size_t index, float* moments) const;
  int64_t used_pixels(size_t index) const { return used_[index].pixels; }
  /// Where the index-th norm's moments of the core go; end_tile() adds them.
  float* room_for(size_t index, const GroupNorm& of_core);

 private:
  struct Moments {
    double mean = 0, squares = 0;  // squares: the sum of squared differences from the mean
  };
  struct Norm {
    int64_t groups = 1;
    int64_t pixels = 0;
    std::vector<Moments> channels;
  };
  struct Group {
    double mean, deviation;
  };
  struct Arriving {
    int64_t groups, pixels;
    std::vector<float> moments;
  };
  static Group group_of(const Norm& norm, int64_t group);
  void add(size_t index, int64_t groups, int64_t pixels, std::span<const float> means,
           std::span<const float> squares);

  TileCore core_;
  std::vector<Norm> used_, found_;
  std::vector<Arriving> arriving_;  // of the current tile
};

}  // namespace weft
#endif
