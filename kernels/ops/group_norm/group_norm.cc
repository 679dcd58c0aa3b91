#include "kernels/ops/group_norm/group_norm.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/tensor_checks.h"

namespace weft {
namespace {

constexpr int64_t kSlice = 16;  // channels that one thread takes at a time
constexpr int64_t kRun = 64;    // pixels summed in f32

int64_t skip_channels(const GroupNorm& g) { return g.skip.rank == 0 ? 0 : g.skip.shape[3]; }
int64_t all_channels(const GroupNorm& g) { return g.x.shape[3] + skip_channels(g); }

int64_t share_begin(int64_t count, uint32_t thread, uint32_t n_threads) {
  return count / n_threads * thread + count % n_threads * thread / n_threads;
}

struct Moments {
  double mean, squares;  // squares: the sum of squared differences from the mean
};

/// One channel of one image. view: x or skip; channel: within it.
Moments channel_moments(const TensorView& view, int64_t image, int64_t channel) {
  const int64_t rows = view.shape[1], cols = view.shape[2], base = image * view.strides[0] + channel;
  const float origin = load_element(view.data, view.dtype, base);
  double sum = 0, squares = 0;
  for (int64_t first = 0; first < rows * cols; first += kRun) {
    float run_sum = 0, run_squares = 0;
    for (int64_t p = first; p < std::min(first + kRun, rows * cols); ++p) {
      const int64_t at = base + p / cols * view.strides[1] + p % cols * view.strides[2];
      const float d = load_element(view.data, view.dtype, at) - origin;
      run_sum += d;
      run_squares += d * d;
    }
    sum += run_sum;
    squares += run_squares;
  }
  const double count = static_cast<double>(rows * cols), mean = sum / count;
  return {origin + mean, std::max(0.0, squares - mean * sum)};
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

void group_norm_moments_share(const GroupNorm& g, uint32_t thread, uint32_t n_threads, IsaLevel) {
  const int64_t channels = all_channels(g), slices = (channels + kSlice - 1) / kSlice;
  const int64_t end = share_begin(g.x.shape[0] * slices, thread + 1, n_threads);
  for (int64_t at = share_begin(g.x.shape[0] * slices, thread, n_threads); at < end; ++at) {
    const int64_t image = at / slices, first = at % slices * kSlice;
    for (int64_t c = first; c < std::min(first + kSlice, channels); ++c) {
      const bool second = c >= g.x.shape[3];
      const Moments m = channel_moments(second ? g.skip : g.x, image, second ? c - g.x.shape[3] : c);
      g.scale[image * channels + c] = static_cast<float>(m.mean);
      g.shift[image * channels + c] = static_cast<float>(m.squares);
    }
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

void group_norm_apply_share(const GroupNorm& g, std::optional<Activation> f, const TensorView& y,
                            uint32_t thread, uint32_t n_threads, IsaLevel level) {
  const int64_t channels = all_channels(g), height = y.shape[1], width = y.shape[2];
  const int64_t end = share_begin(y.shape[0] * height * width, thread + 1, n_threads);
  for (int64_t at = share_begin(y.shape[0] * height * width, thread, n_threads); at < end; ++at) {
    const int64_t image = at / (height * width), i = at / width % height, j = at % width;
    for (int64_t first = 0; first < channels; first += kSlice) {
      float values[kSlice];
      const int64_t count = std::min(kSlice, channels - first);
      for (int64_t c = first; c < first + count; ++c) {
        const bool second = c >= g.x.shape[3];
        const TensorView& v = second ? g.skip : g.x;
        const float x = load_element(
            v.data, v.dtype,
            image * v.strides[0] + i * v.strides[1] + j * v.strides[2] + (second ? c - g.x.shape[3] : c));
        values[c - first] = x * g.scale[image * channels + c] + g.shift[image * channels + c];
      }
      if (f) activate(*f, values, count, level);
      const int64_t to = image * y.strides[0] + i * y.strides[1] + j * y.strides[2] + first;
      for (int64_t c = 0; c < count; ++c) store_element(y.data, y.dtype, to + c, values[c]);
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
