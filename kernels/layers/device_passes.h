/// Passes of networks on a device, one after another on one stream.
///
/// What crosses between host and device goes through pinned memory that stays from pass to pass, so that a pass which comes
/// again is the same work at the same addresses: it is captured as a graph, and costs the host one call in the place of one
/// a layer. Each pass is waited for.
/// Ownership: refers to the stream's device; workspaces and weights are the caller's. Thread safety: one thread at a time.
///
///   DevicePasses passes(stream);
///   Status done = passes.run({.whose = "the UNet's", .numbers = {address, images, height, width}}, workspace, stop,
///                            [&](LayerPass& pass) { network(pass); });
#ifndef WEFT_KERNELS_LAYERS_DEVICE_PASSES_H
#define WEFT_KERNELS_LAYERS_DEVICE_PASSES_H

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/device/pinned_buffer.h"
#include "kernels/device/recent_passes.h"
#include "kernels/layers/layer_pass.h"
#include "kernels/layers/stop_request.h"

namespace weft {

/// All that decides the work that a pass queues, other than what it takes from the host: passes of equal shapes are one graph.
struct DevicePassShape {
  std::string_view whose;        // "the UNet's", also for messages; a literal
  std::vector<int64_t> numbers;  // addresses of network and weights, extents, switches
  bool operator==(const DevicePassShape&) const = default;
};

class DevicePasses {
 public:
  explicit DevicePasses(DeviceStream stream) : stream_(std::move(stream)) {}

  const DeviceStream& stream() const { return stream_; }
  /// That it keeps.
  size_t n_graphs();
  /// From now on another stream of the same device. What came before still comes again there.
  void move_to(DeviceStream stream) { stream_ = std::move(stream); }
  /// walk: called once, or twice where the shape is new; measured it does nothing but take and give. workspace: the device's.
  /// `stop` is asked between layers, and before a graph, which then runs to its end. Errors: kOutOfMemory (the workspace, pinned
  /// memory), those of ops and of the device, kCancelled.
  Status run(DevicePassShape shape, std::span<std::byte> workspace, const StopRequest& stop,
             const std::function<void(LayerPass&)>& walk);

 private:
  struct Place {
    DevicePassShape shape;
    const std::byte* workspace;
    bool operator==(const Place&) const = default;
  };
  struct Pass {
    DevicePassMemory memory;
    std::optional<DeviceGraph> graph;  // from the second one on
  };
  enum class Comes : uint8_t { kFirst, kAgain };
  /// An autoencoder's tiles have up to 33, the image's norms known or not.
  static constexpr size_t kMostShapes = 40;

  Status run(Pass& pass, Comes comes, std::span<std::byte> workspace, const StopRequest& stop,
             const std::function<void(LayerPass&)>& walk);
  Status reserve(int64_t staging_bytes);

  DeviceStream stream_;
  PinnedBuffer staging_;
  RecentPasses<Place, Pass> passes_{kMostShapes};  // graphs over staging_ and workspaces
};

/// What nodes of a model are done with: the next node goes on with its graphs where the host gives it the same workspace, as a device's
/// pool does in a batch. Keeps pinned memory and graphs of as many nodes as were at work at once.
/// Ownership: belongs to the model, which outlives its nodes. Thread safety: any thread.
///
///   SparePasses::Lease passes = spare.take(stream);   // given back where it ends
class SparePasses {
 public:
  struct GiveBack {
    SparePasses* to = nullptr;
    void operator()(DevicePasses* passes) const { to->give(std::unique_ptr<DevicePasses>(passes)); }
  };
  using Lease = std::unique_ptr<DevicePasses, GiveBack>;

  /// What was given back last, or new ones.
  Lease take(DeviceStream stream);
  /// When the model's weights leave the device.
  void clear();

 private:
  void give(std::unique_ptr<DevicePasses> passes);

  std::mutex mutex_;
  std::vector<std::unique_ptr<DevicePasses>> spare_;
};

}  // namespace weft
#endif
