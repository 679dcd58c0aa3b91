/// Which positions of a backbone are neighbours, and what their edges look like before the network. Private to this folder.
///
/// Everything is f32 and in the model's own order of operations, so that ties between distances fall as they did in training.
#ifndef WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_BACKBONE_GRAPH_H
#define WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_BACKBONE_GRAPH_H

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/isa.h"
#include "kernels/networks/protein_mpnn/protein_mpnn.h"

namespace weft {

inline constexpr int64_t kPositionRange = 32;                        // residues, to either side
inline constexpr int64_t kPositionClasses = 2 * kPositionRange + 2;  // the last one: another chain
inline constexpr int64_t kPositionWidth = 16;

class BackboneGraph {
 public:
  BackboneGraph(const ProteinMpnnConfig& config, const Backbone& backbone)
      : backbone_(backbone),
        ca_only_(config.ca_only),
        n_neighbours_(std::min(config.n_neighbours, backbone.count)) {}

  /// Values of an edge: the place along the chain, distances through radial functions, with ca_only directions too.
  static int64_t edge_features(bool ca_only) { return kPositionWidth + (ca_only ? 9 * 16 + 7 : 25 * 16); }
  int64_t n_neighbours() const { return n_neighbours_; }

  /// The neighbours of a position with atoms, and their distances. scratch: [count] each.
  void find_neighbours(int64_t position, float* distance_scratch, int32_t* index_scratch, int32_t* neighbours,
                       float* distances) const;
  /// Features of a position's edges: [n_neighbours, stride]. places: [kPositionClasses, kPositionWidth].
  void fill_features(int64_t position, const int32_t* neighbours, const float* distances, const float* places,
                     int64_t stride, float* features, IsaLevel level) const;

 private:
  struct Point {
    float x, y, z;
  };
  struct Frame {
    float axes[3][3];  // rows: all 0 at the ends of a trace and at its breaks
  };
  Point atom(int64_t position, int64_t atom) const;
  Point beta(int64_t position) const;
  Point trace(int64_t position) const;  // CA, or 0 beyond the ends
  Frame frame(int64_t position) const;
  int64_t place_class(int64_t i, int64_t j) const;
  int64_t pair_distances(int64_t i, int64_t j, float nearest, float* distances) const;
  void directions(int64_t i, int64_t j, float* features) const;
  static float distance(const Point& a, const Point& b);

  const Backbone& backbone_;
  const bool ca_only_;
  const int64_t n_neighbours_;
};

}  // namespace weft
#endif
