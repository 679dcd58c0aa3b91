/// A picture as rows among a language model's embeddings: a vision tower, and the projector that was trained with both.
///
/// Three stages: open() reads headers only, load() packs, then forward() embeds one picture. The bits of a picture's rows depend on its
/// pixels, the model, what it computes in, and the ISA level. Ownership and threads: as of VisionTransformer.
///
///   Result<PictureEmbedder> pictures = PictureEmbedder::open(file, decoder.config().width, DType::kF32);
///   Status loaded = pictures->load(store, "sha256-of-the-file", executor);
///   Status done = pictures->forward(pixels, rows, workspace, executor);   // [336, 336, 3] to [576, 4096]
#ifndef WEFT_KERNELS_NETWORKS_VISION_LANGUAGE_PICTURE_EMBEDDER_H
#define WEFT_KERNELS_NETWORKS_VISION_LANGUAGE_PICTURE_EMBEDDER_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "kernels/networks/vision_language/multimodal_projector.h"
#include "kernels/networks/vision_language/vision_language_checkpoint.h"
#include "kernels/networks/vision_transformer/vision_transformer.h"

namespace weft {

class PictureEmbedder {
 public:
  /// text_width: of the decoder's embeddings. Precondition: has_vision_tower(file.metadata()). Errors: those of
  /// read_vision_language_config(), and of the networks: a tower's width that does not fit the projector is one.
  static Result<PictureEmbedder> open(const WeightFile& file, int64_t text_width, DType compute);

  const VisionLanguageConfig& config() const { return config_; }
  int64_t image_size() const { return config_.tower.image_size; }
  /// Rows of a picture, each in the place of one token.
  int64_t n_rows() const { return config_.projector.n_rows(); }
  int64_t text_width() const { return config_.projector.text_width; }
  int64_t packed_weights_bytes() const {
    return tower_.packed_weights_bytes() + projector_.packed_weights_bytes();
  }
  int64_t workspace_bytes(uint32_t n_threads) const;
  int64_t rows_bytes() const { return n_rows() * text_width() * 4; }

  Status load(PackedWeightStore& store, std::string_view source_key, Executor executor);
  void unload();

  /// pixels: [image_size(), image_size(), 3] f32, normalised. rows: [n_rows(), text_width()]. No allocation. workspace:
  /// workspace_bytes(), aligned to 64. Errors: kInvalidArgument (not loaded), kOutOfMemory (the workspace), kCancelled.
  Status forward(const float* pixels, float* rows, std::span<std::byte> workspace, Executor executor,
                 const StopRequest& stop = {}) const;

  // On a device, as of VisionTransformer.
  Status load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop = {},
                 DeviceBuffer memory = {});
  int64_t device_weights_bytes() const;  // a multiple of kDeviceAlignment
  int64_t device_workspace_bytes() const;
  /// pixels: the host's. rows: in the device's memory, aligned to 16 bytes; they are there when the passes' stream comes to it.
  Status forward_on(DevicePasses& passes, const float* pixels, float* rows, std::span<std::byte> workspace,
                    const StopRequest& stop = {}) const;

 private:
  PictureEmbedder(const VisionLanguageConfig& config, VisionTransformer tower, MultimodalProjector projector)
      : config_(config), tower_(std::move(tower)), projector_(std::move(projector)) {}
  TensorView picture(const float* pixels) const;
  int64_t states_bytes() const;

  VisionLanguageConfig config_;
  VisionTransformer tower_;
  MultimodalProjector projector_;
  DeviceBuffer device_memory_;  // of both networks' weights
};

}  // namespace weft
#endif
