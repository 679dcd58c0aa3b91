/// tiles.h for the amx body: one instruction a function. Not to be included directly.
///
/// Written as assembler, not with the compiler's intrinsics: those of GCC 12 want tile numbers as literals, and its
/// _tile_loadconfig says that it reads 8 bytes, so that at -O2 the stores of the other 56 are dropped.
#ifndef WEFT_KERNELS_CPU_TILES_AMX_H
#define WEFT_KERNELS_CPU_TILES_AMX_H

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

#define WEFT_TILE_FN inline __attribute__((always_inline))

class Tiles {
 public:
  explicit WEFT_TILE_FN Tiles(const TileShapes& shapes) { reshape(shapes); }
  WEFT_TILE_FN ~Tiles() { __asm__ volatile("tilerelease" ::: "memory"); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;

  /// Other shapes. What the tiles held is lost. Takes as long as many products, and waits for stores before it.
  WEFT_TILE_FN void reshape(const TileShapes& shapes) { __asm__ volatile("ldtilecfg %0" ::"m"(shapes)); }
  /// All bytes of the tile become 0.
  template <int kTile>
  WEFT_TILE_FN void zero() {
    __asm__ volatile("tilezero %%tmm%c0" ::"i"(kTile));
  }
  /// Rows from memory, `stride` bytes apart.
  template <int kTile>
  WEFT_TILE_FN void load(const void* p, int64_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(kTile) : "memory");
  }
  /// The same for data that will not be read again soon.
  template <int kTile>
  WEFT_TILE_FN void load_once(const void* p, int64_t stride) {
    __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kTile>
  WEFT_TILE_FN void store(void* p, int64_t stride) const {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(stride), "i"(kTile) : "memory");
  }
  /// f32 C[m][n] += sum over the pairs k, ascending, of A[m][2 k] B[k][2 n], plus the same of the odd ones; both sums
  /// start at 0. Rounds to nearest even; denormal numbers count as 0.
  template <int kC, int kA, int kB>
  WEFT_TILE_FN void multiply_bf16() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  }
  /// i32 C[m][n] += sum over k and j of A[m][4 k + j] B[k][4 n + j], exactly; A signed, B unsigned bytes.
  template <int kC, int kA, int kB>
  WEFT_TILE_FN void multiply_s8_u8() {
    __asm__ volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  }
  /// The same; A unsigned, B signed bytes.
  template <int kC, int kA, int kB>
  WEFT_TILE_FN void multiply_u8_s8() {
    __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  }
  /// The same; both signed.
  template <int kC, int kA, int kB>
  WEFT_TILE_FN void multiply_s8_s8() {
    __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  }
};

#undef WEFT_TILE_FN

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
