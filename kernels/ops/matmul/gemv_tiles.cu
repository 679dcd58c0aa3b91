// Products of few rows with quantised matrices in tiles (weight_tiles.h), on tensor cores in integers.
//
// The block's tiles, step by step of k (256 elements, or 128), are a list that its warps share out evenly, each a stretch of it: so
// tiles need not be as many as warps, nor k as long. Each warp copies its steps ahead into a ring in shared memory, across the ends
// of tiles and from before the launch's x is there; sums of tiles go to shared memory when the warp leaves them, and are added up
// at the end, in the order of warps.
//
// With one row of x the four pairs of columns of a product are four runs of k, so that a lane scales sums that are its own; with more,
// they are four rows of x.

#include <algorithm>

#include "kernels/ops/matmul/gemv_work.h"
#include "kernels/ops/matmul/quantised_rows.h"
#include "kernels/quant/weight_tiles_device.h"

namespace weft {
namespace {

constexpr int kMostWarps = 16;

/// What a launch divides is divided here, once: the block's warps are 2^warps_log, `longer` blocks have one tile more than the others.
struct TileWork : GemvWork {
  int tiles_of_first, tiles_of_second;  // of work.first, work.more[0]
  int units_of_a_row, steps_of_a_row, stages, warps_log, tiles_of_a_block, longer;
};

template <WeightFormat kFormat>
struct Step {
  using Unit = device::TileUnit<kFormat>;
  static constexpr int kUnits = Unit::kElements == 256 ? 1 : 2;
  static constexpr int kBytes = kUnits * Unit::kBytes, kRuns = kUnits * Unit::kRuns;
  static constexpr int kScales = kRuns * Unit::kHalves;  // of a row
  using RunScale = device::RunScale<Unit::kHalves>;

  static __device__ __forceinline__ void codes(const uint8_t* step, int run, uint32_t (&a)[4]) {
    Unit::codes(step + run / Unit::kRuns * Unit::kBytes, run % Unit::kRuns,
                static_cast<int>(threadIdx.x % 32), a);
  }
  static __device__ __forceinline__ device::RowScales scales(const uint8_t* step, int i, int g) {
    constexpr int kInUnit = Unit::kRuns * Unit::kHalves;
    return Unit::scales(step + i / kInUnit * Unit::kBytes, i % kInUnit, g);
  }
};

/// Where a block's shared memory holds what, in bytes from its beginning.
struct TileMemory {
  int decoded, x, x_scales, sums, squares, size;
};
/// slots: tiles of a block, those of `up` counted too. A warp's sums of a slot are at slot + warp: no two pairs that come one after
/// the other along the list have the same.
template <WeightFormat kFormat, int kTokens>
__host__ __device__ TileMemory tile_memory(int warps, int stages, int steps, int slots) {
  using S = Step<kFormat>;
  TileMemory m = {};
  m.decoded = warps * stages * S::kBytes;
  m.x = m.decoded + (kTokens > 1 ? warps * S::kScales * 8 * static_cast<int>(sizeof(device::RowScales)) : 0);
  m.x_scales = m.x + steps * S::kRuns * kTokens * device::kRunBytes;
  m.sums = m.x_scales + steps * S::kRuns * kTokens * static_cast<int>(sizeof(typename S::RunScale));
  m.squares = m.sums + (slots + warps) * static_cast<int>(kTileRows) * kTokens * 4;
  m.size = m.squares + warps * kTokens * 4;
  return m;
}

/// The block's part of all tiles, and a warp's place in their steps.
struct Stretch {
  int first_tile, tiles, slots, begin, end;
};
/// Where the warp's stretch of the block's list begins.
__device__ __forceinline__ int begin_of(const TileWork& work, int items, int warp) {
  return static_cast<int>(static_cast<unsigned>(items * warp) >> work.warps_log);
}
__device__ __forceinline__ Stretch stretch_of(const TileWork& work, int warp) {
  const int block = static_cast<int>(blockIdx.x);
  Stretch s;
  s.first_tile = block * work.tiles_of_a_block + min(block, work.longer);
  s.tiles = work.tiles_of_a_block + (block < work.longer ? 1 : 0);
  s.slots = work.up != nullptr ? 2 * s.tiles : s.tiles;
  const int items = s.slots * work.steps_of_a_row;
  s.begin = begin_of(work, items, warp);
  s.end = begin_of(work, items, warp + 1);
  return s;
}

/// The matrix that a tile belongs to, and the tile's number in it.
__device__ __forceinline__ GemvOperand matrix_of(const TileWork& work, int& tile) {
  if (tile < work.tiles_of_first) return work.first;
  tile -= work.tiles_of_first;
  if (tile < work.tiles_of_second) return work.more[0];
  tile -= work.tiles_of_second;
  return work.more[1];
}

/// Goes along a warp's stretch.
template <WeightFormat kFormat>
struct Cursor {
  const uint8_t* tile = nullptr;
  int item, slot, step;

  __device__ __forceinline__ Cursor(const TileWork& work, const Stretch& s)
      : item(s.begin), slot(s.begin / work.steps_of_a_row), step(s.begin % work.steps_of_a_row) {
    if (item < s.end) find_tile(work, s);
  }
  __device__ __forceinline__ void next(const TileWork& work, const Stretch& s) {
    ++item;
    if (++step < work.steps_of_a_row) return;
    step = 0, ++slot;
    if (item < s.end) find_tile(work, s);
  }
  __device__ __forceinline__ void find_tile(const TileWork& work, const Stretch& s) {
    const bool paired = work.up != nullptr;
    int number = s.first_tile + (paired ? slot / 2 : slot);
    const GemvOperand matrix = matrix_of(work, number);
    tile = (paired && slot % 2 == 1 ? work.up : matrix.w) +
           static_cast<int64_t>(number) * work.units_of_a_row * Step<kFormat>::Unit::kBytes;
  }
};

/// Starts the copy of a step into a place of the ring, as a group of its own; past the end, of nothing.
template <WeightFormat kFormat>
__device__ __forceinline__ void copy_step(const TileWork& work, const Stretch& s, const Cursor<kFormat>& at,
                                          uint8_t* to) {
  using S = Step<kFormat>;
  constexpr int kPieces = S::kBytes / 16;
  if (at.item < s.end) {
    const uint8_t* const from = at.tile + static_cast<int64_t>(at.step) * S::kBytes;
    // A row's last step may be one unit instead of two.
    const int present =
        S::kUnits == 1 || (at.step + 1) * S::kUnits <= work.units_of_a_row ? kPieces : kPieces / 2;
#pragma unroll
    for (int i = 0; i < (kPieces + 31) / 32; ++i) {
      const int piece = i * 32 + static_cast<int>(threadIdx.x % 32);
      if (piece < kPieces) device::copy_async16(to + piece * 16, from + piece * 16, piece < present);
    }
  }
  device::copy_async_commit();
}

__device__ __forceinline__ void wait_for_oldest(int stages) {
  switch (stages) {
    case 2: device::copy_async_wait<1>(); break;
    case 3: device::copy_async_wait<2>(); break;
    case 4: device::copy_async_wait<3>(); break;
    case 6: device::copy_async_wait<5>(); break;
    default: device::copy_async_wait<0>(); break;
  }
}

/// Quantises the block's rows of x, times the norm's weights, into shared memory, and leaves each warp's sums of their squares.
/// Several loads are under way before the first is used.
template <WeightFormat kFormat, int kTokens>
__device__ __forceinline__ void quantise_rows(const TileWork& work, unsigned char* bytes,
                                              typename Step<kFormat>::RunScale* scales, float* squares) {
  constexpr int kPieces = kTokens == 1 ? 2 : 1;  // of a row at a time
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const int k = static_cast<int>(work.k), stride = static_cast<int>(blockDim.x) * 4;
  const int end = work.steps_of_a_row * Step<kFormat>::kRuns * device::kRunElements;
  const int64_t first = static_cast<int64_t>(blockIdx.y) * kTokens;
  float square[kTokens] = {};
#pragma unroll 1
  for (int base = warp * 128; base < end; base += kPieces * stride) {
    device::Quad v[kPieces][kTokens] = {}, g[kPieces] = {};
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const int e = base + i * stride + lane * 4;
      if (e >= k) continue;
      if (work.norm_weight != nullptr) g[i] = device::load_quad(work.norm_weight + e);
#pragma unroll
      for (int t = 0; t < kTokens; ++t)
        if (first + t < work.m) v[i][t] = device::load_quad(work.x + (first + t) * k + e);
    }
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const int e = base + i * stride + lane * 4, run = e / device::kRunElements;
      if (base + i * stride >= end) break;
#pragma unroll
      for (int t = 0; t < kTokens; ++t) {
        device::Quad x = v[i][t];
        if (work.norm_weight != nullptr)
          for (int j = 0; j < 4; ++j) square[t] += x.v[j] * x.v[j], x.v[j] *= g[i].v[j];
        const int at = run * kTokens + t;
        device::put_run(x, e, true, bytes + at * device::kRunBytes, scales + at);
      }
    }
  }
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
    square[t] = device::warp_sum(square[t]);
    if (lane == 0) squares[warp * kTokens + t] = square[t];
  }
}

/// The sum that two columns hold in parts.
__device__ __forceinline__ float whole(int32_t high, int32_t low) {
  return static_cast<float>(high * 256 + low);
}

/// y += products of a step with one row of x. x, scales: of the step's first run.
template <WeightFormat kFormat>
__device__ __forceinline__ void take_step(const uint8_t* step, const unsigned char* x,
                                          const typename Step<kFormat>::RunScale* scales, float (&y)[2]) {
  using S = Step<kFormat>;
  using Unit = typename S::Unit;
  constexpr int kGroupRuns = 4 / Unit::kHalves;  // whose scales are four
  const int lane = static_cast<int>(threadIdx.x % 32), g = lane / 4, c = lane % 4, pair = lane / 8;
#pragma unroll
  for (int group = 0; group < S::kRuns / kGroupRuns; ++group) {
    const int first = group * kGroupRuns;
    // Of the run, or half of one, that is this lane's pair of columns.
    const unsigned char* const mine = x + (first + pair / Unit::kHalves) * device::kRunBytes + lane % 8 * 8;
    device::Words2 b;
    if constexpr (Unit::kHalves == 1) {
      b = device::load8(mine);
    } else {
      const uint32_t half = device::load4(mine + pair % 2 * 4);
      b = {{pair % 2 == 0 ? half : 0u, pair % 2 == 1 ? half : 0u}};
    }
    int32_t d[4] = {0, 0, 0, 0};
#pragma unroll
    for (int run = 0; run < kGroupRuns; ++run) {
      uint32_t a[4];
      S::codes(step, first + run, a);
      const bool of_run = pair / Unit::kHalves == run;
      const uint32_t part[2] = {of_run ? b.w[0] : 0u, of_run ? b.w[1] : 0u};
      device::mma_s8(d, a, part);
    }
    const device::RowScales s = S::scales(step, group * 4 + c, g);
    const typename S::RunScale of_x = device::load_scale(scales + first + c / Unit::kHalves);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      y[r] += s.scale[r] * (of_x.dx * whole(d[2 * r], d[2 * r + 1]));
      if constexpr (Unit::kShifts)
        y[r] += s.shift[r] * (Unit::kHalves == 1 || c % 2 == 0 ? of_x.sum[0] : of_x.sum[Unit::kHalves - 1]);
    }
  }
}

/// y += products of a step with kTokens rows of x; y[i] is of token 4 i + c. decoded: the warp's, for the step's scales.
template <WeightFormat kFormat, int kTokens>
__device__ __forceinline__ void take_step(const uint8_t* step, const unsigned char* x,
                                          const typename Step<kFormat>::RunScale* scales,
                                          unsigned char* decoded, float (&y)[kTokens / 4][2]) {
  using S = Step<kFormat>;
  using Unit = typename S::Unit;
  const int lane = static_cast<int>(threadIdx.x % 32), g = lane / 4, c = lane % 4;
#pragma unroll
  for (int i = 0; i < S::kScales / 4; ++i) {
    const device::RowScales s = S::scales(step, 4 * i + c, g);
    device::store_quad(reinterpret_cast<float*>(decoded) + ((4 * i + c) * 8 + g) * 4,
                       {{s.scale[0], s.scale[1], s.shift[0], s.shift[1]}});
  }
  __syncwarp();
#pragma unroll
  for (int run = 0; run < S::kRuns; ++run) {
    uint32_t a[4];
    S::codes(step, run, a);
#pragma unroll
    for (int half = 0; half < Unit::kHalves; ++half) {
      const device::Quad s = device::load_quad(reinterpret_cast<const float*>(decoded) +
                                               ((run * Unit::kHalves + half) * 8 + g) * 4);
#pragma unroll
      for (int set = 0; set < kTokens / 4; ++set) {
        const device::Words2 b = device::load8(x + (run * kTokens + set * 4) * device::kRunBytes + lane * 8);
        const uint32_t part[2] = {Unit::kHalves == 1 || half == 0 ? b.w[0] : 0u,
                                  Unit::kHalves == 1 || half == 1 ? b.w[1] : 0u};
        int32_t d[4] = {0, 0, 0, 0};
        device::mma_s8(d, a, part);
        const typename S::RunScale of_x = device::load_scale(scales + run * kTokens + set * 4 + c);
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          y[set][r] += s.v[r] * (of_x.dx * whole(d[2 * r], d[2 * r + 1]));
          if constexpr (Unit::kShifts) y[set][r] += s.v[2 + r] * of_x.sum[half];
        }
      }
    }
  }
}

/// Leaves a warp's sums of a tile: [row][token].
template <int kTokens>
__device__ __forceinline__ void leave_sums(float* sums, float (&y)[(kTokens + 3) / 4][2]) {
  const int lane = static_cast<int>(threadIdx.x % 32), g = lane / 4, c = lane % 4;
#pragma unroll
  for (int set = 0; set < (kTokens + 3) / 4; ++set) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float& sum = y[set][r];
      if constexpr (kTokens == 1) {
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (c == 0) sums[g + 8 * r] = sum;
      } else {
        sums[(g + 8 * r) * kTokens + set * 4 + c] = sum;
      }
      sum = 0;
    }
  }
}

/// Adds up what the warps left of the block's tiles, and writes y.
template <int kTokens>
__device__ __forceinline__ void finish_tiles(const TileWork& work, const Stretch& mine, const float* sums,
                                             const float* squares) {
  constexpr int kSlot = static_cast<int>(kTileRows) * kTokens;
  const int warps = static_cast<int>(blockDim.x / 32), steps = work.steps_of_a_row;
  const int items = mine.slots * steps;
  const auto slot_sum = [&](int slot, int i) {
    float sum = 0;
#pragma unroll 4
    for (int warp = 0; warp < warps; ++warp) {
      const int begin = begin_of(work, items, warp), end = begin_of(work, items, warp + 1);
      if (begin < (slot + 1) * steps && end > slot * steps && begin < end)
        sum += sums[(slot + warp) * kSlot + i];
    }
    return sum;
  };
  for (int i = static_cast<int>(threadIdx.x); i < mine.tiles * kSlot; i += static_cast<int>(blockDim.x)) {
    const int in = i % kSlot, t = in % kTokens, tile = i / kSlot;
    int number = mine.first_tile + tile;
    const GemvOperand matrix = matrix_of(work, number);
    const int64_t row = number * kTileRows + in / kTokens,
                  token = static_cast<int64_t>(blockIdx.y) * kTokens + t;
    if (row >= matrix.n || token >= work.m) continue;
    float scale = 1;
    if (work.norm_weight != nullptr) {
      float square = 0;
      for (int warp = 0; warp < warps; ++warp) square += squares[warp * kTokens + t];
      scale = rsqrtf(square / static_cast<float>(work.k) + work.epsilon);
    }
    const bool paired = work.up != nullptr;
    const float y = slot_sum(paired ? 2 * tile : tile, in),
                factor = paired ? slot_sum(2 * tile + 1, in) : 1.0f;
    finish(work, matrix, y * scale, factor * scale, token, row);
  }
}

template <WeightFormat kFormat, int kTokens>
__global__ void __launch_bounds__(kMostWarps * 32, kTokens == 1 ? 2 : 1) gemv_tiles(TileWork work) {
  using S = Step<kFormat>;
  WEFT_DYNAMIC_SHARED(unsigned char, memory);
  const int warp = static_cast<int>(threadIdx.x / 32), warps = static_cast<int>(blockDim.x / 32);
  device::let_next_start();
  const Stretch mine = stretch_of(work, warp);
  const TileMemory at = tile_memory<kFormat, kTokens>(warps, work.stages, work.steps_of_a_row, mine.slots);
  uint8_t* const ring = memory + warp * work.stages * S::kBytes;
  Cursor<kFormat> fill(work, mine), use = fill;
  for (int stage = 0; stage < work.stages; ++stage, fill.next(work, mine))
    copy_step(work, mine, fill, ring + stage * S::kBytes);

  device::wait_for_previous();
  unsigned char* const x = memory + at.x;
  auto* const scales = reinterpret_cast<typename S::RunScale*>(memory + at.x_scales);
  auto* const sums = reinterpret_cast<float*>(memory + at.sums);
  auto* const squares = reinterpret_cast<float*>(memory + at.squares);
  quantise_rows<kFormat, kTokens>(work, x, scales, squares);
  __syncthreads();

  float y[(kTokens + 3) / 4][2] = {};
  for (int stage = 0; use.item < mine.end; stage = stage + 1 < work.stages ? stage + 1 : 0) {
    wait_for_oldest(work.stages);
    __syncwarp();
    const uint8_t* const step = ring + stage * S::kBytes;
    const int first = use.step * S::kRuns * kTokens;
    if constexpr (kTokens == 1) take_step<kFormat>(step, x + first * device::kRunBytes, scales + first, y[0]);
    else
      take_step<kFormat, kTokens>(step, x + first * device::kRunBytes, scales + first,
                                  memory + at.decoded + warp * S::kScales * 8 * sizeof(device::RowScales), y);
    if (use.step + 1 == work.steps_of_a_row || use.item + 1 == mine.end)
      leave_sums<kTokens>(sums + (use.slot + warp) * static_cast<int>(kTileRows) * kTokens, y);
    use.next(work, mine);
    __syncwarp();
    copy_step(work, mine, fill, ring + stage * S::kBytes);
    fill.next(work, mine);
  }
  __syncthreads();
  finish_tiles<kTokens>(work, mine, sums, squares);
}

/// Warps of a block for so many steps: a step or two each where they are few, as many as there are where not.
constexpr int warps_for(int steps) { return steps > 16 ? kMostWarps : steps > 8 ? 8 : 4; }
constexpr int log2_of(int warps) {
  return warps == 16 ? 4 : warps == 8 ? 3 : warps == 4 ? 2 : warps == 2 ? 1 : 0;
}

/// How many warps, steps ahead and blocks a launch has.
template <WeightFormat kFormat, int kTokens>
Status start(const GemvCuda& g, cudaStream_t stream) {
  using S = Step<kFormat>;
  const auto tiles_of = [](const GemvOperand& matrix) {
    return static_cast<int>((matrix.n + kTileRows - 1) / kTileRows);
  };
  TileWork work = {};
  static_cast<GemvWork&>(work) = gemv_work(g);
  work.tiles_of_first = tiles_of(work.first), work.tiles_of_second = tiles_of(work.more[0]);
  const int all_tiles = work.tiles_of_first + work.tiles_of_second + tiles_of(work.more[1]);
  work.units_of_a_row = static_cast<int>(tile_bytes(kFormat, g.k) / tile_unit_bytes(kFormat));
  work.steps_of_a_row = (work.units_of_a_row + S::kUnits - 1) / S::kUnits;

  const device::Limits limits = device::limits();
  const int passes = static_cast<int>((g.m + kTokens - 1) / kTokens), paired = work.up != nullptr ? 2 : 1;
  constexpr int kMostSlots = 128 / kTokens;  // whose sums are 8 KiB
  int blocks = g.tiling ? g.tiling->blocks : std::max(limits.multiprocessors / passes, 1);
  blocks = std::clamp(blocks, (all_tiles * paired + kMostSlots - 1) / kMostSlots, all_tiles);
  work.tiles_of_a_block = all_tiles / blocks, work.longer = all_tiles % blocks;
  const int slots = (work.tiles_of_a_block + (work.longer > 0 ? 1 : 0)) * paired;

  const int most = warps_for(slots * work.steps_of_a_row);
  const GemvTiling preferred[] = {{most, 4}, {most, 3}, {most, 2}, {8, 2}, {4, 2}};
  for (GemvTiling tiling : preferred) {
    if (g.tiling) tiling = *g.tiling;
    work.stages = tiling.stages, work.warps_log = log2_of(tiling.warps);
    const TileMemory memory =
        tile_memory<kFormat, kTokens>(tiling.warps, tiling.stages, work.steps_of_a_row, slots);
    // Half of it, where that does, so that the next launch finds room beside this one.
    const size_t room =
        kTokens == 1 && tiling.stages > 2 ? limits.shared_bytes / 2 - 1024 : limits.shared_bytes;
    if (static_cast<size_t>(memory.size) > room) {
      if (g.tiling) break;
      continue;
    }
    return device::launch_early(stream, "gemv",
                                dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(passes)),
                                dim3(static_cast<unsigned>(tiling.warps * 32)),
                                static_cast<size_t>(memory.size), gemv_tiles<kFormat, kTokens>, work);
  }
  return Status(StatusCode::kInvalidShape, "a product on a device: rows are too long for its shared memory")
      .got("k " + std::to_string(g.k));
}

/// Formats with a kernel for eight rows of x; of others, two blocks read a tile at about the same time, the second from the cache.
constexpr bool serves_eight(WeightFormat format) {
  switch (format) {
    case WeightFormat::kQ4_0:
    case WeightFormat::kQ4_1:
    case WeightFormat::kQ8_0:
    case WeightFormat::kQ4_K:
    case WeightFormat::kQ5_K:
    case WeightFormat::kQ6_K: return true;
    default: return false;
  }
}

/// Rows of x that go together: as many as leave room for the rest.
template <WeightFormat kFormat>
Status start_for_tokens(const GemvCuda& g, cudaStream_t stream) {
  const auto fits = [&](int64_t tokens) {
    constexpr int64_t kRoom = 128 << 10;
    return g.k * tokens * 9 / 4 <= kRoom + (4 << 10);
  };
  // A matrix of few tiles leaves multiprocessors idle: four rows of x each on two of them are done sooner.
  const int64_t tiles = (g.n + g.more[0].n + g.more[1].n) / kTileRows;
  const bool fills = tiles >= device::limits().multiprocessors || g.tiling.has_value();
  if constexpr (serves_eight(kFormat))
    if (g.m > 4 && fits(8) && fills) return start<kFormat, 8>(g, stream);
  if (g.m > 1 && fits(4)) return start<kFormat, 4>(g, stream);
  return start<kFormat, 1>(g, stream);
}

}  // namespace

Status gemv_of_tiles(const GemvCuda& g, cudaStream_t stream) {
  return device::start_for_format(g.format, "products", [&](auto format) -> Status {
    if constexpr (lies_in_tiles(format())) return start_for_tokens<format()>(g, stream);
    else return Status(StatusCode::kUnsupported, "only quantised matrices lie in tiles");
  });
}

}  // namespace weft
