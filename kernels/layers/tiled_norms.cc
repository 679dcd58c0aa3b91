#include "kernels/layers/tiled_norms.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace weft {

void TiledNorms::begin_sweep() {
  used_ = std::move(found_);
  found_.clear();
}

void TiledNorms::begin_tile(const TileCore& core) { core_ = core; }

void TiledNorms::end_tile() {
  for (size_t i = 0; i < arriving_.size(); ++i) {
    const std::span<const float> moments(arriving_[i].moments);
    const size_t channels = moments.size() / 2;
    add(i, arriving_[i].groups, arriving_[i].pixels, moments.first(channels), moments.subspan(channels));
  }
  arriving_.clear();
}

float* TiledNorms::room_for(size_t index, const GroupNorm& of_core) {
  assert(index == arriving_.size());
  const auto channels = static_cast<size_t>(of_core.x.shape[3]);
  arriving_.push_back(
      {of_core.groups, of_core.x.shape[1] * of_core.x.shape[2], std::vector<float>(2 * channels)});
  return arriving_[index].moments.data();
}

void TiledNorms::write_used(size_t index, float* moments) const {
  const std::vector<Moments>& channels = used_[index].channels;
  for (size_t c = 0; c < channels.size(); ++c) {
    moments[c] = static_cast<float>(channels[c].mean);
    moments[channels.size() + c] = static_cast<float>(channels[c].squares);
  }
}

GroupNorm TiledNorms::of_core(const GroupNorm& g) const {
  assert(g.x.shape[0] == 1 && g.skip.rank == 0 && g.x.shape[1] % core_.tile_rows == 0);
  const int64_t scale = g.x.shape[1] / core_.tile_rows;
  GroupNorm core = g;
  const int64_t offset = core_.first_row * scale * g.x.strides[1] + core_.first_col * scale * g.x.strides[2];
  core.x.data = g.x.as<std::byte>() + offset * size_bytes(g.x.dtype);
  core.x.shape[1] = core_.n_rows * scale;
  core.x.shape[2] = core_.n_cols * scale;
  return core;
}

void TiledNorms::add(size_t index, int64_t groups, int64_t pixels, std::span<const float> means,
                     std::span<const float> squares) {
  const size_t channels = means.size();
  if (index == found_.size()) {
    found_.push_back({.groups = groups, .pixels = 0, .channels = std::vector<Moments>(channels)});
  }
  Norm& found = found_[index];
  const auto before = static_cast<double>(found.pixels), here = static_cast<double>(pixels);
  for (size_t c = 0; c < channels; ++c) {
    Moments& m = found.channels[c];
    const double apart = static_cast<double>(means[c]) - m.mean;
    m.squares += static_cast<double>(squares[c]) + apart * apart * before * here / (before + here);
    m.mean += apart * here / (before + here);
  }
  found.pixels += pixels;
}

GroupNorm TiledNorms::join(size_t index, const GroupNorm& of_core) {
  const auto channels = static_cast<size_t>(of_core.x.shape[3]);
  add(index, of_core.groups, of_core.x.shape[1] * of_core.x.shape[2], {of_core.scale, channels},
      {of_core.shift, channels});
  if (used_.empty()) return of_core;
  const Norm& used = used_[index];
  for (size_t c = 0; c < channels; ++c) {
    of_core.scale[c] = static_cast<float>(used.channels[c].mean);
    of_core.shift[c] = static_cast<float>(used.channels[c].squares);
  }
  GroupNorm whole = of_core;
  whole.x.shape[1] = used.pixels;  // only their number counts
  whole.x.shape[2] = 1;
  return whole;
}

TiledNorms::Group TiledNorms::group_of(const Norm& norm, int64_t group) {
  const auto each = static_cast<int64_t>(norm.channels.size()) / norm.groups;
  const auto pixels = static_cast<double>(norm.pixels);
  const Moments* first = norm.channels.data() + group * each;
  double mean = 0, squares = 0;
  for (int64_t c = 0; c < each; ++c) mean += first[c].mean / static_cast<double>(each);
  for (int64_t c = 0; c < each; ++c) {
    const double apart = first[c].mean - mean;
    squares += first[c].squares + pixels * apart * apart;
  }
  return {mean, std::sqrt(squares / (pixels * static_cast<double>(each)))};
}

double TiledNorms::change() const {
  if (used_.size() != found_.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (size_t i = 0; i < found_.size(); ++i) {
    for (int64_t group = 0; group < found_[i].groups; ++group) {
      const Group a = group_of(used_[i], group), b = group_of(found_[i], group);
      const double scale = std::max({a.deviation, b.deviation, 1e-12});
      largest =
          std::max({largest, std::abs(a.mean - b.mean) / scale, std::abs(a.deviation - b.deviation) / scale});
    }
  }
  return largest;
}

}  // namespace weft
