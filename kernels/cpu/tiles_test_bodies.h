/// The functions of tiles_test_cpu.cc, once per body. For tiles_test.cc.
#ifndef WEFT_KERNELS_CPU_TILES_TEST_BODIES_H
#define WEFT_KERNELS_CPU_TILES_TEST_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"

namespace weft {

/// c [m][n] += a [m][4 * depth bytes] times b [depth][4 * n bytes], rows of each `*_stride` bytes apart, in one tile.
struct TileProduct {
  int m, n, depth;
  void* c;
  int64_t c_stride;
  const void* a;
  int64_t a_stride;
  const void* b;
  int64_t b_stride;
};

struct TileTestBodies {
  const char* name;
  void (*bf16)(const TileProduct& p);
  void (*s8_u8)(const TileProduct& p);
  void (*u8_s8)(const TileProduct& p);
  void (*s8_s8)(const TileProduct& p);
  /// Writes what zero() makes of a tile that was loaded from `bytes` [16][64].
  void (*zeroed)(const void* bytes, void* out);
};
WEFT_DECLARE_ISA_BODIES(TileTestBodies, kTileTestBodies)
WEFT_DECLARE_ISA_BODY(TileTestBodies, kTileTestBodies, amx)

}  // namespace weft
#endif
