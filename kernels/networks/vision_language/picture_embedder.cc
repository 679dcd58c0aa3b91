#include "kernels/networks/vision_language/picture_embedder.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/networks/vision_transformer/vision_transformer_checkpoint.h"

namespace weft {
namespace {

int64_t aligned(int64_t bytes) {
  constexpr auto kAlignment = static_cast<int64_t>(kDeviceAlignment);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

Status check_workspace(std::span<const std::byte> workspace, int64_t needed) {
  if (static_cast<int64_t>(workspace.size()) >= needed) return {};
  return Status(StatusCode::kOutOfMemory, "the workspace for a picture is too small")
      .expected(std::to_string(needed) + " bytes")
      .got(std::to_string(workspace.size()));
}

}  // namespace

Result<PictureEmbedder> PictureEmbedder::open(const WeightFile& file, int64_t text_width, DType compute) {
  const Result<VisionLanguageConfig> config = read_vision_language_config(file.metadata(), text_width);
  if (!config.ok()) return config.status();
  Result<VisionTransformer> tower =
      VisionTransformer::open(vision_tower_source(file, config->tower), config->tower, compute);
  if (!tower.ok()) return tower.status();
  Result<MultimodalProjector> projector =
      MultimodalProjector::open(multimodal_projector_source(file), config->projector, compute);
  if (!projector.ok()) return projector.status();
  return PictureEmbedder(*config, *std::move(tower), *std::move(projector));
}

int64_t PictureEmbedder::workspace_bytes(uint32_t n_threads) const {
  return states_bytes() +
         std::max(tower_.workspace_bytes(1, n_threads), projector_.workspace_bytes(n_threads));
}

Status PictureEmbedder::load(PackedWeightStore& store, std::string_view source_key, Executor executor) {
  const std::string key(source_key);
  if (Status loaded = tower_.load(store, key + ".tower", executor); !loaded.ok()) return loaded;
  return projector_.load(store, key + ".projector", executor);
}

void PictureEmbedder::unload() {
  tower_.unload();
  projector_.unload();
  device_memory_ = DeviceBuffer();
}

int64_t PictureEmbedder::states_bytes() const {
  return aligned(config_.tower.n_tokens() * config_.tower.width * 4);
}

TensorView PictureEmbedder::picture(const float* pixels) const {
  const int64_t side = image_size();
  return TensorView::contiguous(const_cast<float*>(pixels), DType::kF32, {1, side, side, 3});
}

Status PictureEmbedder::forward(const float* pixels, float* rows, std::span<std::byte> workspace,
                                Executor executor, const StopRequest& stop) const {
  Status fits = check_workspace(workspace, workspace_bytes(executor.max_threads()));
  if (!fits.ok()) return fits;
  auto* states = reinterpret_cast<float*>(workspace.data());
  const std::span<std::byte> rest = workspace.subspan(static_cast<size_t>(states_bytes()));
  if (Status done = tower_.forward(picture(pixels), {.hidden = states}, rest, executor, stop); !done.ok())
    return done;
  return projector_.forward(states + config_.first_state * config_.tower.width, rows, rest, executor, stop);
}

int64_t PictureEmbedder::device_weights_bytes() const {
  return aligned(tower_.device_weights_bytes()) + aligned(projector_.device_weights_bytes());
}

Status PictureEmbedder::load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop,
                                DeviceBuffer given) {
  auto memory = DeviceBuffer::given_or_allocate(std::move(given), stream,
                                                static_cast<uint64_t>(device_weights_bytes()), "weights");
  if (!memory.ok()) return memory.status();
  const auto part = [&](int64_t begin, int64_t bytes) {
    return DeviceBuffer::borrow(memory->data() + begin, static_cast<uint64_t>(bytes));
  };
  const int64_t of_tower = tower_.device_weights_bytes(), of_projector = projector_.device_weights_bytes();
  Status loaded = tower_.load_on(stream, executor, stop, part(0, of_tower));
  if (loaded.ok()) loaded = projector_.load_on(stream, executor, stop, part(aligned(of_tower), of_projector));
  if (!loaded.ok()) {
    unload();
    return loaded;
  }
  device_memory_ = *std::move(memory);
  return {};
}

int64_t PictureEmbedder::device_workspace_bytes() const {
  return states_bytes() + aligned(rows_bytes()) +
         std::max(tower_.device_workspace_bytes(1), projector_.device_workspace_bytes());
}

// Passes of further pictures are graphs: all that they read and write on the device is in the workspace, at the same places.
Status PictureEmbedder::forward_on(DevicePasses& passes, const float* pixels, float* rows,
                                   std::span<std::byte> workspace, const StopRequest& stop) const {
  if (Status fits = check_workspace(workspace, device_workspace_bytes()); !fits.ok()) return fits;
  auto* states = reinterpret_cast<float*>(workspace.data());
  auto* made = reinterpret_cast<float*>(workspace.data() + states_bytes());
  const std::span<std::byte> rest =
      workspace.subspan(static_cast<size_t>(states_bytes() + aligned(rows_bytes())));
  Status done = tower_.forward_on(passes, picture(pixels), {.hidden_on_device = states}, rest, stop);
  if (!done.ok()) return done;
  done = projector_.forward_on(passes, states + config_.first_state * config_.tower.width, made, rest, stop);
  if (!done.ok()) return done;
  return passes.stream().copy_within(rows, made, static_cast<uint64_t>(rows_bytes()));
}

}  // namespace weft
