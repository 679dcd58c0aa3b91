#include "plugins/image/denoising.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "kernels/diffusion/guidance.h"
#include "plugins/image/control_pass.h"

namespace weft::image {
namespace {

/// Slices of scratch, all for `batch` pictures in one call of the UNet: twice the images with guidance.
struct Buffers {
  std::span<float> noise_a, noise_b, chw, history;                    // for the images
  std::span<float> input, output, extra, context, timesteps, pooled;  // for the batch
  std::span<float> sizes, guidance;
  ControlPass control;
  std::span<std::byte> workspace;  // of the UNet and, before it, of control networks
};

int64_t extra_channels(const DiffusionModel& model) {
  return model.unet().config().in_channels - model.latent_channels();
}

int64_t n_sizes(const DiffusionModel& model) {
  return model.unet().config().n_added_sizes(model.pooled_width());
}

Buffers place(Scratch& scratch, const DiffusionModel& model, const DenoisingShape& shape, int64_t batch,
              uint32_t n_threads) {
  const UNetConfig& config = model.unet().config();
  const int64_t area = shape.height * shape.width, picture = area * model.latent_channels();
  Buffers b;
  b.noise_a = scratch.take<float>(shape.images * picture);
  b.noise_b = scratch.take<float>(shape.images * picture);
  b.chw = scratch.take<float>(picture);
  b.history = scratch.take<float>(shape.history_slots * shape.images * picture);
  b.input = scratch.take<float>(batch * picture);
  b.output = scratch.take<float>(batch * picture);
  b.extra = scratch.take<float>(batch * area * extra_channels(model));
  b.context = scratch.take<float>(batch * shape.n_context * config.context_width);
  b.timesteps = scratch.take<float>(batch);
  b.pooled = scratch.take<float>(batch * model.pooled_width());
  b.sizes = scratch.take<float>(batch * n_sizes(model));
  b.guidance = scratch.take<float>(batch * config.guidance_width);
  const UNetExtent extent{batch, shape.height, shape.width, shape.n_context};
  b.control = ControlPass::place(scratch, model, extent, shape.controls);
  int64_t workspace = model.unet().workspace_bytes(extent, n_threads);
  if (shape.controls > 0)
    workspace = std::max(workspace, ControlPass::workspace_bytes(model, extent, n_threads));
  b.workspace = scratch.take<std::byte>(workspace);
  return b;
}

// diffusers' get_guidance_scale_embedding: sines, then cosines of 1000 (scale - 1).
void embed_guidance(double scale, std::span<float> out) {
  const size_t half = out.size() / 2;
  const double w = (scale - 1) * 1000;
  for (size_t i = 0; i < half; ++i) {
    const double frequency =
        std::exp(-std::log(10000.0) * static_cast<double>(i) / static_cast<double>(half - 1));
    out[i] = static_cast<float>(std::sin(w * frequency));
    out[half + i] = static_cast<float>(std::cos(w * frequency));
  }
}

class Denoising {
 public:
  Denoising(const DiffusionModel& model, const DenoisingShape& shape, const DenoisingInputs& inputs,
            std::span<float> latents, Executor executor, const StopRequest& stop)
      : model_(model),
        shape_(shape),
        in_(inputs),
        latents_(latents),
        executor_(executor),
        stop_(stop),
        guides_(inputs.guidance > 1 && model.unet().config().guidance_width == 0),
        batch_(shape.images * (guides_ ? 2 : 1)),
        picture_(shape.height * shape.width * model.latent_channels()) {}

  Status run(Scratch& scratch) {
    if (Status status = check(); !status.ok()) return status;
    b_ = place(scratch, model_, actual_shape(), batch_, executor_.max_threads());
    set_conditions();
    set_extra();
    start();
    const diffusion::SamplingPlan& plan = *in_.plan;
    for (int64_t call = 0; call < plan.n_calls(); ++call) {
      if (Status status = predict(call); !status.ok()) return status;
      guide();
      if (Status status = preview(call, scratch); !status.ok()) return status;
      for (int64_t i = 0; i < shape_.images; ++i) {
        if (plan.noises(call) > 0) draw(i, b_.noise_a);
        if (plan.noises(call) > 1) draw(i, b_.noise_b);
      }
      plan.advance(call, output_of_images(), {b_.noise_a, b_.noise_b}, b_.history, latents_);
      keep_outside_of_mask(call + 1);
      if (in_.progress) in_.progress(call + 1, plan.n_calls());
    }
    return {};
  }

 private:
  DenoisingShape actual_shape() const {
    DenoisingShape shape = shape_;
    shape.n_context = in_.prompts.n_tokens;
    shape.history_slots = in_.plan->history_slots();
    shape.controls = static_cast<int64_t>(in_.controls.list.size());
    return shape;
  }
  std::span<float> of_image(std::span<float> batch, int64_t image) const {
    return batch.subspan(static_cast<size_t>(image * picture_), static_cast<size_t>(picture_));
  }
  // Of values for all images or for each.
  std::span<const float> of_image(std::span<const float> values, int64_t image) const {
    if (values.size() <= static_cast<size_t>(picture_)) return values;
    return values.subspan(static_cast<size_t>(image * picture_), static_cast<size_t>(picture_));
  }
  std::span<const float> output_of_images() const {
    return b_.output.first(static_cast<size_t>(shape_.images * picture_));
  }

  Status check() const {
    const UNetConfig& config = model_.unet().config();
    const int64_t extra = extra_channels(model_), wanted = model_.latent_channels() + 1;
    if (extra != 0 && extra != wanted) {
      return Status(StatusCode::kUnsupported, "a UNet with inputs that no node here makes")
          .at(model_.path())
          .expected(std::to_string(model_.latent_channels()) + " channels, or those and a masked picture")
          .got(std::to_string(config.in_channels));
    }
    if (extra == wanted && (in_.mask.empty() || in_.masked_picture.empty())) {
      return Status(StatusCode::kInvalidArgument,
                    "this model paints into pictures: it wants a picture and a mask")
          .at(model_.path())
          .expected("inputs 'image' and 'mask', or 'mask' and 'masked'")
          .got("none");
    }
    const int64_t factor = model_.vae().config().factor();
    if (!in_.controls.empty() &&
        (in_.controls.height != shape_.height * factor || in_.controls.width != shape_.width * factor)) {
      return Status(StatusCode::kInvalidShape, "a control of another size than the picture to make")
          .at("port 'control'")
          .expected(std::to_string(shape_.width * factor) + " x " + std::to_string(shape_.height * factor) +
                    " pixels")
          .got(std::to_string(in_.controls.width) + " x " + std::to_string(in_.controls.height))
          .hint("image.resize makes the picture of image.control fit");
    }
    if (config.class_embedding != ClassEmbedding::kNone) {
      return Status(StatusCode::kUnsupported, "a UNet with class labels").at(model_.path());
    }
    return {};
  }

  void draw(int64_t image, std::span<float> into) {
    draw_latent_noise(in_.generators[static_cast<size_t>(image)], model_.latent_channels(), b_.chw,
                      of_image(into, image));
  }

  // What stays the same in all calls.
  void set_conditions() {
    const int64_t text = in_.prompts.n_tokens * model_.unet().config().context_width;
    const int64_t pooled = model_.pooled_width(), sizes = n_sizes(model_);
    for (int64_t i = 0; i < batch_; ++i) {
      // Positive prompts first: after guidance the first half is what goes on.
      const int64_t prompt = i < shape_.images ? 1 : 0;
      std::copy_n(in_.prompts.hidden.data() + prompt * text, text, b_.context.data() + i * text);
      if (pooled > 0) {
        std::copy_n(in_.prompts.pooled.data() + prompt * pooled, pooled, b_.pooled.data() + i * pooled);
        set_sizes(b_.sizes.subspan(static_cast<size_t>(i * sizes), static_cast<size_t>(sizes)), prompt == 1);
      }
      const int64_t width = model_.unet().config().guidance_width;
      if (width > 0) {
        embed_guidance(in_.guidance,
                       b_.guidance.subspan(static_cast<size_t>(i * width), static_cast<size_t>(width)));
      }
    }
  }

  // SDXL: original size, crop, target size; the refiner's fifth number is an aesthetic score.
  void set_sizes(std::span<float> sizes, bool is_positive) const {
    const auto height = static_cast<float>(shape_.height * model_.vae().config().factor());
    const auto width = static_cast<float>(shape_.width * model_.vae().config().factor());
    const float six[] = {height, width, 0, 0, height, width};
    const float five[] = {height, width, 0, 0, is_positive ? 6.0f : 2.5f};
    for (size_t i = 0; i < sizes.size(); ++i) sizes[i] = sizes.size() == 5 ? five[i] : six[i % 6];
  }

  // An inpainting UNet sees the mask and the picture without what it hides.
  void set_extra() {
    const int64_t channels = extra_channels(model_), area = shape_.height * shape_.width;
    if (channels == 0) return;
    for (int64_t i = 0; i < batch_; ++i) {
      const std::span<const float> masked = of_image(in_.masked_picture, i % shape_.images);
      for (int64_t p = 0; p < area; ++p) {
        float* to = b_.extra.data() + (i * area + p) * channels;
        to[0] = in_.mask[static_cast<size_t>(p)];
        std::copy_n(masked.data() + p * (channels - 1), channels - 1, to + 1);
      }
    }
  }

  void start() {
    for (int64_t i = 0; i < shape_.images; ++i) {
      const std::span<const float> picture =
          in_.starts_from_noise ? std::span<const float>() : of_image(in_.picture, i);
      in_.plan->start(of_image(in_.first_noise, i), picture, of_image(latents_, i));
    }
  }

  Status predict(int64_t call) {
    const auto [n, h, w, c] = std::array{batch_, shape_.height, shape_.width, model_.latent_channels()};
    const auto images = static_cast<size_t>(shape_.images * picture_);
    in_.plan->scale_input(call, latents_, b_.input.first(images));
    if (guides_) std::copy_n(b_.input.data(), images, b_.input.data() + images);
    std::fill(b_.timesteps.begin(), b_.timesteps.end(), static_cast<float>(in_.plan->timestep(call)));
    const UNetConfig& config = model_.unet().config();
    UNetInputs inputs{.sample = TensorView::contiguous(b_.input.data(), DType::kF32, {n, h, w, c}),
                      .timesteps = b_.timesteps,
                      .context = TensorView::contiguous(b_.context.data(), DType::kF32,
                                                        {n, in_.prompts.n_tokens, config.context_width})};
    if (extra_channels(model_) > 0) {
      inputs.extra = TensorView::contiguous(b_.extra.data(), DType::kF32, {n, h, w, extra_channels(model_)});
    }
    if (model_.pooled_width() > 0) {
      inputs.pooled = TensorView::contiguous(b_.pooled.data(), DType::kF32, {n, model_.pooled_width()});
      inputs.sizes = TensorView::contiguous(b_.sizes.data(), DType::kF32, {n, n_sizes(model_)});
    }
    if (config.guidance_width > 0) {
      inputs.guidance = TensorView::contiguous(b_.guidance.data(), DType::kF32, {n, config.guidance_width});
    }
    if (!in_.controls.empty()) {
      Status status =
          b_.control.apply(model_, in_.controls, *in_.plan, call, inputs, b_.workspace, executor_, stop_);
      if (!status.ok()) return status;
    }
    const TensorView output = TensorView::contiguous(b_.output.data(), DType::kF32, {n, h, w, c});
    return model_.unet().forward(inputs, output, b_.workspace, executor_, stop_);
  }

  Status preview(int64_t call, Scratch& scratch) {
    if (in_.previews == nullptr) return {};
    const PreviewShape shape{shape_.images, {shape_.height, shape_.width, model_.latent_channels()}};
    return in_.previews->show(*in_.plan, call, shape, latents_, output_of_images(), scratch, executor_,
                              stop_);
  }

  void guide() {
    if (!guides_) return;
    for (int64_t i = 0; i < shape_.images; ++i) {
      const std::span<float> with = of_image(b_.output, i), without = of_image(b_.output, shape_.images + i);
      diffusion::guide(in_.guidance, in_.guidance_rescale, with, without, with);
    }
  }

  // A UNet that was not made for inpainting paints everything: outside of the mask the picture comes back each time.
  void keep_outside_of_mask(int64_t call) {
    if (in_.mask.empty() || in_.picture.empty() || extra_channels(model_) > 0) return;
    const int64_t channels = model_.latent_channels();
    for (int64_t i = 0; i < shape_.images; ++i) {
      in_.plan->noised_picture(call, of_image(in_.first_noise, i), of_image(in_.picture, i), b_.chw);
      const std::span<float> latents = of_image(latents_, i);
      for (size_t k = 0; k < latents.size(); ++k) {
        const float mask = in_.mask[k / static_cast<size_t>(channels)];
        latents[k] = mask * latents[k] + (1 - mask) * b_.chw[k];
      }
    }
  }

  const DiffusionModel& model_;
  const DenoisingShape& shape_;
  const DenoisingInputs& in_;
  std::span<float> latents_;
  Executor executor_;
  const StopRequest& stop_;
  bool guides_;
  int64_t batch_, picture_;
  Buffers b_;
};

}  // namespace

void measure_denoising(Scratch& scratch, const DiffusionModel& model, const DenoisingShape& shape,
                       uint32_t n_threads) {
  // A smaller pass may need a little more room than a larger one: its buffers fall into place differently.
  for (int64_t tokens = model.chunk_length(); tokens <= shape.n_context; tokens += model.chunk_length()) {
    for (const int64_t batch : {shape.images, 2 * shape.images}) {
      DenoisingShape actual = shape;
      actual.n_context = tokens;
      const int64_t mark = scratch.mark();
      place(scratch, model, actual, batch, n_threads);
      if (shape.watched == DenoisingShape::Watched::kByPreviews) {
        measure_previews(scratch, model, {shape.images, {shape.height, shape.width, model.latent_channels()}},
                         n_threads);
      }
      scratch.release(mark);
    }
  }
}

Status denoise(const DiffusionModel& model, const DenoisingShape& shape, const DenoisingInputs& inputs,
               std::span<float> latents, Scratch& scratch, Executor executor, const StopRequest& stop) {
  const Result<ModelStages::Use> use = model.enter(ModelStage::kUNet, stop);
  if (!use.ok()) return use.status();
  const int64_t mark = scratch.mark();
  Status status = Denoising(model, shape, inputs, latents, executor, stop).run(scratch);
  scratch.release(mark);
  return status;
}

void draw_first_noise(std::span<diffusion::NoiseGenerator> generators, int64_t channels, Scratch& scratch,
                      std::span<float> noise) {
  const size_t one = noise.size() / generators.size();
  const int64_t mark = scratch.mark();
  const std::span<float> chw = scratch.take<float>(static_cast<int64_t>(one));
  for (size_t i = 0; i < generators.size(); ++i) {
    draw_latent_noise(generators[i], channels, chw, noise.subspan(i * one, one));
  }
  scratch.release(mark);
}

void draw_latent_noise(diffusion::NoiseGenerator& generator, int64_t channels, std::span<float> chw,
                       std::span<float> out) {
  generator.fill(chw);
  const auto c_count = static_cast<size_t>(channels);
  const size_t area = out.size() / c_count;
  for (size_t c = 0; c < c_count; ++c) {
    for (size_t p = 0; p < area; ++p) out[p * c_count + c] = chw[c * area + p];
  }
}

}  // namespace weft::image
