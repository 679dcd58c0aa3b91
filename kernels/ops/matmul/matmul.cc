#include "kernels/ops/matmul/matmul.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "kernels/ops/matmul/matmul_bodies.h"

namespace weft {
namespace {

// Rows of activations that stay in the second-level cache while all of a thread's weights pass by.
constexpr int64_t kRowChunk = 128;

const MatmulBodies& bodies(IsaLevel level) {
  return level >= IsaLevel::kAmx ? isa_amx::kTileMatmulBodies : WEFT_ISA_BODY(kMatmulBodies, level);
}

int64_t groups(const PackedMatrix& w) { return (w.n + kGroupRows - 1) / kGroupRows; }

int64_t share_begin(int64_t count, uint32_t thread, uint32_t n_threads) {
  return count / n_threads * thread + count % n_threads * thread / n_threads;
}

void add_bias(const GroupTask& task, const float* bias) {
  for (int64_t r = 0; r < task.n_rows; ++r) {
    for (int lane = 0; lane < task.lanes; ++lane) task.y[r * task.y_stride + lane] += bias[lane];
  }
}

/// The fewest groups that a thread takes at once: a few microseconds of work.
int64_t least_groups(int64_t bytes_per_group, int64_t n_rows) {
  constexpr int64_t kLeastBytes = 32 << 10;  // of weights, each used once; more rows use them longer
  return std::max<int64_t>(kLeastBytes / (bytes_per_group * std::max<int64_t>(n_rows / 4, 1)), 1);
}

/// Groups [first_group, last_group) of one term, rows [first_row, last_row) of the activations.
void multiply_part(const Activations& a, const MatmulTerm& term, int64_t first_group, int64_t last_group,
                   int64_t first_row, int64_t last_row, IsaLevel level) {
  const PackedMatrix& w = *term.w;
  const int64_t bytes = group_bytes(w.format, w.k);
  const MatmulBodies& quantised = bodies(level);
  const auto multiply_group =
      is_float(w.format) ? WEFT_ISA_BODY(kFloatMatmulBodies, level).multiply_group : quantised.multiply_group;
  GroupTask task;
  task.format = w.format;
  task.k = w.k;
  task.n_rows = last_row - first_row;
  task.rounded =
      static_cast<const std::byte*>(a.scratch) + first_row * (a.k / kStep) * quantised.rounded_bytes;
  task.x = a.x + first_row * a.x_stride;
  task.x_stride = a.x_stride;
  task.y_stride = term.y_stride;
  for (int64_t g = first_group; g < last_group; ++g) {
    task.group = static_cast<const uint8_t*>(w.data) + g * bytes;
    task.y = term.y + first_row * term.y_stride + g * kGroupRows;
    task.lanes = static_cast<int>(std::min<int64_t>(kGroupRows, w.n - g * kGroupRows));
    multiply_group(task);
    if (term.bias) add_bias(task, term.bias + g * kGroupRows);
  }
}

Status check_activations(const Activations& a) {
  if (a.m < 0 || a.k < 1) {
    return Status(StatusCode::kInvalidShape, "activations of a matrix product are not [m, k]")
        .expected("m >= 0, k >= 1")
        .got("m = " + std::to_string(a.m) + ", k = " + std::to_string(a.k));
  }
  if (a.x_stride < a.k) {
    return Status(StatusCode::kInvalidShape, "rows of activations overlap")
        .expected("a stride of at least " + std::to_string(a.k))
        .got(std::to_string(a.x_stride));
  }
  if (a.x == nullptr && a.m > 0)
    return Status(StatusCode::kInvalidArgument, "activations are a null pointer");
  return {};
}

bool aligned(const void* p, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(p) % static_cast<uintptr_t>(bytes) == 0;
}

Status check_term(const Activations& a, const MatmulTerm& term) {
  if (term.w == nullptr || term.w->data == nullptr || !aligned(term.w->data, kPackedAlignment)) {
    return Status(StatusCode::kInvalidArgument, "a packed matrix is null or not aligned")
        .expected("an address divisible by " + std::to_string(kPackedAlignment));
  }
  const PackedMatrix& w = *term.w;
  Result<int64_t> size = packed_size_bytes(w.format, w.n, w.k);
  if (!size.ok()) return size.status();
  if (w.k != a.k) {
    return Status(StatusCode::kInvalidShape, "activations and weights of a matrix product differ in k")
        .expected(std::to_string(w.k))
        .got(std::to_string(a.k));
  }
  if (term.y_stride < w.n) {
    return Status(StatusCode::kInvalidShape, "rows of a product overlap")
        .expected("a stride of at least " + std::to_string(w.n))
        .got(std::to_string(term.y_stride));
  }
  if (a.m == 0) return {};
  if (term.y == nullptr)
    return Status(StatusCode::kInvalidArgument, "the output of a matrix product is a null pointer");
  if (rounds_activations(w.format) && (a.scratch == nullptr || !aligned(a.scratch, alignof(RoundedStep)))) {
    return Status(StatusCode::kInvalidArgument, "the scratch of a quantised product is null or not aligned")
        .expected("activations_bytes(m, k) at an address divisible by 64");
  }
  return {};
}

}  // namespace

int64_t activations_bytes(int64_t m, int64_t k) {
  // Of the level that takes most, so that one scratch serves all levels of this machine.
  const size_t bytes = isa_available(IsaLevel::kAmx) ? sizeof(PlaneStep) : sizeof(RoundedStep);
  return m * (k / kStep) * static_cast<int64_t>(bytes);
}

bool rounds_activations(WeightFormat format) { return matmul_serves(format) && !is_float(format); }

void quantize_activations_share(const Activations& a, uint32_t thread, uint32_t n_threads, IsaLevel level) {
  const int64_t steps = a.k / kStep;
  if (steps == 0) return;
  const MatmulBodies& body = bodies(level);
  std::byte* out = static_cast<std::byte*>(a.scratch);
  int64_t at = share_begin(a.m * steps, thread, n_threads);
  const int64_t end = share_begin(a.m * steps, thread + 1, n_threads);
  while (at < end) {
    const int64_t row = at / steps, step = at % steps;
    const int64_t count = std::min(steps - step, end - at);
    body.round_steps(a.x + row * a.x_stride + step * kStep, count, out + at * body.rounded_bytes);
    at += count;
  }
}

void matmul_share(const Activations& a, const MatmulTerm* terms, int n_terms, SharedWork& work,
                  uint32_t thread, uint32_t n_threads, IsaLevel level) {
  if (a.m == 0) return;
  int64_t all_groups = 0, all_bytes = 0;
  for (int i = 0; i < n_terms; ++i) {
    all_groups += groups(*terms[i].w);
    all_bytes += groups(*terms[i].w) * group_bytes(terms[i].w->format, a.k);
  }
  // Units of work: (chunk of rows, group), chunks outermost, so that a block is one chunk and neighbouring groups.
  const int64_t n_chunks = (a.m + kRowChunk - 1) / kRowChunk;
  const int64_t least = least_groups(all_bytes / all_groups, a.m / n_chunks);
  for (int64_t begin, end; work.take(thread, n_threads, n_chunks * all_groups, least, &begin, &end);) {
    for (int64_t at = begin; at < end;) {
      const int64_t chunk = at / all_groups, chunk_begin = chunk * all_groups;
      const int64_t stop = std::min(end, chunk_begin + all_groups);
      const int64_t first_row = a.m * chunk / n_chunks, last_row = a.m * (chunk + 1) / n_chunks;
      int64_t term_begin = chunk_begin;
      for (int i = 0; i < n_terms; ++i) {
        const int64_t term_end = term_begin + groups(*terms[i].w);
        const int64_t from = std::max(at, term_begin), to = std::min(stop, term_end);
        if (from < to)
          multiply_part(a, terms[i], from - term_begin, to - term_begin, first_row, last_row, level);
        term_begin = term_end;
      }
      at = stop;
    }
  }
}

Status matmul(const Activations& a, const MatmulTerm* terms, int n_terms, Executor executor, IsaLevel level) {
  Status status = check_activations(a);
  bool rounds = false;
  for (int i = 0; i < n_terms && status.ok(); ++i) {
    status = check_term(a, terms[i]);
    if (status.ok()) rounds |= rounds_activations(terms[i].w->format);
  }
  if (!status.ok() || a.m == 0) return status;
  SharedWork work;
  executor.run([&](Team team) {
    if (rounds) {
      quantize_activations_share(a, team.thread(), team.n_threads(), level);
      team.barrier();
    }
    matmul_share(a, terms, n_terms, work, team.thread(), team.n_threads(), level);
  });
  return {};
}

const char* matmul_body_name(IsaLevel level) { return bodies(level).name; }

}  // namespace weft
