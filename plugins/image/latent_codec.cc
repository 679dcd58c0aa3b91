#include "plugins/image/latent_codec.h"

#include <algorithm>
#include <cmath>

#include "plugins/image/denoising.h"

namespace weft::image {
namespace {

struct DecodeScratch {
  std::span<float> latents, pixels;
  std::span<std::byte> workspace;
};

DecodeScratch place_decoding(Scratch& scratch, const DiffusionModel& model, int64_t height, int64_t width,
                             int64_t tile, uint32_t n_threads) {
  const VaeConfig& config = model.vae().config();
  DecodeScratch s;
  s.latents = scratch.take<float>(height * width * config.latent_channels);
  s.pixels = scratch.take<float>(height * width * config.factor() * config.factor() * config.image_channels);
  s.workspace = scratch.take_for_network(decode_workspace_bytes(model, height, width, tile, n_threads));
  return s;
}

struct EncodeScratch {
  std::span<float> pixels, moments, chw, noise;
  std::span<std::byte> workspace;
};

EncodeScratch place_encoding(Scratch& scratch, const DiffusionModel& model, int64_t height, int64_t width,
                             int64_t tile, uint32_t n_threads) {
  const VaeConfig& config = model.vae().config();
  const int64_t count = height * width * config.latent_channels;
  EncodeScratch s;
  s.pixels = scratch.take<float>(height * width * config.factor() * config.factor() * config.image_channels);
  s.moments = scratch.take<float>(2 * count);
  s.chw = scratch.take<float>(count);
  s.noise = scratch.take<float>(count);
  s.workspace = scratch.take_for_network(encode_workspace_bytes(model, height, width, tile, n_threads));
  return s;
}

// A picture's values as the encoder wants them, -1 to 1.
void load_pixels(const ImageView& picture, int64_t index, const ImageView* mask, int64_t channels,
                 std::span<float> pixels) {
  size_t at = 0;
  for (int64_t y = 0; y < picture.shape.height; ++y) {
    for (int64_t x = 0; x < picture.shape.width; ++x) {
      const bool hidden = mask != nullptr && unit_value(*mask, 0, y, x, 0) >= 0.5f;
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t from = picture.shape.channels < 3 ? 0 : c;
        pixels[at++] = hidden ? 0 : unit_value(picture, index, y, x, from) * 2 - 1;
      }
    }
  }
}

// moments: [h, w, 2 c], means and logarithms of variances. noise: [h, w, c], or none for the mean.
void latents_from(std::span<const float> moments, std::span<const float> noise, const VaeConfig& config,
                  std::span<float> latents) {
  const auto channels = static_cast<size_t>(config.latent_channels);
  for (size_t p = 0; p < moments.size() / (2 * channels); ++p) {
    for (size_t c = 0; c < channels; ++c) {
      float value = moments[2 * p * channels + c];
      if (!noise.empty()) {
        const float log_variance = std::clamp(moments[(2 * p + 1) * channels + c], -30.0f, 20.0f);
        value += std::exp(0.5f * log_variance) * noise[p * channels + c];
      }
      latents[p * channels + c] = (value - config.shift_factor) * config.scaling_factor;
    }
  }
}

}  // namespace

void measure_decoding(Scratch& scratch, const DiffusionModel& model, int64_t height, int64_t width,
                      int64_t tile, uint32_t n_threads) {
  const Scratch::Mark mark = scratch.mark();
  place_decoding(scratch, model, height, width, tile, n_threads);
  scratch.release(mark);
}

void measure_encoding_picture(Scratch& scratch, const DiffusionModel& model, int64_t height, int64_t width,
                              int64_t tile, uint32_t n_threads) {
  const Scratch::Mark mark = scratch.mark();
  place_encoding(scratch, model, height, width, tile, n_threads);
  scratch.release(mark);
}

Status decode_picture(ModelCompute& compute, std::span<const float> latents, int64_t height, int64_t width,
                      int64_t tile, uint8_t* pixels, const StopRequest& stop) {
  const DiffusionModel& model = compute.model();
  Scratch& scratch = compute.scratch();
  const Result<ModelStages::Use> use = compute.enter(ModelStage::kVae, stop);
  if (!use.ok()) return use.status();
  const VaeConfig& config = model.vae().config();
  const Scratch::Mark mark = scratch.mark();
  DecodeScratch s = place_decoding(scratch, model, height, width, tile, compute.executor().max_threads());
  for (size_t i = 0; i < latents.size(); ++i) {
    s.latents[i] = latents[i] / config.scaling_factor + config.shift_factor;
  }
  const TensorView in =
      TensorView::contiguous(s.latents.data(), DType::kF32, {1, height, width, config.latent_channels});
  const TensorView out =
      TensorView::contiguous(s.pixels.data(), DType::kF32,
                             {1, height * config.factor(), width * config.factor(), config.image_channels});
  Status status = compute.decode(in, out, tile, s.workspace, stop);
  if (status.ok()) {
    for (size_t i = 0; i < s.pixels.size(); ++i) {
      // Half to even, as numpy rounds for diffusers.
      const float unit = std::clamp(s.pixels[i] / 2 + 0.5f, 0.0f, 1.0f);
      pixels[i] = static_cast<uint8_t>(std::nearbyint(unit * 255));
    }
  }
  scratch.release(mark);
  return status;
}

Status encode_picture(ModelCompute& compute, const ImageView& picture, int64_t index, const ImageView* mask,
                      std::span<diffusion::NoiseGenerator> generators, int64_t tile, std::span<float> latents,
                      const StopRequest& stop) {
  const DiffusionModel& model = compute.model();
  Scratch& scratch = compute.scratch();
  const Result<ModelStages::Use> use = compute.enter(ModelStage::kVae, stop);
  if (!use.ok()) return use.status();
  const VaeConfig& config = model.vae().config();
  const int64_t height = picture.shape.height / config.factor(),
                width = picture.shape.width / config.factor();
  const int64_t channels = config.latent_channels;
  const Scratch::Mark mark = scratch.mark();
  EncodeScratch s = place_encoding(scratch, model, height, width, tile, compute.executor().max_threads());
  load_pixels(picture, index, mask, config.image_channels, s.pixels);
  const TensorView in = TensorView::contiguous(
      s.pixels.data(), DType::kF32, {1, picture.shape.height, picture.shape.width, config.image_channels});
  const TensorView out =
      TensorView::contiguous(s.moments.data(), DType::kF32, {1, height, width, 2 * channels});
  Status status = compute.encode(in, out, tile, s.workspace, stop);
  if (status.ok()) {
    const size_t one = s.noise.size();
    if (generators.empty()) latents_from(s.moments, {}, config, latents);
    for (size_t i = 0; i < generators.size(); ++i) {
      draw_latent_noise(generators[i], channels, s.chw, s.noise);
      latents_from(s.moments, s.noise, config, latents.subspan(i * one, one));
    }
  }
  scratch.release(mark);
  return status;
}

float unit_value(const ImageView& picture, int64_t index, int64_t y, int64_t x, int64_t channel) {
  const int64_t at = x * picture.shape.channels + channel;
  if (picture.dtype == WEFT_DTYPE_U8) return static_cast<float>(picture.row<uint8_t>(index, y)[at]) / 255;
  return std::clamp(picture.row<float>(index, y)[at], 0.0f, 1.0f);
}

void latent_mask(const ImageView& mask, int64_t factor, int64_t width, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const auto y = static_cast<int64_t>(i) / width, x = static_cast<int64_t>(i) % width;
    out[i] = unit_value(mask, 0, y * factor, x * factor, 0) >= 0.5f ? 1.0f : 0.0f;
  }
}

}  // namespace weft::image
