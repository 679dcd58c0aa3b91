#include "kernels/networks/vision_language/picture_embedder.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/networks/vision_transformer/vision_transformer_checkpoint.h"

namespace weft {

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
}

Status PictureEmbedder::forward(const float* pixels, float* rows, std::span<std::byte> workspace,
                                Executor executor, const StopRequest& stop) const {
  const auto own = static_cast<size_t>(states_bytes());
  if (workspace.size() < own)
    return Status(StatusCode::kOutOfMemory, "the workspace for a picture is too small")
        .expected(std::to_string(workspace_bytes(executor.max_threads())) + " bytes")
        .got(std::to_string(workspace.size()));
  auto* states = reinterpret_cast<float*>(workspace.data());
  const int64_t side = image_size();
  const TensorView picture =
      TensorView::contiguous(const_cast<float*>(pixels), DType::kF32, {1, side, side, 3});
  const std::span<std::byte> rest = workspace.subspan(own);
  if (Status done = tower_.forward(picture, {.hidden = states}, rest, executor, stop); !done.ok())
    return done;
  return projector_.forward(states + config_.first_state * config_.tower.width, rows, rest, executor, stop);
}

}  // namespace weft
