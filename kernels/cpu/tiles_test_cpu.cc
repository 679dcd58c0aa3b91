// One product of tiles a call, for tiles_test.cc; compiled once per body.

#include "kernels/cpu/tiles.h"
#include "kernels/cpu/tiles_test_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

// The highest numbers too, so that a test sees them used.
constexpr int kC = 7, kA = 0, kB = 3;

template <typename Multiply>
void multiply(const TileProduct& p, Multiply multiply) {
  TileShapes shapes;
  shapes.set(kC, p.m, 4 * p.n);
  shapes.set(kA, p.m, 4 * p.depth);
  shapes.set(kB, p.depth, 4 * p.n);
  Tiles tiles(shapes);
  tiles.load<kC>(p.c, p.c_stride);
  tiles.load<kA>(p.a, p.a_stride);
  tiles.load_once<kB>(p.b, p.b_stride);
  multiply(tiles);
  tiles.store<kC>(p.c, p.c_stride);
}

void bf16(const TileProduct& p) {
  multiply(p, [](Tiles& tiles) { tiles.multiply_bf16<kC, kA, kB>(); });
}
void s8_u8(const TileProduct& p) {
  multiply(p, [](Tiles& tiles) { tiles.multiply_s8_u8<kC, kA, kB>(); });
}
void u8_s8(const TileProduct& p) {
  multiply(p, [](Tiles& tiles) { tiles.multiply_u8_s8<kC, kA, kB>(); });
}
void s8_s8(const TileProduct& p) {
  multiply(p, [](Tiles& tiles) { tiles.multiply_s8_s8<kC, kA, kB>(); });
}

void zeroed(const void* bytes, void* out) {
  TileShapes shapes;
  shapes.set(1, kMostTileRows, kMostTileRowBytes);
  Tiles tiles(shapes);
  tiles.load<1>(bytes, kMostTileRowBytes);
  tiles.zero<1>();
  tiles.store<1>(out, kMostTileRowBytes);
}

}  // namespace

extern const TileTestBodies kTileTestBodies = {WEFT_ISA_NAME, bf16, s8_u8, u8_s8, s8_s8, zeroed};

}  // namespace weft::WEFT_ISA_NAMESPACE
