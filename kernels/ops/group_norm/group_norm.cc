#include "kernels/ops/group_norm/group_norm.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/ops/gemm/dense_steps.h"
#include "kernels/ops/group_norm/group_norm_bodies.h"
#include "kernels/tensor_checks.h"

namespace weft {
namespace {

using dense::share_begin;

constexpr int64_t kSlice = 16;  // channels that threads are given at least

int64_t skip_channels(const GroupNorm& g) { return g.skip.rank == 0 ? 0 : g.skip.shape[3]; }
int64_t all_channels(const GroupNorm& g) { return g.x.shape[3] + skip_channels(g); }

/// Channels [first, last) of one image's x and skip together.
void moments(const GroupNorm& g, int64_t image, int64_t first, int64_t last, const GroupNormBodies& body) {
  const int64_t in_x = g.x.shape[3], at = image * all_channels(g);
  while (first < last) {
    const bool second = first >= in_x;
    const TensorView& v = second ? g.skip : g.x;
    const int64_t end = second ? last : std::min(last, in_x);
    MomentsTask task;
    task.x = v.as<uint8_t>() + (image * v.strides[0] + (second ? first - in_x : first)) * size_bytes(v.dtype);
    task.type = dense::panel_element(v.dtype);
    task.rows = v.shape[1];
    task.cols = v.shape[2];
    task.row_stride = v.strides[1];
    task.col_stride = v.strides[2];
    task.channels = end - first;
    task.mean = g.scale + at + first;
    task.squares = g.shift + at + first;
    body.moments(task);
    first = end;
  }
}

}  // namespace

Status check_group_norm(const GroupNorm& g) {
  if (Status status = check_float_view("the input of a group norm", g.x, 4); !status.ok()) return status;
  if (g.skip.rank != 0) {
    if (Status status = check_float_view("the second input of a group norm", g.skip, 4); !status.ok())
      return status;
    TensorView expected = g.x;
    expected.shape[3] = g.skip.shape[3];
    if (Status status = check_same_shape("the second input of a group norm", g.skip, expected); !status.ok())
      return status;
  }
  const int64_t channels = all_channels(g);
  if (g.x.shape[1] < 1 || g.x.shape[2] < 1 || g.x.shape[3] < 1 || g.groups < 1 || channels % g.groups != 0) {
    return Status(StatusCode::kInvalidShape, "a group norm has an impossible shape")
        .expected("pixels, and channels that " + std::to_string(g.groups) + " groups divide")
        .got(shape_text(g.x) + " and " + std::to_string(skip_channels(g)) + " more channels");
  }
  if (!(g.epsilon > 0)) {
    return Status(StatusCode::kInvalidArgument, "the epsilon of a group norm must be positive")
        .got(std::to_string(g.epsilon));
  }
  if (g.x.shape[0] > 0 && (g.scale == nullptr || g.shift == nullptr))
    return Status(StatusCode::kInvalidArgument, "a group norm's scale or shift is a null pointer");
  return {};
}

void group_norm_moments_share(const GroupNorm& g, uint32_t thread, uint32_t n_threads, IsaLevel level) {
  const GroupNormBodies& body = WEFT_ISA_BODY(kGroupNormBodies, level);
  const int64_t channels = all_channels(g), slices = (channels + kSlice - 1) / kSlice;
  const int64_t end = share_begin(g.x.shape[0] * slices, thread + 1, n_threads);
  for (int64_t at = share_begin(g.x.shape[0] * slices, thread, n_threads); at < end;) {
    const int64_t image = at / slices, stop = std::min(end, (image + 1) * slices);
    const int64_t first = (at - image * slices) * kSlice, last = (stop - image * slices) * kSlice;
    moments(g, image, first, std::min(last, channels), body);
    at = stop;
  }
}

void group_norm_scale_share(const GroupNorm& g, uint32_t thread, uint32_t n_threads) {
  const int64_t channels = all_channels(g), per_group = channels / g.groups;
  const double pixels = static_cast<double>(g.x.shape[1] * g.x.shape[2]);
  const int64_t end = share_begin(g.x.shape[0] * g.groups, thread + 1, n_threads);
  for (int64_t at = share_begin(g.x.shape[0] * g.groups, thread, n_threads); at < end; ++at) {
    const int64_t first = at % g.groups * per_group;
    float* scale = g.scale + at / g.groups * channels + first;
    float* shift = g.shift + at / g.groups * channels + first;
    double mean = 0, squares = 0;
    for (int64_t c = 0; c < per_group; ++c) mean += scale[c];
    mean /= static_cast<double>(per_group);
    for (int64_t c = 0; c < per_group; ++c)
      squares += shift[c] + pixels * (scale[c] - mean) * (scale[c] - mean);
    const double inverse = 1 / std::sqrt(squares / (pixels * static_cast<double>(per_group)) + g.epsilon);
    for (int64_t c = 0; c < per_group; ++c) {
      const double s = inverse * (g.weight ? g.weight[first + c] : 1);
      scale[c] = static_cast<float>(s);
      shift[c] = static_cast<float>((g.bias ? g.bias[first + c] : 0) - mean * s);
    }
  }
}

Status group_norm_scale(const GroupNorm& g, Executor executor, IsaLevel level) {
  if (Status status = check_group_norm(g); !status.ok()) return status;
  if (g.x.shape[0] == 0) return {};
  executor.run([&](Team team) {
    group_norm_moments_share(g, team.thread(), team.n_threads(), level);
    team.barrier();
    group_norm_scale_share(g, team.thread(), team.n_threads());
  });
  return {};
}

Status check_group_norm_output(const GroupNorm& g, const TensorView& y) {
  if (Status status = check_float_view("the output of a group norm", y, 4); !status.ok()) return status;
  TensorView expected = g.x;
  expected.shape[3] = all_channels(g);
  return check_same_shape("the output of a group norm", y, expected);
}

namespace {

/// Channels of one pixel of one input on their way to y.
void apply(const GroupNorm& g, std::optional<Activation> f, const TensorView& from, int64_t from_at,
           int64_t parameters_at, const TensorView& y, int64_t y_at, IsaLevel level) {
  const DenseRowBodies& rows = WEFT_ISA_BODY_WITH_BF16_AND_AMX(kDenseRowBodies, level);
  const int64_t channels = from.shape[3];
  const uint8_t* x = from.as<const uint8_t>() + from_at * size_bytes(from.dtype);
  uint8_t* to = y.as<uint8_t>() + y_at * size_bytes(y.dtype);
  const float* scale = g.scale + parameters_at;
  const float* shift = g.shift + parameters_at;
  if (f == Activation::kSilu) {
    return rows.scale_shift_silu(x, dense::panel_element(from.dtype), scale, shift, to,
                                 dense::panel_element(y.dtype), channels);
  }
  constexpr int64_t kPart = 512;
  float values[kPart];
  for (int64_t c = 0; c < channels; c += kPart) {
    const int64_t count = std::min(kPart, channels - c);
    dense::to_f32(rows, x + c * size_bytes(from.dtype), from.dtype, count, values);
    rows.scale_shift(values, scale + c, shift + c, count);
    if (f) activate(*f, values, count, level);
    dense::from_f32(rows, values, count, y.dtype, to + c * size_bytes(y.dtype));
  }
}

}  // namespace

void group_norm_apply_share(const GroupNorm& g, std::optional<Activation> f, const TensorView& y,
                            uint32_t thread, uint32_t n_threads, IsaLevel level) {
  const int64_t channels = all_channels(g), height = y.shape[1], width = y.shape[2];
  const auto offset = [](const TensorView& v, int64_t image, int64_t i, int64_t j) {
    return image * v.strides[0] + i * v.strides[1] + j * v.strides[2];
  };
  const int64_t end = share_begin(y.shape[0] * height * width, thread + 1, n_threads);
  for (int64_t at = share_begin(y.shape[0] * height * width, thread, n_threads); at < end; ++at) {
    const int64_t image = at / (height * width), i = at / width % height, j = at % width;
    const int64_t to = offset(y, image, i, j);
    apply(g, f, g.x, offset(g.x, image, i, j), image * channels, y, to, level);
    if (g.skip.rank != 0) {
      apply(g, f, g.skip, offset(g.skip, image, i, j), image * channels + g.x.shape[3], y, to + g.x.shape[3],
            level);
    }
  }
}

Status group_norm(const GroupNorm& g, std::optional<Activation> f, const TensorView& y, Executor executor,
                  IsaLevel level) {
  Status status = check_group_norm(g);
  if (status.ok()) status = check_group_norm_output(g, y);
  if (!status.ok() || g.x.shape[0] == 0) return status;
  executor.run([&](Team team) {
    group_norm_moments_share(g, team.thread(), team.n_threads(), level);
    team.barrier();
    group_norm_scale_share(g, team.thread(), team.n_threads());
    team.barrier();
    group_norm_apply_share(g, f, y, team.thread(), team.n_threads(), level);
  });
  return {};
}

}  // namespace weft
