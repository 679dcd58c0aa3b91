/// A network whose weights are on the device that tests run on.
///
///   OnDevice<UNet> unet(checkpoint.unet(), DType::kF32);
///   const DeviceBuffer workspace = unet.workspace(unet.network.device_workspace_bytes(extent));
///   demand(unet.network.forward_on(unet.passes, in, out, all_of(workspace)));
#ifndef WEFT_KERNELS_NETWORKS_TESTING_ON_DEVICE_H
#define WEFT_KERNELS_NETWORKS_TESTING_ON_DEVICE_H

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/device/device.h"
#include "kernels/layers/device_passes.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/device_name.h"
#include "kernels/testing/threads.h"

namespace weft::testing {

/// part: anything with `source` and `config`.
template <typename Network>
struct OnDevice {
  template <typename Part>
  OnDevice(const Part& part, DType compute)
      : threads(2),
        stream(take(DeviceStream::create(take(ComputeDevice::open(device_name()))))),
        passes(stream),
        network(take(Network::open(part.source, part.config, compute))) {
    demand(network.load_on(stream, threads.executor()));
  }
  DeviceBuffer workspace(int64_t bytes) const {
    return take(DeviceBuffer::allocate(stream, static_cast<uint64_t>(bytes), "workspace"));
  }
  Threads threads;
  DeviceStream stream;
  DevicePasses passes;
  Network network;
};

inline std::span<std::byte> all_of(const DeviceBuffer& buffer) {
  return {buffer.data(), static_cast<size_t>(buffer.size_bytes())};
}

}  // namespace weft::testing
#endif
