/// Vectors in groups of neighbours, so that a search reads some of the groups instead of all vectors: the coarse half of an
/// inverted file. k-means is faiss's; which centre a vector is nearest to is found by this project's products.
///
/// The same vectors give the same groups on one kind of processor, whatever the number of threads.
/// Source: Sivic and Zisserman 2003, "Video Google"; Douze et al. 2024, arXiv:2401.08281.
///
///   Result<VectorGroups> groups = group_vectors(vectors, width, usual_groups(n), executor, cancelled);
#ifndef WEFT_PLUGINS_VISION_VECTOR_GROUPS_H
#define WEFT_PLUGINS_VISION_VECTOR_GROUPS_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace weft::vision {

struct VectorGroups {
  std::vector<float> centers;   // [groups, width], of length 1
  std::vector<int64_t> starts;  // [groups + 1]: where each begins in `order`
  std::vector<int64_t> order;   // vectors of the first group, of the second and so on; ascending within each

  int64_t count() const { return static_cast<int64_t>(starts.size()) - 1; }
};

/// The square root of the number of vectors: about as many centres are looked at then as vectors of a group.
int64_t usual_groups(int64_t n_vectors);

/// vectors: [n, width], of length 1. n_groups: 1 to n. Errors: kOutOfMemory, kCancelled.
Result<VectorGroups> group_vectors(std::span<const float> vectors, int64_t width, int64_t n_groups,
                                   Executor executor, const std::function<bool()>& cancelled);

}  // namespace weft::vision
#endif
