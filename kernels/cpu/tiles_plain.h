/// tiles.h for bodies without AMX: the definition of each instruction, in arrays. For tests of kernels made of tiles, not
/// for speed. Not to be included directly.
#ifndef WEFT_KERNELS_CPU_TILES_PLAIN_H
#define WEFT_KERNELS_CPU_TILES_PLAIN_H

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

class Tiles {
 public:
  explicit Tiles(const TileShapes& shapes) : shapes_(shapes) {}
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;

  void reshape(const TileShapes& shapes) {
    shapes_ = shapes;
    __builtin_memset(bytes_, 0, sizeof(bytes_));
  }
  template <int kTile>
  void zero() {
    __builtin_memset(bytes_[kTile], 0, sizeof(bytes_[kTile]));
  }
  template <int kTile>
  void load(const void* p, int64_t stride) {
    zero<kTile>();  // what is beyond a tile's shape reads as 0
    for (int r = 0; r < shapes_.rows[kTile]; ++r)
      __builtin_memcpy(bytes_[kTile][r], static_cast<const char*>(p) + r * stride, shapes_.row_bytes[kTile]);
  }
  template <int kTile>
  void load_once(const void* p, int64_t stride) {
    load<kTile>(p, stride);
  }
  template <int kTile>
  void store(void* p, int64_t stride) const {
    for (int r = 0; r < shapes_.rows[kTile]; ++r)
      __builtin_memcpy(static_cast<char*>(p) + r * stride, bytes_[kTile][r], shapes_.row_bytes[kTile]);
  }

  template <int kC, int kA, int kB>
  void multiply_bf16() {
    for (int m = 0; m < shapes_.rows[kC]; ++m) {
      float even[16] = {}, odd[16] = {};
      for (int k = 0; k < shapes_.rows[kB]; ++k) {
        const float a0 = bf16(kA, m, 2 * k), a1 = bf16(kA, m, 2 * k + 1);
        for (int n = 0; n < shapes_.row_bytes[kC] / 4; ++n) {
          // The products are exact, so it does not matter whether they are fused with the sums.
          even[n] = flushed(even[n] + flushed(a0 * bf16(kB, k, 2 * n)));
          odd[n] = flushed(odd[n] + flushed(a1 * bf16(kB, k, 2 * n + 1)));
        }
      }
      float c[16];
      __builtin_memcpy(c, bytes_[kC][m], sizeof(c));
      for (int n = 0; n < shapes_.row_bytes[kC] / 4; ++n)
        c[n] = flushed(flushed(c[n]) + flushed(even[n] + odd[n]));
      __builtin_memcpy(bytes_[kC][m], c, sizeof(c));
    }
  }
  template <int kC, int kA, int kB>
  void multiply_s8_u8() {
    multiply_bytes<int8_t, uint8_t>(kC, kA, kB);
  }
  template <int kC, int kA, int kB>
  void multiply_u8_s8() {
    multiply_bytes<uint8_t, int8_t>(kC, kA, kB);
  }
  template <int kC, int kA, int kB>
  void multiply_s8_s8() {
    multiply_bytes<int8_t, int8_t>(kC, kA, kB);
  }

 private:
  static float flushed(float x) { return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0, x) : x; }

  /// Element `i` of row `row`, denormal ones as 0.
  float bf16(int tile, int row, int i) const {
    uint16_t half;
    __builtin_memcpy(&half, bytes_[tile][row] + 2 * i, 2);
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    float x;
    __builtin_memcpy(&x, &bits, 4);
    return flushed(x);
  }

  template <typename FirstByte, typename SecondByte>
  void multiply_bytes(int tile_c, int tile_a, int tile_b) {
    for (int m = 0; m < shapes_.rows[tile_c]; ++m) {
      uint32_t c[16];  // sums wrap, as the instruction's do
      __builtin_memcpy(c, bytes_[tile_c][m], sizeof(c));
      for (int k = 0; k < shapes_.rows[tile_b]; ++k) {
        for (int n = 0; n < shapes_.row_bytes[tile_c] / 4; ++n) {
          for (int j = 0; j < 4; ++j)
            c[n] += static_cast<uint32_t>(static_cast<FirstByte>(bytes_[tile_a][m][4 * k + j]) *
                                          static_cast<SecondByte>(bytes_[tile_b][k][4 * n + j]));
        }
      }
      __builtin_memcpy(bytes_[tile_c][m], c, sizeof(c));
    }
  }

  TileShapes shapes_;
  alignas(64) uint8_t bytes_[kTiles][kMostTileRows][kMostTileRowBytes] = {};
};

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
