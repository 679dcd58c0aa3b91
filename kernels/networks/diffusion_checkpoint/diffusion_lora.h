/// Low-rank adapters (LoRA) for Stable Diffusion, merged into a checkpoint's networks before these are opened.
///
/// Read are the names of kohya's scripts (lora_unet_..., lora_te_..., with underscores, over diffusers' or the original
/// names) and of diffusers and PEFT (unet.....lora_A, .lora.down, .processor.to_q_lora.down). A pair's strength is
/// alpha / rank where the file has an alpha, else 1. Several adapters may be merged, one after the other.
///
/// Ownership: the sources refer to the adapter's file from then on; it outlives the networks opened from them.
/// Source: Hu et al. 2021, arXiv:2106.09685.
///
///   WeightSource unet = checkpoint.unet().source;
///   Result<int64_t> merged = merge_diffusion_lora(adapter, {.unet = &unet}, 0.8f, 0.8f);
#ifndef WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_DIFFUSION_LORA_H
#define WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_DIFFUSION_LORA_H

#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/layers/weight_source.h"
#include "modalities/weights/weight_file.h"

namespace weft {

/// What an adapter is merged into; null: the checkpoint has no such network, and a pair for it is an error.
struct LoraTargets {
  WeightSource* unet = nullptr;
  WeightSource* text_encoder = nullptr;    // lora_te_, lora_te1_, text_encoder.
  WeightSource* text_encoder_2 = nullptr;  // lora_te2_, text_encoder_2.
};

/// Merges every pair of `adapter`, times unet_scale or text_scale; returns how many. Errors, naming file and tensor:
/// kNotFound (a pair for a layer that the networks do not have, half a pair), kInvalidShape (it does not fit the layer),
/// kUnsupported (DoRA, LoHa, LoKr, Tucker-decomposed convolutions; no pairs at all). On an error nothing is merged.
Result<int64_t> merge_diffusion_lora(const WeightFile& adapter, const LoraTargets& targets, float unet_scale,
                                     float text_scale);

}  // namespace weft
#endif
