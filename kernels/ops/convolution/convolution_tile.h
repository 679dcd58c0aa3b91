/// One tile of a convolution: its panel, its products, its way out. Private to this folder.
#ifndef WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_TILE_H
#define WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_TILE_H

#include <cstdint>

#include "kernels/ops/convolution/convolution_plan.h"

namespace weft::dense {

class TileConvolution {
 public:
  TileConvolution(const Convolution& c, const Kernels& kernels, const ConvolutionPlan& plan,
                  const Scratch& scratch, const PixelTile& tile);

  /// The tile's outputs of these groups.
  void compute(int64_t first_group, int64_t last_group);

 private:
  /// A part of k: channels [first_channel, + channels) of taps in rows [first_tap, + taps) of the kernel.
  struct Part {
    int64_t first_channel, channels;
    int64_t first_tap, taps;
  };
  Part part(int64_t band, int64_t chunk) const;

  void fill_panel(int64_t band, int64_t first_chunk);
  void fill_patches();
  void put_patch_row(int64_t image, int64_t row, int64_t first_col, uint8_t* to);
  void put_pixel(int64_t image, int64_t row, int64_t col, int64_t first_channel, int64_t channels,
                 uint8_t* to);
  void put_channels(int64_t image, int64_t row, int64_t col, int64_t first_channel, int64_t channels,
                    uint8_t* to);
  void put_source(const uint8_t* from, DType type, int64_t image, int64_t first_channel, int64_t count,
                  uint8_t* to);
  void multiply(int64_t band, int64_t chunk, int64_t group, int64_t n_groups, PanelStart start);
  PanelOutput output(int64_t first, int64_t* y_offsets, int64_t* residual_offsets) const;
  void finish(int64_t group, int64_t n_groups);

  bool changes_input() const { return c_.in_scale != nullptr || c_.in_activation.has_value(); }
  /// Pixels of x that one of u stands for, in each direction.
  int64_t factor() const { return c_.upsample == Upsample::kNone ? 1 : 2; }

  const Convolution& c_;
  const Kernels& kernels_;
  const ConvolutionPlan& plan_;
  const Scratch& scratch_;
  PixelTile tile_;
};

}  // namespace weft::dense
#endif
