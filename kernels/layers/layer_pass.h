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
///
/// The same on a device (device_passes.h): one thread queues each layer's ops on a stream, buffers are the device's, barriers are
/// nothing. What a network reads from and gives to the host goes through input(), fill(), fill_rows(), result() and copy_result().
#ifndef WEFT_KERNELS_LAYERS_LAYER_PASS_H
#define WEFT_KERNELS_LAYERS_LAYER_PASS_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/layers/scratch_arena.h"
#include "kernels/layers/stop_request.h"
#include "kernels/layers/weight_plan.h"
#include "kernels/ops/dense_attention/dense_attention.h"
#include "kernels/ops/embedding/embedding.h"
#include "kernels/tensor.h"
#include "kernels/threads/shared_work.h"

namespace weft {

struct GroupNorm;
class DeviceStream;
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

/// What a pass on a device takes.
struct DevicePassMemory {
  int64_t workspace_bytes = 0;  // of the device
  int64_t staging_bytes = 0;    // of the host, for what crosses
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
    LayerTimes* times = nullptr;  // null: not measured
    SharedWork work;              // of products with quantised weights
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
  static Status check_workspace(std::span<const std::byte> workspace, int64_t needed, std::string_view whose);

  /// Bytes of workspace of a pass by a team of up to n_threads.
  template <typename Network>
  static int64_t measure(uint32_t n_threads, Network&& network) {
    LayerPass pass(n_threads);
    network(pass);
    return pass.arena_.peak_bytes();
  }

  bool measures() const { return on_device_ ? device_ == nullptr : shared_ == nullptr; }
  IsaLevel level() const { return shared_ ? shared_->level : IsaLevel::kScalar; }
  uint32_t thread() const { return thread_; }
  uint32_t n_threads() const { return n_threads_; }

  /// What a pass on a device takes.
  template <typename Network>
  static DevicePassMemory measure_on_device(Network&& network) {
    LayerPass pass(static_cast<OnDevice*>(nullptr));
    network(pass);
    return {pass.arena_.peak_bytes(), pass.staged_bytes_};
  }
  bool on_device() const { return on_device_; }

  /// From here on images are tiles of a larger one, whose statistics group norms use.
  void set_tiled_norms(TiledNorms* norms) { tiled_norms_ = norms; }

  // What crosses between the host and where the pass runs.

  /// A view of the host's memory where layers can read it; give it back with give_input(). f32 or any other type.
  TensorView input(const TensorView& of_host);
  void give_input(const TensorView& view) {
    if (on_device_) give(view);
  }
  /// view's f32 values become what write(float*) puts there, on the host and by one thread. Ends with a barrier.
  template <typename Write>
  void fill(const TensorView& view, Write&& write) {
    if (on_device_) {
      std::byte* const staging = staged(view.count() * size_bytes(view.dtype));
      if (measures()) return;
      write(reinterpret_cast<float*>(staging));
      return copy_from(staging, view);
    }
    if (measures()) return;
    if (thread_ == 0) write(view.as<float>());
    barrier();
  }
  /// The same for each row of view: write(row, float*), by all threads.
  template <typename Write>
  void fill_rows(const TensorView& view, Write&& write) {
    const int64_t rows = view.shape[0], width = view.count() / rows;
    const auto write_rows = [&](float* to, int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) write(row, to + row * width);
    };
    if (on_device_) return fill(view, [&](float* to) { write_rows(to, 0, rows); });
    if (measures()) return;
    write_rows(view.as<float>(), begin(rows), end(rows));
    barrier();
  }
  /// A view that layers can write to in the place of one of the host's; give it back with give_result(), behind a barrier.
  TensorView result(const TensorView& of_host);
  void give_result(const TensorView& view, const TensorView& of_host) {
    if (!on_device_) return;
    copy_result(view, of_host);
    give(view);
  }
  /// The host gets view's values of now, complete when the pass ends. Behind a barrier; ends with one. Each is contiguous, or a
  /// part of one image, [1, h, w, c], whose rows lie apart.
  void copy_result(const TensorView& view, const TensorView& of_host);
  /// to = from: one image, or part of a larger one, [1, h, w, c]. Ends with a barrier.
  void copy(const TensorView& from, const TensorView& to);
  /// The same as the first and the last work of a pass, from or to another place each time that it comes: where the rest is a graph,
  /// they are queued before and after it.
  void copy_in(const TensorView& from, const TensorView& to);
  void copy_out(const TensorView& from, const TensorView& to);

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

  // In place, of contiguous views; they end with a barrier.
  /// x = f(x), f32.
  void activation(Activation f, const TensorView& x);
  /// x = cap * tanh(x / cap), f32.
  void soft_cap(float cap, const TensorView& x);
  /// x = scale * x + shift, f32.
  void affine(float scale, float shift, const TensorView& x);
  /// x += y. x: f32 or bf16; y: as many elements.
  void add_values(const TensorView& x, const float* y);

  /// y[b] = the mean of the rows x[b]. x: [batch, rows, width], y: [batch, width]; f32, adjacent along the width alone.
  void mean(const TensorView& x, const TensorView& y);

  /// On a device: y[i] = table[rows[i]], plus positions[places[i]] where there are some. rows, places: [count] i32, from input();
  /// y: [count, width] f32; table and positions are the device's.
  void look_up(const EmbeddingTable& table, const TensorView& rows, const TensorView& y,
               const float* positions = nullptr, const TensorView& places = {});

  /// This thread's part of `count` items.
  int64_t begin(int64_t count) const { return count * thread_ / n_threads_; }
  int64_t end(int64_t count) const { return count * (int64_t{thread_} + 1) / n_threads_; }

 private:
  friend class DevicePasses;
  /// What a pass on a device shares with its caller.
  struct OnDevice {
    /// Queued now, or into a graph; or a graph has them already: then the pass only puts what crosses into place.
    enum class Layers : uint8_t { kQueued, kCaptured, kInGraph };
    struct Copy {
      TensorView from, to;
    };
    struct Crossing {
      void* to;
      const std::byte* from;
      size_t size_bytes;
    };
    const DeviceStream& stream;
    std::byte* workspace;
    std::byte* staging;  // of the host, pinned
    StopRequest stop;
    Layers layers = Layers::kQueued;
    Status status = {};  // the first error; nothing is queued after it
    bool stopped = false;
    std::vector<Crossing> results = {};         // to be copied when the stream has passed
    std::vector<Copy> before = {}, after = {};  // of the graph
  };

  explicit LayerPass(uint32_t n_threads);
  /// device null: measures.
  explicit LayerPass(OnDevice* device)
      : n_threads_(1), on_device_(true), device_(device), arena_(device ? device->workspace : nullptr) {}
  void clock(double LayerTimes::*kind);
  void tiled_group_norm(const GroupNorm& g);
  void copy_rows(const TensorView& from, const TensorView& to);
  void quantized_dense(const DenseLayer& layer, const TensorView& x, const TensorView& y,
                       const DenseOptions& options);

  // Layers on a device, in layer_pass_device.cc.
  bool queues() const;  // neither measures nor has failed
  bool is_graph() const { return device_ != nullptr && device_->layers != OnDevice::Layers::kQueued; }
  static Status queue_copy(const DeviceStream& stream, const OnDevice::Copy& copy);
  void queued(Status status);
  /// The pass's next place for what crosses.
  std::byte* staged(int64_t size_bytes);
  void copy_from(const std::byte* staging, const TensorView& view);
  TensorView prepared(const TensorView& x, const ConvolutionOptions& options, DType compute,
                      int64_t channels);
  void give_prepared(const TensorView& prepared, const TensorView& x);
  void device_dense(const DenseLayer& layer, const TensorView& x, const TensorView& y,
                    const DenseOptions& options);
  void device_convolution(const ConvolutionLayer& layer, const TensorView& x, const TensorView& y,
                          const ConvolutionOptions& options);
  void device_group_norm(const GroupNorm& g);
  void device_tiled_group_norm(const GroupNorm& g);
  void device_copy(const TensorView& from, const TensorView& to);
  void device_copy_result(const TensorView& view, const TensorView& of_host);
  void device_layer_norm(const Norm& layer, const TensorView& x, const TensorView& y);
  void device_attention(const DenseAttention& a);
  void queue_attention(const DenseAttention& a);
  void device_mean(const TensorView& x, const TensorView& y);
  void device_activation(Activation f, const TensorView& x);
  void device_soft_cap(float cap, const TensorView& x);
  void device_affine(float scale, float shift, const TensorView& x);
  void device_add_values(const TensorView& x, const float* y);

  std::optional<Team> team_;
  Shared* shared_ = nullptr;
  uint32_t thread_ = 0, n_threads_ = 1;
  uint32_t max_threads_ = 1;  // what scratch is sized by, so that places do not depend on the team
  bool on_device_ = false;
  OnDevice* device_ = nullptr;
  int64_t staged_bytes_ = 0;
  ScratchArena arena_;
  void* products_scratch_ = nullptr;
  TiledNorms* tiled_norms_ = nullptr;  // null: x is the whole image
  size_t n_norms_ = 0;                 // group norms so far
  double LayerTimes::*running_ = &LayerTimes::other;
  std::chrono::steady_clock::time_point since_;
};

/// Calls run(first sequence, how many, length) for sequences of one length that stand side by side. starts: as of DenseAttention.
template <typename Run>
void for_each_run(std::span<const int64_t> starts, const Run& run) {
  for (size_t first = 0, next; first + 1 < starts.size(); first = next) {
    const int64_t length = starts[first + 1] - starts[first];
    for (next = first + 1; next + 1 < starts.size() && starts[next + 1] - starts[next] == length;) ++next;
    run(static_cast<int64_t>(first), static_cast<int64_t>(next - first), length);
  }
}

/// A view as rows of adjacent values: one, or those of an image, [1, h, w, c], that is part of a larger one.
struct AdjacentRows {
  int64_t count, size_bytes, stride_bytes;
};
AdjacentRows adjacent_rows(const TensorView& view);

/// [images, h, w, c] as [images * h * w, c]; the pixels of contiguous images follow one another.
TensorView as_rows(const TensorView& images);

}  // namespace weft
#endif
