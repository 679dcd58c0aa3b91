#include "kernels/ops/gemm/gemm.h"

#include <algorithm>
#include <string>

#include "kernels/ops/gemm/dense_pack.h"
#include "kernels/ops/gemm/dense_steps.h"
#include "kernels/tensor_checks.h"

namespace weft {
namespace {

Status check_rows(const char* name, const TensorView& view) {
  if (view.shape[0] < 2 || view.strides[0] >= view.shape[1]) return {};
  return Status(StatusCode::kInvalidShape, std::string(name) + " has rows that overlap")
      .expected("a stride of at least " + std::to_string(view.shape[1]))
      .got(std::to_string(view.strides[0]));
}

Status check_matrix(const char* name, const TensorView& view, int64_t m, int64_t n) {
  if (Status status = check_float_view(name, view, 2); !status.ok()) return status;
  const TensorView expected = TensorView::contiguous(nullptr, view.dtype, {m, n});
  if (Status status = check_same_shape(name, view, expected); !status.ok()) return status;
  return check_rows(name, view);
}

// k is taken in parts of at most so many values, each a sum of its own: short sums round less. Part of what fixes the bits.
int64_t most_k(DType compute) { return compute == DType::kBF16 ? 2048 : 1024; }

constexpr int64_t kMostRows = 512;  // of a panel
constexpr int64_t kLeastRows = 96;  // if a panel with all of k had fewer, weights would be read too often
constexpr int64_t kRowUnit = 24;    // a multiple of every tile's rows in registers
constexpr int64_t kTileRowUnit = 32;
// Rows of a long k: as many as a panel of twice the size holds, up to so many. It is then read by chunks of k, and a block has
// so many groups that each is read again seldom.
constexpr int64_t kMostLongRows = 384;
constexpr int64_t kLongFrom = 256;  // rows that an ordinary panel of tiles would not hold
constexpr int64_t kBlockGroups = 2 * dense::kPairedGroups;

// Sums that wait for their activation do so in the first-level cache, if the weights that each lot of rows reads again come
// from the second.
constexpr int64_t kWaitingRows = 48;
constexpr int64_t kMostWeightBytes = 512 << 10;

constexpr int64_t kNoOffset = 0;

/// How a product is divided among threads, and what one panel holds.
struct Plan {
  Plan(const Gemm& g, const dense::Kernels& kernels)
      : group_bytes(dense::group_bytes(g.w.shape.compute, g.w.shape.k)),
        gated(g.w.shape.pairing == GemmPairing::kValueGate),
        groups(dense::n_groups(g.w.shape)),
        unit(gated ? 2 * dense::kPairedGroups : dense::kPairedGroups),
        units((groups + unit - 1) / unit),
        k_parts(g.w.shape.k, most_k(g.w.shape.compute), dense::kPadding),
        panel_parts(std::clamp<int64_t>(dense::kPanelBytes / kLeastRows / kernels.row_stride(k_parts.size), 1,
                                        k_parts.n)),
        in_place(reads_in_place(g, kernels)),
        in_tiles(kernels.in_tiles),
        is_long(in_tiles && dense::kTilePanelBytes / panel_row_bytes(kernels) < kLongFrom),
        row_stride(in_place ? g.a.strides[0] * kernels.element_bytes() : kernels.row_stride(k_parts.size)),
        rows(g.c.shape[0], most_rows(kernels), in_tiles ? kTileRowUnit : 8) {}

  /// Whether rows of A serve as they are: right in type, nothing to fill up, and not so far apart that they would compete for
  /// the same sets of a cache.
  static bool reads_in_place(const Gemm& g, const dense::Kernels& kernels) {
    const int64_t bytes = g.a.strides[0] * size_bytes(g.a.dtype);
    return dense::panel_element(g.a.dtype) == kernels.element &&
           !dense::rounds_input(g.w.shape.compute, g.a.dtype) && g.w.shape.k % dense::kPadding == 0 &&
           !kernels.compete(bytes);
  }

  int64_t most_rows(const dense::Kernels& kernels) const {
    const int64_t bytes = panel_row_bytes(kernels);
    if (!in_tiles) return std::min(kMostRows, dense::kPanelBytes / bytes / kRowUnit * kRowUnit);
    const int64_t fit = (is_long ? dense::kPanelBytes : dense::kTilePanelBytes) / bytes;
    return std::min(is_long ? kMostLongRows : kMostRows, fit / kTileRowUnit * kTileRowUnit);
  }

  int64_t panel_row_bytes(const dense::Kernels& kernels) const {
    return panel_parts * kernels.row_stride(k_parts.size);
  }

  bool one_panel() const { return panel_parts == k_parts.n; }

  /// Groups whose sums wait together: few if one panel has all of k and stays near, as many as fit otherwise.
  int64_t block_groups() const {
    if (one_panel() && !is_long) return kBlockGroups;
    const int64_t bytes = rows.size * dense::kGroup * 4;
    return std::max(kBlockGroups, dense::kSumsBytes / bytes / kBlockGroups * kBlockGroups);
  }

  /// Rows of a panel that are multiplied before their sums are finished: for tiles all, so that their weights stay near.
  int64_t rows_at_once(bool goes_out_at_once) const {
    const bool waits_nearby =
        !goes_out_at_once && !in_tiles && one_panel() && kBlockGroups * group_bytes <= kMostWeightBytes;
    return waits_nearby ? kWaitingRows : rows.size;
  }

  int64_t group_bytes;
  bool gated;
  int64_t groups, unit, units;  // a thread takes whole units of groups
  dense::Parts k_parts;
  int64_t panel_parts;  // parts of k that a panel has
  bool in_place;        // A itself is the panel
  bool in_tiles;
  bool is_long;  // see kLongFrom
  int64_t
      row_stride;  // of a part's rows, which lie together: those of all parts would compete for a cache's sets
  dense::Parts rows;
};

/// One panel's rows times the groups that a thread has of it.
class PanelProduct {
 public:
  PanelProduct(const Gemm& gemm, const dense::Kernels& kernels, const Plan& plan,
               const dense::Scratch& scratch, int64_t first_row, int64_t last_row)
      : g_(gemm),
        kernels_(kernels),
        plan_(plan),
        scratch_(scratch),
        first_row_(first_row),
        n_rows_(last_row - first_row) {}

  void compute(int64_t first_group, int64_t last_group) {
    const int64_t step = plan_.block_groups();
    if (plan_.one_panel()) fill_panel(0);
    for (int64_t group = first_group; group < last_group; group += step) {
      const int64_t n_groups = std::min(step, last_group - group);
      const int64_t rows_at_once = plan_.rows_at_once(goes_out_at_once());
      for (int64_t row = 0; row < n_rows_; row += rows_at_once) {
        const int64_t n_rows = std::min(rows_at_once, n_rows_ - row);
        for (int64_t part = 0; part < plan_.k_parts.n; ++part) {
          if (!plan_.one_panel() && part % plan_.panel_parts == 0) fill_panel(part);
          multiply(part, row, n_rows, group, n_groups);
        }
        if (!goes_out_at_once()) finish(first_row_ + row, n_rows, group, n_groups);
      }
    }
  }

 private:
  /// The panel becomes what plan_.panel_parts parts from `part` on need.
  void fill_panel(int64_t part) {
    if (plan_.in_place) return;
    for (const int64_t last = std::min(part + plan_.panel_parts, plan_.k_parts.n); part < last; ++part) {
      const int64_t first = plan_.k_parts.begin(part), k = plan_.k_parts.end(part) - first;
      for (int64_t row = 0; row < n_rows_; ++row) {
        dense::put_panel_row(kernels_, element(g_.a, first_row_ + row, first), g_.a.dtype, k,
                             dense::round_up(k, dense::kPadding), panel_row(part, row));
      }
    }
  }

  uint8_t* panel_row(int64_t part, int64_t row) const {
    return scratch_.panel + (part % plan_.panel_parts * n_rows_ + row) * plan_.row_stride;
  }

  void multiply(int64_t part, int64_t row, int64_t n_rows, int64_t group, int64_t n_groups) {
    const GemmShape& shape = g_.w.shape;
    const int64_t first = plan_.k_parts.begin(part);
    PanelTask task;
    task.a = plan_.in_place ? element(g_.a, first_row_ + row, first) : panel_row(part, row);
    task.row_stride = plan_.row_stride;
    task.run_offsets = &kNoOffset;
    task.n_runs = 1;
    task.run_rows = n_rows;
    task.tap_offsets = &kNoOffset;
    task.n_taps = 1;
    task.k = plan_.k_parts.end(part) - first;
    task.tap_bytes = 0;
    task.group_bytes = plan_.group_bytes;
    task.w = static_cast<const uint8_t*>(g_.w.data) + group * task.group_bytes +
             first * dense::kGroup * size_bytes(shape.compute);
    task.n_groups = n_groups;
    if (part + 1 < plan_.k_parts.n)
      task.next_w = task.w + plan_.k_parts.size * dense::kGroup * size_bytes(shape.compute);
    else if (group + n_groups < plan_.groups)
      task.next_w = static_cast<const uint8_t*>(g_.w.data) + (group + n_groups) * task.group_bytes;
    task.sums = scratch_.sums;
    task.sums_stride = n_groups * dense::kGroup;
    task.start = part == 0 ? PanelStart::kZero : PanelStart::kContinue;
    if (goes_out_at_once() && part == plan_.k_parts.n - 1)
      task.output = output(first_row_ + row, group * dense::kGroup);
    kernels_.multiply(task);
  }

  PanelOutput output(int64_t row, int64_t column) const {
    PanelOutput o;
    o.out = element(g_.c, row, column);
    o.type = dense::panel_element(g_.c.dtype);
    o.row_stride = g_.c.strides[0];
    o.run_offsets = &kNoOffset;
    o.columns = g_.c.shape[1] - column;
    if (g_.bias != nullptr) o.bias = g_.bias + column;
    if (g_.residual.rank == 0) return o;
    o.residual = element(g_.residual, row, column);
    o.residual_type = dense::panel_element(g_.residual.dtype);
    o.residual_row_stride = g_.residual.strides[0];
    o.residual_run_offsets = &kNoOffset;
    return o;
  }

  /// Whether sums leave the tile that computed them; those with an activation wait for it in scratch.
  bool goes_out_at_once() const { return !plan_.gated && !g_.activation; }

  void finish(int64_t first_row, int64_t n_rows, int64_t group, int64_t n_groups) {
    // Each step is values, followed in the sums by their gates where there are any.
    const int64_t step = plan_.gated ? plan_.unit : n_groups, width = g_.c.shape[1];
    for (int64_t at = 0; at < n_groups; at += step) {
      const int64_t outputs = std::min(step, n_groups - at) / (plan_.gated ? 2 : 1) * dense::kGroup;
      const int64_t column = (group + at) / (plan_.gated ? 2 : 1) * dense::kGroup;
      RowsOutput rows = {};
      rows.n_rows = n_rows;
      rows.count = std::min(outputs, width - column);
      rows.sums = scratch_.sums + at * dense::kGroup;
      rows.sums_stride = n_groups * dense::kGroup;
      if (g_.bias != nullptr) rows.bias = g_.bias + column;
      if (plan_.gated) rows.gates = rows.sums + outputs;
      if (plan_.gated && g_.bias != nullptr) rows.gate_bias = g_.bias + width + column;
      if (g_.residual.rank != 0) rows.residual = element(g_.residual, first_row, column);
      rows.residual_stride = g_.residual.strides[0];
      rows.out = element(g_.c, first_row, column);
      rows.out_stride = g_.c.strides[0];
      rows.residual_type = dense::panel_element(g_.residual.dtype);
      rows.out_type = dense::panel_element(g_.c.dtype);
      rows.activation = dense::activation_number(g_.activation);
      kernels_.rows.finish(rows);
    }
  }

  static uint8_t* element(const TensorView& view, int64_t row, int64_t column) {
    return view.as<uint8_t>() + (row * view.strides[0] + column) * size_bytes(view.dtype);
  }

  const Gemm& g_;
  const dense::Kernels& kernels_;
  const Plan& plan_;
  const dense::Scratch& scratch_;
  int64_t first_row_, n_rows_;
};

}  // namespace

int64_t gemm_scratch_bytes(uint32_t n_threads) { return n_threads * dense::kScratchBytes; }

Status check_gemm(const Gemm& g) {
  const GemmShape& shape = g.w.shape;
  Result<int64_t> size = gemm_packed_bytes(shape);
  if (!size.ok()) return size.status();
  const int64_t m = g.a.rank == 2 ? g.a.shape[0] : 0;
  const int64_t width = shape.pairing == GemmPairing::kNone ? shape.n : shape.n / 2;
  if (Status status = check_matrix("the input of a product", g.a, m, shape.k); !status.ok()) return status;
  if (Status status = check_matrix("the output of a product", g.c, m, width); !status.ok()) return status;
  if (g.residual.rank != 0) {
    Status status = check_matrix("the residual of a product", g.residual, m, width);
    if (!status.ok()) return status;
  }
  if (m == 0) return {};
  if (g.w.data == nullptr || !is_aligned(g.w.data, kGemmAlignment) || g.scratch == nullptr ||
      !is_aligned(g.scratch, kGemmAlignment)) {
    return Status(StatusCode::kInvalidArgument,
                  "packed weights or the scratch of a product are null or not aligned")
        .expected("addresses divisible by " + std::to_string(kGemmAlignment));
  }
  return {};
}

void gemm_share(const Gemm& g, uint32_t thread, uint32_t n_threads, IsaLevel level) {
  if (g.c.shape[0] == 0) return;
  const dense::Kernels kernels(g.w.shape.compute, level);
  const Plan plan(g, kernels);
  const dense::Scratch scratch(g.scratch, thread);
  // Units of work: (panel of rows, unit of groups), panels outermost, so that a thread prepares few panels.
  const int64_t end = dense::share_begin(plan.rows.n * plan.units, thread + 1, n_threads);
  for (int64_t at = dense::share_begin(plan.rows.n * plan.units, thread, n_threads); at < end;) {
    const int64_t panel = at / plan.units, stop = std::min(end, (panel + 1) * plan.units);
    PanelProduct product(g, kernels, plan, scratch, plan.rows.begin(panel), plan.rows.end(panel));
    product.compute((at - panel * plan.units) * plan.unit,
                    std::min(plan.groups, (stop - panel * plan.units) * plan.unit));
    at = stop;
  }
}

Status gemm(const Gemm& g, Executor executor, IsaLevel level) {
  if (Status status = check_gemm(g); !status.ok()) return status;
  if (g.c.shape[0] == 0) return {};
  executor.run([&](Team team) { gemm_share(g, team.thread(), team.n_threads(), level); });
  return {};
}

const char* gemm_body_name(DType compute, IsaLevel level) {
  return dense::Kernels(compute, level).panels.name;
}

}  // namespace weft
