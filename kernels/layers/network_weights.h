/// The packed weights of a loaded network: in a store of the host's, or in a device's memory.
///
/// Ownership: refers to the store; keeps the device's memory, unless it was given. Thread safety: as the network's load().
///
///   Status loaded = weights.load(plan, store, key, executor, stop);   // or load_on(plan, stream, ...)
///   if (!weights.on_host()) return Status(StatusCode::kInvalidArgument, "the weights are not loaded");
#ifndef WEFT_KERNELS_LAYERS_NETWORK_WEIGHTS_H
#define WEFT_KERNELS_LAYERS_NETWORK_WEIGHTS_H

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/layers/device_passes.h"
#include "kernels/layers/weight_plan.h"

namespace weft {

class NetworkWeights {
 public:
  Status load(const WeightPlan& plan, PackedWeightStore& store, std::string_view source_key,
              Executor executor, const StopRequest& stop) {
    Status loaded = plan.load(store, source_key, executor, stop);
    if (!loaded.ok()) return loaded;
    on_device_ = DeviceBuffer();
    loaded_ = true;
    return {};
  }
  Status load_on(const WeightPlan& plan, const DeviceStream& stream, Executor executor,
                 const StopRequest& stop, DeviceBuffer memory) {
    Result<DeviceBuffer> loaded = plan.load_on(stream, executor, stop, std::move(memory));
    if (!loaded.ok()) return loaded.status();
    on_device_ = *std::move(loaded);
    loaded_ = true;
    return {};
  }
  void unload() {
    loaded_ = false;
    on_device_ = DeviceBuffer();
  }

  bool loaded() const { return loaded_; }
  bool on_host() const { return loaded_ && !on_device_.data(); }
  bool on_device() const { return loaded_ && on_device_.data(); }
  /// Of a pass over them on the device. numbers: extents and switches.
  DevicePassShape pass_shape(std::string_view whose, std::vector<int64_t> numbers) const {
    numbers.push_back(reinterpret_cast<intptr_t>(this));
    numbers.push_back(reinterpret_cast<intptr_t>(on_device_.data()));
    return {whose, std::move(numbers)};
  }

 private:
  bool loaded_ = false;
  DeviceBuffer on_device_;  // empty: they are the store's
};

}  // namespace weft
#endif
