#include "kernels/networks/protein_mpnn/backbone_graph.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/networks/protein_mpnn/edge_rows_bodies.h"

namespace weft {
namespace {

enum Atom : uint8_t { kN, kCA, kC, kO, kCB, kAtoms };

// Which atom of the position, which of the neighbour.
struct AtomPair {
  uint8_t own, other;
};
constexpr AtomPair kBackbonePairs[] = {{kN, kN},  {kC, kC},   {kO, kO},  {kCB, kCB}, {kCA, kN}, {kCA, kC},
                                       {kCA, kO}, {kCA, kCB}, {kN, kC},  {kN, kO},   {kN, kCB}, {kCB, kC},
                                       {kCB, kO}, {kO, kC},   {kN, kCA}, {kC, kCA},  {kO, kCA}, {kCB, kCA},
                                       {kC, kN},  {kO, kN},   {kCB, kN}, {kC, kCB},  {kO, kCB}, {kC, kO}};
// Steps along the trace: before, at, after.
constexpr AtomPair kTracePairs[] = {{0, 0}, {2, 2}, {0, 1}, {0, 2}, {1, 0}, {1, 2}, {2, 0}, {2, 1}};

constexpr float kBondLeast = 3.6F, kBondMost = 4.0F;  // angstrom from CA to CA, or the trace breaks there

float sign_of(float x) { return x > 0 ? 1.0F : x < 0 ? -1.0F : 0.0F; }

}  // namespace

BackboneGraph::Point BackboneGraph::atom(int64_t position, int64_t atom) const {
  const float* p = backbone_.atoms.data() + (position * 4 + atom) * 3;
  return {p[0], p[1], p[2]};
}

// Where the first atom of the side chain would be: an ideal tetrahedron.
BackboneGraph::Point BackboneGraph::beta(int64_t position) const {
  const Point n = atom(position, kN), ca = atom(position, kCA), c = atom(position, kC);
  const float bx = ca.x - n.x, by = ca.y - n.y, bz = ca.z - n.z;
  const float cx = c.x - ca.x, cy = c.y - ca.y, cz = c.z - ca.z;
  const float ax = by * cz - bz * cy, ay = bz * cx - bx * cz, az = bx * cy - by * cx;
  const auto place = [](float a, float b, float c_, float from) {
    return -0.58273431F * a + 0.56802827F * b - 0.54067466F * c_ + from;
  };
  return {place(ax, bx, cx, ca.x), place(ay, by, cy, ca.y), place(az, bz, cz, ca.z)};
}

BackboneGraph::Point BackboneGraph::trace(int64_t position) const {
  return position < 0 || position >= backbone_.count ? Point{} : atom(position, kCA);
}

float BackboneGraph::distance(const Point& a, const Point& b) {
  const float x = a.x - b.x, y = a.y - b.y, z = a.z - b.z;
  return std::sqrt(((x * x + y * y) + z * z) + 1e-6F);
}

void BackboneGraph::find_neighbours(int64_t position, float* distance_scratch, int32_t* index_scratch,
                                    int32_t* neighbours, float* distances) const {
  const Point here = atom(position, kCA);
  float farthest = 0;
  for (int64_t j = 0; j < backbone_.count; ++j) {
    distance_scratch[j] = backbone_.present[static_cast<size_t>(j)] != 0 ? distance(atom(j, kCA), here) : 0;
    farthest = std::max(farthest, distance_scratch[j]);
  }
  // What has no place is as far as the farthest.
  for (int64_t j = 0; j < backbone_.count; ++j)
    if (backbone_.present[static_cast<size_t>(j)] == 0) distance_scratch[j] = farthest;
  std::iota(index_scratch, index_scratch + backbone_.count, 0);
  std::partial_sort(
      index_scratch, index_scratch + n_neighbours_, index_scratch + backbone_.count,
      [&](int32_t a, int32_t b) {
        return distance_scratch[a] != distance_scratch[b] ? distance_scratch[a] < distance_scratch[b] : a < b;
      });
  for (int64_t k = 0; k < n_neighbours_; ++k) {
    neighbours[k] = index_scratch[k];
    distances[k] = distance_scratch[index_scratch[k]];
  }
}

int64_t BackboneGraph::place_class(int64_t i, int64_t j) const {
  const auto a = static_cast<size_t>(i), b = static_cast<size_t>(j);
  if (backbone_.chain[a] != backbone_.chain[b]) return kPositionClasses - 1;
  const int64_t offset = int64_t{backbone_.residue_index[a]} - backbone_.residue_index[b];
  return std::clamp<int64_t>(offset + kPositionRange, 0, 2 * kPositionRange);
}

int64_t BackboneGraph::pair_distances(int64_t i, int64_t j, float nearest, float* distances) const {
  int64_t count = 0;
  distances[count++] = nearest;
  if (ca_only_) {
    const Point own[3] = {trace(i - 1), trace(i), trace(i + 1)};
    const Point other[3] = {trace(j - 1), trace(j), trace(j + 1)};
    for (const AtomPair& pair : kTracePairs) distances[count++] = distance(own[pair.own], other[pair.other]);
    return count;
  }
  const Point own[kAtoms] = {atom(i, kN), atom(i, kCA), atom(i, kC), atom(i, kO), beta(i)};
  const Point other[kAtoms] = {atom(j, kN), atom(j, kCA), atom(j, kC), atom(j, kO), beta(j)};
  for (const AtomPair& pair : kBackbonePairs) distances[count++] = distance(own[pair.own], other[pair.other]);
  return count;
}

BackboneGraph::Frame BackboneGraph::frame(int64_t position) const {
  Frame frame = {};
  if (position < 1 || position > backbone_.count - 3) return frame;
  const auto unit = [](float* v) {
    const float length = std::max(std::sqrt((v[0] * v[0] + v[1] * v[1]) + v[2] * v[2]), 1e-12F);
    for (int i = 0; i < 3; ++i) v[i] /= length;
  };
  const auto cross = [](const float* a, const float* b, float* v) {
    for (int i = 0; i < 3; ++i) v[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
  };
  const auto bond = [&](int64_t from, float* v) {
    const Point a = trace(from), b = trace(from + 1);
    v[0] = b.x - a.x, v[1] = b.y - a.y, v[2] = b.z - a.z;
    const float length = std::sqrt((v[0] * v[0] + v[1] * v[1]) + v[2] * v[2]);
    if (!(length > kBondLeast && length < kBondMost)) v[0] = v[1] = v[2] = 0;
    unit(v);
  };
  float before[3], after[3];
  bond(position - 1, before);
  bond(position, after);
  for (int i = 0; i < 3; ++i) frame.axes[0][i] = before[i] - after[i];
  unit(frame.axes[0]);
  cross(before, after, frame.axes[1]);
  unit(frame.axes[1]);
  cross(frame.axes[0], frame.axes[1], frame.axes[2]);
  return frame;
}

// The direction to the neighbour in the position's frame, and the turn between their frames as a quaternion.
void BackboneGraph::directions(int64_t i, int64_t j, float* features) const {
  const Frame a = frame(i), b = frame(j);
  const Point from = trace(i), to = trace(j);
  const float d[3] = {to.x - from.x, to.y - from.y, to.z - from.z};
  float squares = 0;
  for (int r = 0; r < 3; ++r) {
    features[r] = (a.axes[r][0] * d[0] + a.axes[r][1] * d[1]) + a.axes[r][2] * d[2];
    squares += features[r] * features[r];
  }
  const float length = std::max(std::sqrt(squares), 1e-12F);
  for (int r = 0; r < 3; ++r) features[r] /= length;
  float turn[3][3];
  for (int r = 0; r < 3; ++r)
    for (int c = 0; c < 3; ++c)
      turn[r][c] = (a.axes[0][r] * b.axes[0][c] + a.axes[1][r] * b.axes[1][c]) + a.axes[2][r] * b.axes[2][c];
  const float x = turn[0][0], y = turn[1][1], z = turn[2][2];
  float* q = features + 3;
  q[0] = sign_of(turn[2][1] - turn[1][2]) * 0.5F * std::sqrt(std::abs(1 + (x - y - z)));
  q[1] = sign_of(turn[0][2] - turn[2][0]) * 0.5F * std::sqrt(std::abs(1 + (-x + y - z)));
  q[2] = sign_of(turn[1][0] - turn[0][1]) * 0.5F * std::sqrt(std::abs(1 + (-x - y + z)));
  q[3] = std::sqrt(std::max(0.0F, 1 + (x + y + z))) / 2;
  const float norm = std::max(std::sqrt((q[0] * q[0] + q[1] * q[1]) + (q[2] * q[2] + q[3] * q[3])), 1e-12F);
  for (int r = 0; r < 4; ++r) q[r] /= norm;
}

void BackboneGraph::fill_features(int64_t position, const int32_t* neighbours, const float* distances,
                                  const float* places, int64_t stride, float* features,
                                  IsaLevel level) const {
  const EdgeRowBodies& rows = WEFT_ISA_BODY(kEdgeRowBodies, level);
  for (int64_t k = 0; k < n_neighbours_; ++k) {
    float* edge = features + k * stride;
    const int64_t j = neighbours[k];
    std::copy_n(places + place_class(position, j) * kPositionWidth, kPositionWidth, edge);
    float pairs[25];
    const int64_t n_pairs = pair_distances(position, j, distances[k], pairs);
    rows.radial(pairs, n_pairs, edge + kPositionWidth);
    int64_t end = kPositionWidth + n_pairs * kRadialFunctions;
    if (ca_only_) {
      directions(position, j, edge + end);
      end += 7;
    }
    std::fill(edge + end, edge + stride, 0.0F);
  }
}

}  // namespace weft
