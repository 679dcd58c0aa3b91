#include "plugins/vision/vector_groups.h"

#include <faiss/Clustering.h>
#include <faiss/Index.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>
#include <numeric>
#include <utility>

#include "kernels/ops/gemm/gemm.h"

// Of the OpenMP that faiss was built with; Clang has no omp.h for it.
extern "C" {
int omp_get_max_threads();
void omp_set_num_threads(int n);
}

namespace weft::vision {
namespace {

constexpr int kIterations = 10;
constexpr int kSampledPerGroup = 64;  // vectors that k-means looks at
constexpr int64_t kRows = 1024;       // of a product at a time
constexpr int kSeed = 1;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, Free>;

Memory aligned_memory(int64_t bytes) {
  const int64_t whole = (bytes + kGemmAlignment - 1) / kGemmAlignment * kGemmAlignment;
  void* memory = std::aligned_alloc(kGemmAlignment, static_cast<size_t>(whole));
  if (memory == nullptr) throw std::bad_alloc();
  return Memory(memory);
}

// faiss's own work is small, and the process's pool has the cores.
class OneOpenMpThread {
 public:
  OneOpenMpThread() { omp_set_num_threads(1); }
  ~OneOpenMpThread() { omp_set_num_threads(before_); }
  OneOpenMpThread(const OneOpenMpThread&) = delete;
  OneOpenMpThread& operator=(const OneOpenMpThread&) = delete;

 private:
  const int before_ = omp_get_max_threads();
};

// Thrown out of the clustering, which has no other way to end early.
struct Stopped {
  Status status;
};

/// The centres, as faiss sees them: an index that is searched for the one with the largest product.
class Centers : public faiss::Index {
 public:
  Centers(int64_t width, Executor executor, const std::function<bool()>& cancelled)
      : Index(width, faiss::METRIC_INNER_PRODUCT),
        executor_(executor),
        cancelled_(cancelled),
        scratch_(aligned_memory(gemm_scratch_bytes(executor.max_threads()))) {}

  void add(idx_t n, const float* x) override {
    demand(ntotal == 0 ? Status() : Status(StatusCode::kInternal, "centres are added at once"));
    shape_ = {.n = n, .k = d, .compute = DType::kF32};
    const Result<int64_t> bytes = gemm_packed_bytes(shape_);
    demand(bytes.status());
    packed_ = aligned_memory(*bytes);
    demand(pack_gemm_weights(shape_, WeightFormat::kF32, x, packed_.get(), executor_));
    products_.resize(static_cast<size_t>(kRows * n));
    ntotal = n;
  }
  void reset() override { ntotal = 0; }
  /// k is 1: the nearest centre of each row, of equal ones the first.
  void search(idx_t n, const float* x, idx_t k, float* distances, idx_t* labels,
              const faiss::SearchParameters* /*none*/ = nullptr) const override {
    demand(k == 1 ? Status() : Status(StatusCode::kInternal, "one centre is asked for"));
    for (int64_t first = 0; first < n; first += kRows) {
      if (cancelled_()) throw Stopped{Status(StatusCode::kCancelled, "cancelled")};
      const int64_t rows = std::min(kRows, n - first);
      demand(gemm({.a = TensorView::contiguous(x + first * d, DType::kF32, {rows, d}),
                   .w = {shape_, packed_.get()},
                   .c = TensorView::contiguous(products_.data(), DType::kF32, {rows, ntotal}),
                   .scratch = scratch_.get()},
                  executor_));
      for (int64_t r = 0; r < rows; ++r) {
        const float* row = products_.data() + r * ntotal;
        const float* most = std::max_element(row, row + ntotal);
        distances[first + r] = *most;
        labels[first + r] = most - row;
      }
    }
  }

 private:
  static void demand(const Status& status) {
    if (!status.ok()) throw Stopped{status};
  }

  const Executor executor_;
  const std::function<bool()>& cancelled_;
  Memory packed_, scratch_;
  GemmShape shape_;
  mutable std::vector<float> products_;  // [kRows, centres]
};

VectorGroups in_groups(std::vector<float> centers, std::span<const int64_t> group_of, int64_t n_groups) {
  VectorGroups groups{std::move(centers), std::vector<int64_t>(static_cast<size_t>(n_groups) + 1),
                      std::vector<int64_t>(group_of.size())};
  for (const int64_t group : group_of) ++groups.starts[static_cast<size_t>(group) + 1];
  std::partial_sum(groups.starts.begin(), groups.starts.end(), groups.starts.begin());
  std::vector<int64_t> next(groups.starts.begin(), groups.starts.end() - 1);
  for (size_t i = 0; i < group_of.size(); ++i)
    groups.order[static_cast<size_t>(next[static_cast<size_t>(group_of[i])]++)] = static_cast<int64_t>(i);
  return groups;
}

}  // namespace

int64_t usual_groups(int64_t n_vectors) {
  return std::max<int64_t>(1, std::llround(std::sqrt(static_cast<double>(n_vectors))));
}

Result<VectorGroups> group_vectors(std::span<const float> vectors, int64_t width, int64_t n_groups,
                                   Executor executor, const std::function<bool()>& cancelled) {
  const int64_t n = static_cast<int64_t>(vectors.size()) / width;
  try {
    Centers centers(width, executor, cancelled);
    faiss::ClusteringParameters parameters;
    parameters.niter = kIterations;
    parameters.spherical = true;
    parameters.seed = kSeed;
    parameters.max_points_per_centroid = kSampledPerGroup;
    parameters.min_points_per_centroid = 1;  // below which it would write to the terminal
    faiss::Clustering clustering(static_cast<int>(width), static_cast<int>(n_groups), parameters);
    const OneOpenMpThread one_thread;
    clustering.train(n, vectors.data(), centers);
    std::vector<int64_t> group_of(static_cast<size_t>(n));
    std::vector<float> products(static_cast<size_t>(n));
    centers.search(n, vectors.data(), 1, products.data(), group_of.data());
    return in_groups(std::move(clustering.centroids), group_of, n_groups);
  } catch (const Stopped& stopped) {
    return stopped.status;
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::kOutOfMemory, "out of memory");
  } catch (const std::exception& error) {
    return Status(StatusCode::kInternal, std::string("the vectors could not be grouped: ") + error.what());
  }
}

}  // namespace weft::vision
