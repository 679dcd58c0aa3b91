#include "plugins/image/preview.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/diffusion/noise/noise.h"
#include "modalities/image/files/image_file.h"
#include "plugins/image/denoising.h"
#include "plugins/image/latent_codec.h"

namespace weft::image {
namespace {

constexpr int64_t kFitSide = 16,
                  kFitPatch = 2;  // latents a side, of which 2 x 2 are equal: decoders blur single ones
constexpr int64_t kCopies = 4;    // pixels a latent of linear previews, along one side

const weft_previews_api* wanted_api(const sdk::Host& host) {
  const auto* api = host.extension<weft_previews_api>(WEFT_PREVIEWS_ID);
  return api != nullptr && api->wanted(api->self) != 0 ? api : nullptr;
}

int64_t pixels_a_latent(const DiffusionModel& model) {
  return model.preview() != nullptr ? model.preview()->config().factor() : kCopies;
}

struct ShowScratch {
  std::span<float> picture;
  std::span<uint8_t> pixels;
};
ShowScratch place_showing(Scratch& scratch, const DiffusionModel& model, const PreviewShape& shape) {
  const int64_t area = shape.extent.height * shape.extent.width, side = pixels_a_latent(model);
  return {scratch.take<float>(shape.images * shape.extent.count()),
          scratch.take<uint8_t>(shape.images * area * side * side * 3)};
}

struct TinyScratch {
  std::span<float> pixels;
  std::span<std::byte> workspace;
};
TinyScratch place_tiny(Scratch& scratch, const DiffusionModel& model, const Taesd& tiny,
                       const LatentExtent& extent, uint32_t n_threads) {
  const int64_t side = tiny.config().factor();
  return {
      scratch.take<float>(extent.height * side * extent.width * side * tiny.config().image_channels),
      scratch.take_for_network(preview_workspace_bytes(model, tiny, extent.height, extent.width, n_threads))};
}

struct FitScratch {
  std::span<float> noise, latents, colors;
  std::span<uint8_t> pixels;
};
FitScratch place_fit(Scratch& scratch, const DiffusionModel& model) {
  const int64_t side = kFitSide * model.vae().config().factor(), cells = kFitSide * kFitSide;
  return {scratch.take<float>(cells * model.latent_channels()),
          scratch.take<float>(cells * model.latent_channels()), scratch.take<float>(cells * 3),
          scratch.take<uint8_t>(side * side * 3)};
}

// The mean colour of every latent's pixels. pixels: [cells a side * factor, likewise, 3].
void mean_colors(std::span<const uint8_t> pixels, int64_t factor, std::span<float> colors) {
  const int64_t width = kFitSide * factor;
  std::fill(colors.begin(), colors.end(), 0.0f);
  for (int64_t y = 0; y < width; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t cell = y / factor * kFitSide + x / factor;
      for (int64_t c = 0; c < 3; ++c) {
        colors[static_cast<size_t>(cell * 3 + c)] +=
            static_cast<float>(pixels[static_cast<size_t>((y * width + x) * 3 + c)]) /
            (255 * static_cast<float>(factor * factor));
      }
    }
  }
}

// a x = b for a symmetric positive a of n x n, by Gaussian elimination; the solution is left in b: [n, 3].
void solve(std::vector<double>& a, std::vector<double>& b, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t row = 0; row < n; ++row) {
      if (row == i) continue;
      const double factor = a[row * n + i] / a[i * n + i];
      for (size_t k = i; k < n; ++k) a[row * n + k] -= factor * a[i * n + k];
      for (size_t k = 0; k < 3; ++k) b[row * 3 + k] -= factor * b[i * 3 + k];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < 3; ++k) b[i * 3 + k] /= a[i * n + i];
  }
}

}  // namespace

bool previews_wanted(const sdk::Host& host) { return wanted_api(host) != nullptr; }

LinearColors fit_colors(std::span<const float> latents, std::span<const float> colors, size_t channels) {
  constexpr double kDamping = 1e-3;
  const size_t n = channels + 1;
  std::vector<double> normal(n * n), right(n * 3), row(n, 1.0);
  for (size_t cell = 0; cell < latents.size() / channels; ++cell) {
    std::copy_n(latents.begin() + static_cast<ptrdiff_t>(cell * channels), channels, row.begin());
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < n; ++k) normal[i * n + k] += row[i] * row[k];
      for (size_t k = 0; k < 3; ++k) right[i * 3 + k] += row[i] * static_cast<double>(colors[cell * 3 + k]);
    }
  }
  for (size_t i = 0; i < n; ++i) normal[i * n + i] += kDamping;
  solve(normal, right, n);
  LinearColors fitted;
  for (size_t i = 0; i < n; ++i) {
    std::array<float, 3> color{};
    for (size_t k = 0; k < 3; ++k) color[k] = static_cast<float>(right[i * 3 + k]);
    if (i < channels) fitted.weights.push_back(color);
    else fitted.offset = color;
  }
  return fitted;
}

void estimate_picture(const diffusion::SamplingPlan& plan, int64_t call, diffusion::Prediction prediction,
                      std::span<const float> sample, std::span<const float> output,
                      std::span<float> picture) {
  if (prediction == diffusion::Prediction::kSample) {
    std::copy(output.begin(), output.end(), picture.begin());
    return;
  }
  // sample = alpha * picture + sigma * noise
  const float zero = 0, one = 1;
  float alpha = 0, sigma = 0;
  plan.noised_picture(call, {&zero, 1}, {&one, 1}, {&alpha, 1});
  plan.noised_picture(call, {&one, 1}, {&zero, 1}, {&sigma, 1});
  const bool is_velocity = prediction == diffusion::Prediction::kVelocity;
  const float square = alpha * alpha + sigma * sigma;
  const float of_sample = is_velocity ? alpha / square : 1 / alpha;
  const float of_output = is_velocity ? sigma / std::sqrt(square) : sigma / alpha;
  for (size_t i = 0; i < picture.size(); ++i) picture[i] = of_sample * sample[i] - of_output * output[i];
}

void measure_previews(Scratch& scratch, const DiffusionModel& model, const PreviewShape& shape,
                      uint32_t n_threads) {
  const Scratch::Mark mark = scratch.mark();
  place_showing(scratch, model, shape);
  if (model.preview() != nullptr) {
    place_tiny(scratch, model, *model.preview(), shape.extent, n_threads);
  } else {
    place_fit(scratch, model);
    measure_decoding(scratch, model, kFitSide, kFitSide, 0, n_threads);
  }
  scratch.release(mark);
}

Previews::Previews(const sdk::Request& request, const DiffusionModel& model, diffusion::Prediction prediction)
    : request_(request), model_(model), api_(wanted_api(request.host())), prediction_(prediction) {}

Status Previews::show(const diffusion::SamplingPlan& plan, int64_t call, const PreviewShape& shape,
                      std::span<const float> sample, std::span<const float> output, ModelCompute& compute,
                      const StopRequest& stop) {
  if (!wanted()) return {};
  Scratch& scratch = compute.scratch();
  const Scratch::Mark mark = scratch.mark();
  const ShowScratch s = place_showing(scratch, model_, shape);
  const int64_t side = pixels_a_latent(model_);
  const ImageView sheet =
      packed_image_view(s.pixels.data(), WEFT_DTYPE_U8,
                        {1, shape.extent.height * side, shape.images * shape.extent.width * side, 3});
  estimate_picture(plan, call, prediction_, sample, output, s.picture);
  Status status;
  const auto one = static_cast<size_t>(shape.extent.count());
  for (int64_t i = 0; status.ok() && i < shape.images; ++i) {
    ImageView part = sheet;
    part.shape.width /= shape.images;
    part.data += i * part.shape.width * 3;
    status = paint(s.picture.subspan(static_cast<size_t>(i) * one, one), shape.extent, part, compute, stop);
  }
  if (status.ok()) {
    const Result<std::string> file =
        encode_image(sheet, 0, {.format = ImageFormat::kPng, .compression = 1, .record = {}}, {});
    if (file.ok()) api_->show(api_->self, request_.get(), "image/png", file->data(), file->size());
  }
  scratch.release(mark);
  return status;
}

// What the decoder makes of one small noise. Its seed is always the same, so that equal runs look alike.
Status Previews::prepare(ModelCompute& compute, const StopRequest& stop) {
  if (!wanted() || model_.preview() != nullptr) return {};
  Scratch& scratch = compute.scratch();
  const Scratch::Mark mark = scratch.mark();
  const FitScratch s = place_fit(scratch, model_);
  diffusion::NoiseGenerator generator(diffusion::NoiseSource::kPhilox, 0);
  generator.fill(s.noise);
  const int64_t channels = model_.latent_channels();
  for (int64_t i = 0; i < kFitSide * kFitSide; ++i) {
    const int64_t y = i / kFitSide / kFitPatch, x = i % kFitSide / kFitPatch;
    std::copy_n(s.noise.data() + (y * kFitSide + x) * channels, channels, s.latents.data() + i * channels);
  }
  Status status = decode_picture(compute, s.latents, kFitSide, kFitSide, 0, s.pixels.data(), stop);
  if (status.ok()) {
    mean_colors(s.pixels, model_.vae().config().factor(), s.colors);
    colors_ = fit_colors(s.latents, s.colors, static_cast<size_t>(channels));
  }
  scratch.release(mark);
  return status;
}

Status Previews::paint(std::span<const float> latents, const LatentExtent& extent, const ImageView& into,
                       ModelCompute& compute, const StopRequest& stop) const {
  if (const Taesd* tiny = model_.preview()) {
    Scratch& scratch = compute.scratch();
    const Scratch::Mark mark = scratch.mark();
    const int64_t side = tiny->config().factor();
    const TinyScratch s = place_tiny(scratch, model_, *tiny, extent, compute.executor().max_threads());
    Status status = compute.preview(*tiny,
                                    TensorView::contiguous(const_cast<float*>(latents.data()), DType::kF32,
                                                           {1, extent.height, extent.width, extent.channels}),
                                    TensorView::contiguous(s.pixels.data(), DType::kF32,
                                                           {1, extent.height * side, extent.width * side, 3}),
                                    s.workspace, stop);
    const int64_t row = into.shape.width * 3;
    for (int64_t i = 0; status.ok() && i < row * into.shape.height; ++i) {
      into.row<uint8_t>(0, i / row)[i % row] = to_byte(s.pixels[static_cast<size_t>(i)] / 2 + 0.5f);
    }
    scratch.release(mark);
    return status;
  }
  for (int64_t y = 0; y < into.shape.height; ++y) {
    uint8_t* row = into.row<uint8_t>(0, y);
    for (int64_t x = 0; x < into.shape.width; ++x) {
      const float* latent = latents.data() + (y / kCopies * extent.width + x / kCopies) * extent.channels;
      for (size_t k = 0; k < 3; ++k) {
        float value = colors_.offset[k];
        for (size_t c = 0; c < colors_.weights.size(); ++c) value += colors_.weights[c][k] * latent[c];
        row[static_cast<size_t>(x) * 3 + k] = to_byte(value);
      }
    }
  }
  return {};
}

}  // namespace weft::image
