// The weights of a diffusion model in memory: all of them or by stages, on the host or on a device.
#include <weft/abi/draft/loading.h>
#include <weft/sdk/device.h>
#include <weft/sdk/measure.h>

#include <algorithm>
#include <utility>

#include "kernels/layers/model_weights.h"
#include "plugins/image/diffusion_model.h"

namespace weft::image {
namespace {

// Whether the run for which a model is loaded has been cancelled.
StopRequest load_stop_request(const sdk::Host& host) {
  const auto* loading = host.extension<weft_loading_api>(WEFT_LOADING_ID);
  if (loading == nullptr) return {};
  return {[](void* context) {
            const auto* api = static_cast<const weft_loading_api*>(context);
            return api->cancelled(api->self) != 0;
          },
          const_cast<void*>(static_cast<const void*>(loading))};
}

// Bytes of weights that models may take together; 0: no limit.
uint64_t host_limit_bytes(const sdk::Host& host) {
  const auto* loading = host.extension<weft_loading_api>(WEFT_LOADING_ID);
  return loading != nullptr ? loading->limit_bytes(loading->self) : 0;
}

}  // namespace

int64_t DiffusionModel::loaded_bytes(ModelStage stage) const {
  const auto of = [this](const auto& network) {
    return device_ ? network.device_weights_bytes() : network.packed_weights_bytes();
  };
  int64_t bytes = 0;
  if (stage == ModelStage::kUNet) {
    bytes = of(*unet_) + (preview_ ? of(*preview_) : 0);
    for (const NamedControl& control : controls_) bytes += of(control.network);
  }
  if (stage == ModelStage::kVae) bytes = of(*vae_);
  for (const TextEncoder& encoder : text_encoders_) {
    if (stage == ModelStage::kText) bytes += of(encoder.network);
  }
  return bytes;
}

void DiffusionModel::choose_residency(std::string_view name) {
  int64_t all = 0;
  for (const ModelStage stage : kModelStages) all += loaded_bytes(stage);
  const uint64_t limit = host_limit_bytes(host_);
  const bool staged =
      name == "staged" || (name == "auto" && limit > 0 && static_cast<uint64_t>(all) > limit / 2);
  stages_ = std::make_unique<ModelStages>(
      staged ? ModelStages::Keeps::kOne : ModelStages::Keeps::kAll,
      [this](ModelStage stage, const StopRequest& stop, weft_stream* stream) {
        return device_ ? load_stage_on_device(stage, stop, stream) : load_stage(stage, stop);
      },
      [this](ModelStage stage) { unload_stage(stage); });
}

Result<weft_model_estimate> DiffusionModel::estimate() const {
  int64_t resident = 0, mapped = 0;
  for (const ModelStage stage : kModelStages) {
    const int64_t bytes = loaded_bytes(stage);
    resident = stages_->keeps() == ModelStages::Keeps::kOne ? std::max(resident, bytes) : resident + bytes;
  }
  for (const TextEncoder& encoder : text_encoders_) {
    if (!device_) resident += static_cast<int64_t>(encoder.learned_embeddings.size() * sizeof(float));
    mapped += encoder.network.mapped_bytes();
  }
  return sdk::model_estimate(static_cast<uint64_t>(resident), static_cast<uint64_t>(mapped),
                             device_ ? device_->id : sdk::kCpu);
}

Status DiffusionModel::load(weft_stream* stream) {
  const sdk::Stopwatch watch;
  if (Status status = stages_->load_all(load_stop_request(host_), stream); !status.ok()) return status;
  load_seconds_ = watch.seconds();
  return {};
}

void DiffusionModel::evict() {
  stages_->unload_all();
  if (device_) device_->spare->clear();
}

Status DiffusionModel::load_stage(ModelStage stage, const StopRequest& stop) {
  std::unique_ptr<PackedWeightStore>& store = stores_[static_cast<size_t>(stage)];
  store = packed_weight_store(host_, weights_key_);
  const auto load = [&](auto& network, const std::string& part) -> Status {
    const std::string key = weights_key_.empty() ? std::string() : weights_key_ + "." + part;
    Status status = network.load(*store, key, host_.executor(), stop);
    return status.ok() ? status : std::move(status).at(path_);
  };
  if (stage == ModelStage::kUNet) {
    Status status = load(*unet_, "unet");
    for (size_t i = 0; status.ok() && i < controls_.size(); ++i) {
      status = controls_[i].network.load(*store, control_keys_[i], host_.executor(), stop);
    }
    if (status.ok() && preview_) status = preview_->load(*store, preview_key_, host_.executor(), stop);
    return status;
  }
  if (stage == ModelStage::kVae) return load(*vae_, "vae");
  for (size_t i = 0; i < text_encoders_.size(); ++i) {
    if (Status status = load(text_encoders_[i].network, "text" + std::to_string(i)); !status.ok()) {
      return status;
    }
  }
  return {};
}

// One buffer of the host's, whose parts are the networks'.
Status DiffusionModel::load_stage_on_device(ModelStage stage, const StopRequest& stop, weft_stream* stream) {
  Result<sdk::Buffer> memory =
      host_.allocate(static_cast<uint64_t>(loaded_bytes(stage)), stream, "weights", device_->id);
  if (!memory.ok()) return Status(memory.status()).at(path_);
  auto* at = static_cast<std::byte*>(memory->data());
  const DeviceStream device_stream = device_->stream(host_, stream);
  const auto load = [&](auto& network) -> Status {
    const auto bytes = static_cast<uint64_t>(network.device_weights_bytes());
    Status status = network.load_on(device_stream, host_.executor(), stop, DeviceBuffer::borrow(at, bytes));
    at += bytes;
    return status.ok() ? status : std::move(status).at(path_);
  };
  Status status;
  if (stage == ModelStage::kUNet) {
    status = load(*unet_);
    for (NamedControl& control : controls_) {
      if (status.ok()) status = load(control.network);
    }
    if (status.ok() && preview_) status = load(*preview_);
  }
  if (stage == ModelStage::kVae) status = load(*vae_);
  for (TextEncoder& encoder : text_encoders_) {
    if (stage == ModelStage::kText && status.ok()) status = load(encoder.network);
  }
  if (status.ok()) device_weights_[static_cast<size_t>(stage)] = *std::move(memory);
  return status;
}

void DiffusionModel::unload_stage(ModelStage stage) {
  if (stage == ModelStage::kUNet) {
    unet_->unload();
    for (NamedControl& control : controls_) control.network.unload();
    if (preview_) preview_->unload();
  }
  if (stage == ModelStage::kVae) vae_->unload();
  if (stage == ModelStage::kText) {
    for (TextEncoder& encoder : text_encoders_) encoder.network.unload();
  }
  stores_[static_cast<size_t>(stage)].reset();
  device_weights_[static_cast<size_t>(stage)] = {};
}

}  // namespace weft::image
