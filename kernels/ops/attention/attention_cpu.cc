// Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
//
// A tile holds up to kTilePairs (row, head) pairs, which meet a page kPairs at a time. However many there are, each pair goes
// through the same operations in the same order, so that a row's bits do not depend on its neighbours: sharing only saves
// loads. Where the pairs see different tokens of a page (its ends), they are done one by one.
#include "kernels/cpu/vector_f32.h"
#include "kernels/ops/attention/attention_bodies.h"
#include "kernels/ops/attention/kv_formats.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

constexpr int64_t kMaxPadded = 256;
constexpr int kPairs = 4;  // at once: their sums fit the registers

/// A number as a type.
template <int kNumber>
struct Number {
  static constexpr int kValue = kNumber;
};

struct Running {
  float largest;  // score so far
  float sum;      // of exp(score - largest)
};

// Even and odd components are summed apart: twice the independent sums for a single row, where the registers allow it.
constexpr int kChains = kLanes == 16 ? 2 : 1;

// sum[r][v] = sum over d in [begin, end) of q[r][d] * key d of the v-th kLanes tokens from `slot`.
template <typename Format, int R>
WEFT_INLINE void multiply_keys(const char* keys, int64_t slot, const float* const* q, int64_t begin,
                               int64_t end, F32 (&sum)[R][2]) {
  F32 part[kChains][R][2] = {};
  int64_t d = begin;
  for (; d + kChains <= end; d += kChains) {
    WEFT_UNROLL
    for (int c = 0; c < kChains; ++c) {
      const F32 k0 = Format::key(keys, d + c, slot);
      const F32 k1 = Format::key(keys, d + c, slot + kLanes);
      WEFT_UNROLL
      for (int r = 0; r < R; ++r) {
        const F32 component = broadcast(q[r][d + c]);
        part[c][r][0] = multiply_add(component, k0, part[c][r][0]);
        part[c][r][1] = multiply_add(component, k1, part[c][r][1]);
      }
    }
  }
  if (d < end) {
    WEFT_UNROLL
    for (int r = 0; r < R; ++r) {
      const F32 component = broadcast(q[r][d]);
      part[0][r][0] = multiply_add(component, Format::key(keys, d, slot), part[0][r][0]);
      part[0][r][1] = multiply_add(component, Format::key(keys, d, slot + kLanes), part[0][r][1]);
    }
  }
  WEFT_UNROLL
  for (int r = 0; r < R; ++r) {
    sum[r][0] = kChains == 2 ? part[0][r][0] + part[kChains - 1][r][0] : part[0][r][0];
    sum[r][1] = kChains == 2 ? part[0][r][1] + part[kChains - 1][r][1] : part[0][r][1];
  }
}

// scores[r][slot] = q[r] . key[slot] for all slots of a page.
template <typename Format, int R>
WEFT_INLINE void score_page(const char* keys, int64_t head_dim, const float* const* q, float* const* scores) {
  for (int64_t slot = 0; slot < kSlots; slot += 2 * kLanes) {
    F32 sum[R][2] = {};
    if constexpr (Format::kScaled) {
      for (int64_t group = 0; group < head_dim / kScaleGroup; ++group) {
        F32 part[R][2];
        multiply_keys<Format, R>(keys, slot, q, group * kScaleGroup, (group + 1) * kScaleGroup, part);
        const F32 s0 = Format::key_scales(keys, group, slot, head_dim);
        const F32 s1 = Format::key_scales(keys, group, slot + kLanes, head_dim);
        WEFT_UNROLL
        for (int r = 0; r < R; ++r) {
          sum[r][0] = multiply_add(part[r][0], s0, sum[r][0]);
          sum[r][1] = multiply_add(part[r][1], s1, sum[r][1]);
        }
      }
    } else {
      multiply_keys<Format, R>(keys, slot, q, 0, head_dim, sum);
    }
    WEFT_UNROLL
    for (int r = 0; r < R; ++r) {
      store(scores[r] + slot, sum[r][0]);
      store(scores[r] + slot + kLanes, sum[r][1]);
    }
  }
}

// What a score becomes before the softmax.
WEFT_INLINE F32 scaled(const AttentionTile& tile, F32 score) {
  const F32 s = score * broadcast(tile.scale);
  if (tile.softcap <= 0) return s;
  const F32 e = exponential(s * broadcast(2.0f / tile.softcap));  // tanh(u) = 1 - 2 / (e^2u + 1)
  return broadcast(tile.softcap) * (broadcast(1.0f) - broadcast(2.0f) / (e + broadcast(1.0f)));
}

// Takes the page's sum of weights and its largest score into account; returns the factor by which what was summed before
// shrinks. Where the largest score stays it is e^0, exactly 1.
WEFT_INLINE float shrink(Running* running, float new_largest, float sum) {
  float factor = 1;
  if (new_largest != running->largest)
    factor = exponential_of_negative(broadcast(running->largest - new_largest))[0];
  running->sum = running->sum * factor + sum;
  running->largest = new_largest;
  return factor;
}

// What scores are taken relative to: nothing, as long as all tokens so far are hidden.
WEFT_INLINE float base_of(float largest) { return largest == -__builtin_inff() ? 0.0f : largest; }

// Scores become weights relative to the largest score so far; slots outside [low, high] become 0. bias: of slot 0, or null.
float soften_part(const AttentionTile& tile, float* scores, const float* bias, int64_t low, int64_t high,
                  Running* running) {
  I32 slot;
  for (int i = 0; i < kLanes; ++i) slot[i] = i;
  const F32 nothing = broadcast(-__builtin_inff());
  F32 largest = broadcast(running->largest);
  for (int64_t i = 0; i < kSlots; i += kLanes) {
    const I32 at = slot + static_cast<int32_t>(i);
    const I32 seen = (at >= static_cast<int32_t>(low)) & (at <= static_cast<int32_t>(high));
    F32 score = scaled(tile, load(scores + i));
    const int64_t n = high + 1 - i;  // what lies behind the last token seen is not there
    if (bias != nullptr && n > 0) score += n >= kLanes ? load(bias + i) : load_first(bias + i, n);
    const F32 s = choose(seen, score, nothing);
    store(scores + i, s);
    largest = maximum(s, largest);
  }
  const float new_largest = max_lanes(largest);
  const F32 base = broadcast(base_of(new_largest));
  F32 sum = {};
  for (int64_t i = 0; i < kSlots; i += kLanes) {
    const I32 at = slot + static_cast<int32_t>(i);
    const I32 seen = (at >= static_cast<int32_t>(low)) & (at <= static_cast<int32_t>(high));
    const F32 weight = keep_where(seen, exponential_of_negative(load(scores + i) - base));
    store(scores + i, weight);
    sum += weight;
  }
  return shrink(running, new_largest, sum_lanes(sum));
}

// out[r] = the sum, or the largest, of v[r]'s lanes, by the same tree as sum_lanes() and max_lanes(); four rows share its steps.
template <int R>
WEFT_INLINE void sum_each(const F32 (&v)[R], float* out) {
  for (int r = 0; r < R; ++r) out[r] = sum_lanes(v[r]);
}
template <int R>
WEFT_INLINE void max_each(const F32 (&v)[R], float* out) {
  for (int r = 0; r < R; ++r) out[r] = max_lanes(v[r]);
}
#if defined(WEFT_ISA_AVX512)
template <typename Operation>
WEFT_INLINE void reduce_four(const F32 (&v)[4], float* out, Operation operation) {
  const auto quarters = [](F32 a, F32 b, auto low, auto high) {
    constexpr int kLow = decltype(low)::kValue, kHigh = decltype(high)::kValue;
    struct Pair {
      F32 low, high;
    };
    return Pair{(F32)_mm512_maskz_shuffle_f32x4(0xffff, (__m512)a, (__m512)b, kLow),
                (F32)_mm512_maskz_shuffle_f32x4(0xffff, (__m512)a, (__m512)b, kHigh)};
  };
  const auto halves_01 = quarters(v[0], v[1], Number<0x44>(), Number<0xee>());
  const auto halves_23 = quarters(v[2], v[3], Number<0x44>(), Number<0xee>());
  const F32 eight_01 = operation(halves_01.low, halves_01.high);
  const F32 eight_23 = operation(halves_23.low, halves_23.high);
  const auto four = quarters(eight_01, eight_23, Number<0x88>(), Number<0xdd>());
  F32 x = operation(four.low, four.high);
  x = operation(x, (F32)_mm512_maskz_permute_ps(0xffff, (__m512)x, 0x0e));
  x = operation(x, (F32)_mm512_maskz_permute_ps(0xffff, (__m512)x, 0x01));
  for (int r = 0; r < 4; ++r) out[r] = x[4 * r];
}
template <>
WEFT_INLINE void sum_each<4>(const F32 (&v)[4], float* out) {
  reduce_four(v, out, [](F32 a, F32 b) { return a + b; });
}
template <>
WEFT_INLINE void max_each<4>(const F32 (&v)[4], float* out) {
  reduce_four(v, out, [](F32 a, F32 b) { return maximum(a, b); });
}
#endif

// The same of a whole page, for R rows at once, so that each step's latency is another row's time to compute.
template <int R>
void soften_page(const AttentionTile& tile, float* const* scores, const float* const* bias, Running* running,
                 float* factor) {
  F32 largest[R];
  for (int r = 0; r < R; ++r) largest[r] = broadcast(running[r].largest);
  for (int64_t i = 0; i < kSlots; i += kLanes) {
    WEFT_UNROLL
    for (int r = 0; r < R; ++r) {
      F32 s = scaled(tile, load(scores[r] + i));
      if (bias[r] != nullptr) s += load(bias[r] + i);
      store(scores[r] + i, s);
      largest[r] = maximum(s, largest[r]);
    }
  }
  float new_largest[R];
  max_each<R>(largest, new_largest);
  float base[R];
  for (int r = 0; r < R; ++r) base[r] = base_of(new_largest[r]);
  F32 sum[R] = {};
  for (int64_t i = 0; i < kSlots; i += kLanes) {
    WEFT_UNROLL
    for (int r = 0; r < R; ++r) {
      const F32 weight = exponential_of_negative(load(scores[r] + i) - broadcast(base[r]));
      store(scores[r] + i, weight);
      sum[r] += weight;
    }
  }
  float sums[R];
  sum_each<R>(sum, sums);
  for (int r = 0; r < R; ++r) factor[r] = shrink(&running[r], new_largest[r], sums[r]);
}

template <typename Format, int R, int V>
WEFT_INLINE void add_value_columns(const char* values, int64_t d, int64_t padded, const float* const* weights,
                                   float* const* y, int64_t begin, int64_t end) {
  F32 sum[R][V];
  WEFT_UNROLL
  for (int r = 0; r < R; ++r) {
    WEFT_UNROLL
    for (int v = 0; v < V; ++v) sum[r][v] = load(y[r] + d + v * kLanes);
  }
  for (int64_t slot = begin; slot < end; ++slot) {
    F32 value[V];
    WEFT_UNROLL
    for (int v = 0; v < V; ++v) value[v] = Format::value(values, slot, d + v * kLanes, padded);
    float scale[V];
    if constexpr (Format::kScaled) {
      WEFT_UNROLL
      for (int v = 0; v < V; ++v)
        scale[v] = Format::value_scale(values, slot, d / kScaleGroup + v * kLanes / kScaleGroup, padded);
    }
    WEFT_UNROLL
    for (int r = 0; r < R; ++r) {
      WEFT_UNROLL
      for (int v = 0; v < V; ++v) {
        const float weight = Format::kScaled ? weights[r][slot] * scale[v] : weights[r][slot];
        sum[r][v] = multiply_add(broadcast(weight), value[v], sum[r][v]);
      }
    }
  }
  WEFT_UNROLL
  for (int r = 0; r < R; ++r) {
    WEFT_UNROLL
    for (int v = 0; v < V; ++v) store(y[r] + d + v * kLanes, sum[r][v]);
  }
}

// y[r] += sum over slots in [begin, end), ascending, of weights[r][slot] * value[slot].
template <typename Format, int R>
void add_values(const char* values, int64_t padded, const float* const* weights, float* const* y,
                int64_t begin, int64_t end) {
  constexpr int kColumns = kLanes == 16 ? 4 : 2;  // fits the registers with R = 4
  int64_t d = 0;
  for (; d + kColumns * kLanes <= padded; d += kColumns * kLanes)
    add_value_columns<Format, R, kColumns>(values, d, padded, weights, y, begin, end);
  for (; d < padded; d += kLanes) add_value_columns<Format, R, 1>(values, d, padded, weights, y, begin, end);
}

// What a tile keeps between pages.
struct TileState {
  alignas(64) float sums[kTilePairs][kMaxPadded];  // weighted values
  Running running[kTilePairs];
};

// Pairs [pair, pair + R) meet one page, whose first token has position `start`.
template <typename Format, int R>
void attend_page(const AttentionTile& tile, int pair, int64_t start, const char* keys, const char* values,
                 TileState* state) {
  alignas(64) float page_scores[R][kSlots];
  float* scores[R];
  float* y[R];
  const float* bias[R];
  int64_t low[R], high[R];
  int64_t common_low = 0, common_high = kSlots - 1;
  int n_seeing = 0, n_seeing_all = 0;
  for (int r = 0; r < R; ++r) {
    scores[r] = page_scores[r];
    y[r] = state->sums[pair + r];
    bias[r] = tile.bias[pair + r] == nullptr ? nullptr : tile.bias[pair + r] + start;
    low[r] = tile.first[pair + r] - start;
    high[r] = tile.last[pair + r] - start;
    if (low[r] < 0) low[r] = 0;
    if (high[r] > kSlots - 1) high[r] = kSlots - 1;
    n_seeing += low[r] <= high[r];
    n_seeing_all += low[r] == 0 && high[r] == kSlots - 1;
    if (low[r] > common_low) common_low = low[r];
    if (high[r] < common_high) common_high = high[r];
  }
  if (n_seeing == 0) return;
  const float* const* q = tile.q + pair;
  Running* running = state->running + pair;
  float factor[R];
  if (n_seeing == R) score_page<Format, R>(keys, tile.head_dim, q, scores);
  if (n_seeing_all == R) soften_page<R>(tile, scores, bias, running, factor);
  for (int r = 0; r < R; ++r) {
    if (low[r] > high[r]) continue;
    if (n_seeing != R) score_page<Format, 1>(keys, tile.head_dim, q + r, scores + r);
    if (n_seeing_all != R) factor[r] = soften_part(tile, scores[r], bias[r], low[r], high[r], &running[r]);
    if (factor[r] == 1) continue;
    for (int64_t d = 0; d < tile.padded; d += kLanes) store(y[r] + d, load(y[r] + d) * broadcast(factor[r]));
  }
  if (n_seeing == R && common_low <= common_high) {
    for (int r = 0; r < R; ++r)
      if (low[r] < common_low)
        add_values<Format, 1>(values, tile.padded, scores + r, y + r, low[r], common_low);
    add_values<Format, R>(values, tile.padded, scores, y, common_low, common_high + 1);
    for (int r = 0; r < R; ++r)
      if (high[r] > common_high)
        add_values<Format, 1>(values, tile.padded, scores + r, y + r, common_high + 1, high[r] + 1);
  } else {
    for (int r = 0; r < R; ++r)
      if (low[r] <= high[r])
        add_values<Format, 1>(values, tile.padded, scores + r, y + r, low[r], high[r] + 1);
  }
}

template <typename Format>
void attend_page_any(const AttentionTile& tile, int64_t start, const char* keys, const char* values,
                     TileState* state) {
  int pair = 0;
  for (; pair + kPairs <= tile.n; pair += kPairs)
    attend_page<Format, kPairs>(tile, pair, start, keys, values, state);
  switch (tile.n - pair) {
    case 1: return attend_page<Format, 1>(tile, pair, start, keys, values, state);
    case 2: return attend_page<Format, 2>(tile, pair, start, keys, values, state);
    case 3: return attend_page<Format, 3>(tile, pair, start, keys, values, state);
  }
}

template <typename Format>
void attend(const AttentionTile& tile) {
  TileState state;
  int64_t first = tile.first[0], last = tile.last[0];
  for (int r = 0; r < tile.n; ++r) {
    state.running[r] = {-__builtin_inff(), 0};
    for (int64_t d = 0; d < tile.padded; ++d) state.sums[r][d] = 0;
    if (tile.first[r] < first) first = tile.first[r];
    if (tile.last[r] > last) last = tile.last[r];
  }
  for (int64_t page = first / kSlots; page <= last / kSlots; ++page) {
    const char* keys = tile.pages[page] + tile.key_offset;
    const char* values = tile.pages[page] + tile.value_offset;
    attend_page_any<Format>(tile, page * kSlots, keys, values, &state);
  }
  for (int r = 0; r < tile.n; ++r) {
    const float inverse = 1.0f / state.running[r].sum;
    for (int64_t d = 0; d < tile.head_dim; ++d) tile.y[r][d] = state.sums[r][d] * inverse;
  }
}

void attend_tile(uint8_t format, const AttentionTile& tile) {
  switch (format) {
    case 0: return attend<PlainFormat<F32Element>>(tile);
    case 1: return attend<PlainFormat<F16Element>>(tile);
    case 2: return attend<PlainFormat<BF16Element>>(tile);
    case 3: return attend<Q8Format>(tile);
  }
}

void store_token(uint8_t format, const float* k, const float* v, char* keys, char* values, int64_t slot,
                 int64_t head_dim, int64_t padded) {
  switch (format) {
    case 0: return PlainFormat<F32Element>::encode(k, v, keys, values, slot, head_dim, padded);
    case 1: return PlainFormat<F16Element>::encode(k, v, keys, values, slot, head_dim, padded);
    case 2: return PlainFormat<BF16Element>::encode(k, v, keys, values, slot, head_dim, padded);
    case 3: return Q8Format::encode(k, v, keys, values, slot, head_dim, padded);
  }
}

}  // namespace

extern const AttentionBodies kAttentionBodies;
const AttentionBodies kAttentionBodies = {WEFT_ISA_NAME, attend_tile, store_token};

}  // namespace weft::WEFT_ISA_NAMESPACE
