/// What tests compare networks with their references by: reduced random models, and what transformers or diffusers computed
/// with them, as scripts/make_golden wrote both.
///
///   const GoldenTensors e("assets/golden/diffusion/sd15/unet");          // its expected.safetensors
///   Loaded<UNet> unet(checkpoint.unet(), DType::kF32);
///   EXPECT_LT(error(predict(unet, ...), e.span<float>("noise")), allowed(DType::kF32));
#ifndef WEFT_KERNELS_NETWORKS_TESTING_GOLDEN_H
#define WEFT_KERNELS_NETWORKS_TESTING_GOLDEN_H

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/layers/packed_weight_store.h"
#include "kernels/tensor.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"
#include "modalities/weights/weight_file.h"

namespace weft::testing {

/// Relative, of a network that computes in f32 or bf16.
constexpr double allowed(DType compute) { return compute == DType::kF32 ? 1e-4 : 2e-2; }

class GoldenTensors {
 public:
  explicit GoldenTensors(const std::string& folder)
      : file_(take(WeightFile::open(folder + "/expected.safetensors"))) {}
  explicit GoldenTensors(WeightFile file) : file_(std::move(file)) {}

  bool has(const char* name) const { return file_.find(name) != nullptr; }
  TensorView view(const char* name) const {
    const WeightTensor& t = *take(file_.tensor(name));
    TensorView view;
    view.data = const_cast<std::byte*>(t.data);
    view.rank = t.rank;
    int64_t stride = 1;
    for (int i = t.rank - 1; i >= 0; --i) {
      view.shape[i] = t.extents[i];
      view.strides[i] = stride;
      stride *= t.extents[i];
    }
    return view;
  }
  TensorView view_or_none(const char* name) const { return has(name) ? view(name) : TensorView(); }
  template <typename T>
  std::span<const T> span(const char* name) const {
    const TensorView v = view(name);
    return {v.as<const T>(), static_cast<size_t>(v.count())};
  }

 private:
  WeightFile file_;
};

/// Relative error; infinite for another number of values.
inline double error(std::span<const float> got, std::span<const float> want) {
  if (got.size() != want.size()) return INFINITY;
  return relative_error(got.data(), want.data(), static_cast<int64_t>(got.size()));
}

/// Makes room for a result of the shape of `like`.
inline TensorView view_of(std::vector<float>& values, const TensorView& like) {
  values.assign(static_cast<size_t>(like.count()), NAN);
  TensorView view = like;
  view.data = values.data();
  return view;
}

/// A network that was opened and loaded. part: anything with `source` and `config`.
template <typename Network>
struct Loaded {
  template <typename Part>
  Loaded(const Part& part, DType compute, uint32_t n_threads = 2)
      : threads(n_threads), network(take(Network::open(part.source, part.config, compute))) {
    demand(network.load(store, "golden", threads.executor()));
  }
  Threads threads;
  HeapWeightStore store;
  Network network;
};

}  // namespace weft::testing
#endif
