/// The device that a model of a plugin is on, by the parameter "device" of its entry; the CPU is none.
///
///   Result<std::optional<ModelDevice>> device = ModelDevice::open(source.parameters());
///   Result<sdk::Buffer> memory = host.allocate(bytes, stream, "weights", (*device)->id);
///   Status loaded = network.load_on((*device)->stream(host, stream), ...);
#ifndef WEFT_KERNELS_LAYERS_MODEL_DEVICE_H
#define WEFT_KERNELS_LAYERS_MODEL_DEVICE_H

#include <weft/sdk/descriptor.h>
#include <weft/sdk/model.h>

#include <memory>
#include <optional>
#include <string>

#include "kernels/device/device.h"
#include "kernels/layers/device_passes.h"

namespace weft {

struct ModelDevice {
  weft_device id{};
  std::shared_ptr<ComputeDevice> compute;
  std::shared_ptr<SparePasses> spare;  // of the model's nodes that ended

  /// Nothing for the CPU. Errors: those of ComputeDevice::open().
  static Result<std::optional<ModelDevice>> open(const sdk::Parameters& parameters);
  const std::string& name() const { return compute->facts().name; }
  /// A stream of the host's, which keeps it.
  DeviceStream stream(const sdk::Host& host, weft_stream* stream) const;
  /// For the calls of a node, on such a stream.
  SparePasses::Lease passes(const sdk::Host& host, weft_stream* node_stream) const {
    return spare->take(stream(host, node_stream));
  }
  /// That something is not on this device.
  Status lacks(const std::string& what) const;
};

/// The parameter.
inline constexpr weft_parameter kDeviceParameter =
    sdk::parameter({.name = "device",
                    .type = "device",
                    .help = "Where the weights are and nodes compute: cpu, cuda:0. What the node or the "
                            "pipeline says, if it is not given.",
                    .flags = WEFT_PARAMETER_OPTIONAL});

}  // namespace weft
#endif
