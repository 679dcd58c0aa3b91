#include "kernels/layers/model_device.h"

#include <weft/sdk/device.h>

#include <utility>

namespace weft {

Result<std::optional<ModelDevice>> ModelDevice::open(const sdk::Parameters& parameters) {
  const std::optional<weft_device> id = sdk::device_named(parameters.get_text("device"));
  if (!id || id->kind == WEFT_DEVICE_CPU) return std::optional<ModelDevice>();
  Result<std::shared_ptr<ComputeDevice>> compute = ComputeDevice::open(sdk::device_name(*id));
  if (!compute.ok()) return compute.status();
  return std::optional(ModelDevice{*id, *std::move(compute), std::make_shared<SparePasses>()});
}

DeviceStream ModelDevice::stream(const sdk::Host& host, weft_stream* stream) const {
  return DeviceStream::borrow(compute, static_cast<NativeStream>(host.get()->memory->native_stream(stream)));
}

Status ModelDevice::lacks(const std::string& what) const {
  return Status(StatusCode::kUnsupported, what + " are not on " + name() + "; they run on the CPU")
      .hint("give the model \"device\": \"cpu\"");
}

}  // namespace weft
