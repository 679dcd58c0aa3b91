#include "kernels/simt/matrix_operations.h"

#include <bit>
#include <cstring>

namespace weft::simt {
namespace {

float half_f32(uint32_t word, int half, MmaInput input) {
  const uint32_t bits = half ? word >> 16 : word & 0xffff;
  return input == MmaInput::kBF16 ? std::bit_cast<float>(bits << 16)
                                  : __half2float({static_cast<uint16_t>(bits)});
}

/// Where element e of register r of lane l lies in an operand. Source: PTX ISA, "Matrix Fragments for mma.m16n8k16" and
/// "m16n8k32". `per`: elements a register, 2 or 4.
struct Place {
  int row, col;
};
Place place_a(int lane, int r, int e, int per) {
  return {lane / 4 + r % 2 * 8, lane % 4 * per + e + r / 2 * 4 * per};
}
Place place_b(int lane, int r, int e, int per) { return {lane % 4 * per + e + r * 4 * per, lane / 4}; }
Place place_d(int lane, int r) { return {lane / 4 + r / 2 * 8, lane % 4 * 2 + r % 2}; }

/// T: what products and sums are made in. get(word, e): element e of a register.
template <typename T, int kDepth, typename Get>
void multiply(const WarpOperands (&lanes)[32], Get get) {
  constexpr int kPer = kDepth / 8;
  T a[16][kDepth], b[kDepth][8];
  for (int lane = 0; lane < 32; ++lane) {
    const uint32_t* words_a = static_cast<const uint32_t*>(lanes[lane].a);
    const uint32_t* words_b = static_cast<const uint32_t*>(lanes[lane].b);
    for (int e = 0; e < kPer; ++e) {
      for (int r = 0; r < 4; ++r) {
        const Place p = place_a(lane, r, e, kPer);
        a[p.row][p.col] = get(words_a[r], e);
      }
      for (int r = 0; r < 2; ++r) {
        const Place p = place_b(lane, r, e, kPer);
        b[p.row][p.col] = get(words_b[r], e);
      }
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    T* d = static_cast<T*>(lanes[lane].out);
    for (int r = 0; r < 4; ++r) {
      const Place p = place_d(lane, r);
      for (int k = 0; k < kDepth; ++k) d[r] += a[p.row][k] * b[k][p.col];
    }
  }
}

}  // namespace

void load_matrices(const WarpOperands (&lanes)[32], bool transposed) {
  for (int lane = 0; lane < 32; ++lane) {
    uint32_t* out = static_cast<uint32_t*>(lanes[lane].out);
    for (int m = 0; m < 4; ++m) {
      uint32_t word = 0;
      for (int e = 0; e < 2; ++e) {
        const int along = lane % 4 * 2 + e, across = lane / 4;
        const int row = transposed ? along : across, col = transposed ? across : along;
        uint16_t element;
        std::memcpy(&element, static_cast<const char*>(lanes[m * 8 + row].a) + col * 2, 2);
        word |= static_cast<uint32_t>(element) << 16 * e;
      }
      out[m] = word;
    }
  }
}

void multiply_f32(const WarpOperands (&lanes)[32], MmaInput input) {
  multiply<float, 16>(lanes, [&](uint32_t word, int e) { return half_f32(word, e, input); });
}

void multiply_s8(const WarpOperands (&lanes)[32]) {
  multiply<int32_t, 32>(lanes,
                        [](uint32_t word, int e) { return int32_t{static_cast<int8_t>(word >> 8 * e)}; });
}

}  // namespace weft::simt
