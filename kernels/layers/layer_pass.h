/// One thread's way through a network: a team computes each layer together and meets at a barrier after it.
///
/// Every thread of the team makes a LayerPass of its own over the same workspace and calls the same layers in the same
/// order. Buffers come from an arena, so that nothing is allocated; a pass that only measures does the same without
/// computing, and tells how large the workspace must be. Activations are NHWC images, or rows of tokens.
///
///   const auto network = [&](LayerPass& pass) { TensorView h = pass.take(DType::kF32, {1, 64, 64, 320}); ... };
///   int64_t bytes = LayerPass::measure(n_threads, network);
///   LayerPass::Shared shared{.workspace = workspace, .max_threads = executor.max_threads(), .stop = stop};
///   executor.run([&](Team team) { LayerPass pass(team, shared); network(pass); });
#ifndef WEFT_KERNELS_LAYERS_LAYER_PASS_H
#define WEFT_KERNELS_LAYERS_LAYER_PASS_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <utility>

#include "kernels/layers/scratch_arena.h"
#include "kernels/layers/stop_request.h"
#include "kernels/layers/weight_plan.h"
#include "kernels/ops/dense_attention/dense_attention.h"
#include "kernels/tensor.h"
#include "kernels/threads/shared_work.h"

namespace weft {

struct GroupNorm;
class TiledNorms;

/// Where the time of a pass went, by kind of layer; seconds of the team's first thread, waiting included.
struct LayerTimes {
  double convolution = 0, dense = 0, attention = 0, norm = 0, other = 0;
};

/// What a dense layer does after its product.
struct DenseOptions {
  std::optional<Activation> activation = {};
  TensorView residual = {};
};

/// What a convolution does around itself; see ops/convolution.
struct ConvolutionOptions {
  TensorView skip = {};             // channels after x's
  const float* in_scale = nullptr;  // from group_norm()
  const float* in_shift = nullptr;
  std::optional<Activation> in_activation = {};
  Upsample upsample = Upsample::kNone;
  int64_t stride = 1;
  int64_t pad_before = 0, pad_after = 0;  // top and left; bottom and right
  const float* image_bias = nullptr;
  std::optional<Activation> activation = {};
  TensorView residual = {};
};

/// A group norm as one scale and shift per (image, channel).
struct ScaleShift {
  float* scale;
  float* shift;
};

class LayerPass {
 public:
  struct Shared {
    std::byte* workspace = nullptr;  // measure(max_threads) bytes, aligned to 64
    uint32_t max_threads = 1;        // of the executor; a team may be smaller
    StopRequest stop = {};
    IsaLevel level = active_isa();
    LayerTimes* times = nullptr;        // null: not measured
    SharedWork work;                    // of products with quantised weights
    TiledNorms* tiled_norms = nullptr;  // null: x is the whole image
    std::atomic<bool> stopped{false};
  };

  LayerPass(Team team, Shared& shared);

  /// A whole pass by a team of the executor: walk(pass) on each thread. Sets shared.max_threads. Errors: kCancelled.
  template <typename Walk>
  static Status run(Shared& shared, Executor executor, Walk&& walk) {
    shared.max_threads = executor.max_threads();
    executor.run([&](Team team) {
      LayerPass pass(team, shared);
      walk(pass);
    });
    if (shared.stopped.load(std::memory_order_relaxed))
      return Status(StatusCode::kCancelled, "stopped on request");
    return Status();
  }

  /// The same in a workspace that is checked first. Errors: those of check_workspace(), kCancelled.
  template <typename Walk>
  static Status run(std::span<std::byte> workspace, int64_t needed, const char* whose, Executor executor,
                    const StopRequest& stop, LayerTimes* times, Walk&& walk) {
    if (Status fits = check_workspace(workspace, needed, whose); !fits.ok()) return fits;
    Shared shared;
    shared.workspace = workspace.data();
    shared.stop = stop;
    shared.times = times;
    return run(shared, executor, std::forward<Walk>(walk));
  }

  /// whose: "the UNet's", for the message. Errors: kOutOfMemory below `needed` bytes or not aligned to 64.
  static Status check_workspace(std::span<const std::byte> workspace, int64_t needed, const char* whose);

  /// Bytes of workspace of a pass by a team of up to n_threads.
  template <typename Network>
  static int64_t measure(uint32_t n_threads, Network&& network) {
    LayerPass pass(n_threads);
    network(pass);
    return pass.arena_.peak_bytes();
  }

  bool measures() const { return shared_ == nullptr; }
  IsaLevel level() const { return shared_ ? shared_->level : IsaLevel::kScalar; }
  uint32_t thread() const { return thread_; }
  uint32_t n_threads() const { return n_threads_; }

  // Buffers, uninitialised.
  TensorView take(DType dtype, std::initializer_list<int64_t> shape);
  float* take_floats(int64_t count) { return static_cast<float*>(arena_.take(count * 4)); }
  void give(const TensorView& view) { arena_.give(view.data); }
  void give(const float* floats) { arena_.give(floats); }

  /// All threads meet; what they wrote is visible to all.
  void barrier();
  /// Between layers: true if the pass is to end, on all threads alike.
  bool stopped();

  // Layers; each thread does its part. The caller puts a barrier before what they wrote is read.

  /// y = f(x W^T + bias) + residual. x: [rows, k], y: [rows, n]. Quantised weights are multiplied by activations that are
  /// rounded to int8 (ops/matmul).
  void dense(const DenseLayer& layer, const TensorView& x, const TensorView& y,
             const DenseOptions& options = {});

  void convolution(const ConvolutionLayer& layer, const TensorView& x, const TensorView& y,
                   const ConvolutionOptions& options);

  /// Scale and shift of a group norm of x (and skip), [images, channels] each; ends with a barrier. Give both back.
  ScaleShift group_norm(const GroupNormLayer& layer, const TensorView& x, const TensorView& skip = {});
  void give(const ScaleShift& s) {
    give(s.scale);
    give(s.shift);
  }

  /// Rows of x normed into y, which may be of another type.
  void layer_norm(const Norm& layer, const TensorView& x, const TensorView& y);

  /// Ends with a barrier.
  void attention(const DenseAttention& a);

  /// This thread's part of `count` items.
  int64_t begin(int64_t count) const { return count * thread_ / n_threads_; }
  int64_t end(int64_t count) const { return count * (int64_t{thread_} + 1) / n_threads_; }

 private:
  explicit LayerPass(uint32_t n_threads);
  void clock(double LayerTimes::*kind);
  void tiled_group_norm(const GroupNorm& g);
  void quantized_dense(const DenseLayer& layer, const TensorView& x, const TensorView& y,
                       const DenseOptions& options);

  std::optional<Team> team_;
  Shared* shared_ = nullptr;
  uint32_t thread_ = 0, n_threads_ = 1;
  uint32_t max_threads_ = 1;  // what scratch is sized by, so that places do not depend on the team
  ScratchArena arena_;
  void* products_scratch_ = nullptr;
  size_t n_norms_ = 0;  // group norms so far
  double LayerTimes::*running_ = &LayerTimes::other;
  std::chrono::steady_clock::time_point since_;
};

/// [images, h, w, c] as [images * h * w, c]; the pixels of contiguous images follow one another.
TensorView as_rows(const TensorView& images);

}  // namespace weft
#endif
