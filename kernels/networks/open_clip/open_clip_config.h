/// The towers of an open_clip_config.json, as far as they are alike: both are made of the same blocks.
///
/// A key that a network here does not obey, and that is not merely off, is an error that names it: a model is never run as another
/// one. Source: the defaults are those of open_clip's CLIPVisionCfg and CLIPTextCfg (open_clip_torch 3.3).
///
///   if (is_open_clip(metadata)) {
///     Result<OpenClipTower> tower = read_open_clip_tower(metadata, "vision_cfg.", 768, kMyKeys);
#ifndef WEFT_KERNELS_NETWORKS_OPEN_CLIP_OPEN_CLIP_CONFIG_H
#define WEFT_KERNELS_NETWORKS_OPEN_CLIP_OPEN_CLIP_CONFIG_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/ops/activation/activation.h"
#include "modalities/weights/metadata.h"

namespace weft {

/// Before every key of a model, and of the towers within it.
inline constexpr std::string_view kOpenClipModel = "model_cfg.";

/// Whether this is what an open_clip_config.json holds.
bool is_open_clip(const Metadata& metadata);

struct OpenClipTower {
  int64_t width = 0;
  int64_t n_layers = 0;
  int64_t mlp_width = 0;
  int64_t embedding_width = 0;  // of the vectors that both towers end in
  Activation activation = Activation::kGelu;
  float epsilon = 1e-5f;
};

/// tower: "vision_cfg." or "text_cfg.". width: where none is given. own_keys: those of the tower that the caller reads. Errors:
/// kUnsupported, kCorruptData, kNotFound: naming file and key.
Result<OpenClipTower> read_open_clip_tower(const Metadata& metadata, std::string_view tower, int64_t width,
                                           std::span<const std::string_view> own_keys);

}  // namespace weft
#endif
