#include "plugins/image/denoising.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "kernels/diffusion/guidance.h"
#include "plugins/image/control_pass.h"

namespace weft::image {
namespace {

int64_t extra_channels(const DiffusionModel& model) {
  return model.unet().config().in_channels - model.latent_channels();
}

int64_t n_sizes(const DiffusionModel& model) {
  return model.unet().config().n_added_sizes(model.pooled_width());
}

int64_t picture_count(const DiffusionModel& model, const DenoisingShape& shape) {
  return shape.height * shape.width * model.latent_channels();
}

/// Slices of scratch for one call. Rows of a request lie together: its pictures, and with guidance those once more with the
/// negative prompt.
struct Buffers {
  std::span<float> input, output, extra, context, timesteps, pooled, sizes, guidance;  // [rows, ...]
  ControlPass control;
  std::span<std::byte> workspace;          // of the UNet and, before it, of control networks
  std::span<float> noise_a, noise_b, chw;  // of one request's images, for one after another
};

Buffers place(Scratch& scratch, const DiffusionModel& model, const DenoisingShape& shape, int64_t rows,
              uint32_t n_threads) {
  const UNetConfig& config = model.unet().config();
  const int64_t area = shape.height * shape.width, picture = picture_count(model, shape);
  Buffers b;
  b.input = scratch.take<float>(rows * picture);
  b.output = scratch.take<float>(rows * picture);
  b.extra = scratch.take<float>(rows * area * extra_channels(model));
  b.context = scratch.take<float>(rows * shape.n_context * config.context_width);
  b.timesteps = scratch.take<float>(rows);
  b.pooled = scratch.take<float>(rows * model.pooled_width());
  b.sizes = scratch.take<float>(rows * n_sizes(model));
  b.guidance = scratch.take<float>(rows * config.guidance_width);
  const UNetExtent extent{rows, shape.height, shape.width, shape.n_context};
  b.control = ControlPass::place(scratch, model, extent, shape.controls);
  int64_t workspace = unet_workspace_bytes(model, extent, n_threads);
  if (shape.controls > 0)
    workspace = std::max(workspace, ControlPass::workspace_bytes(model, extent, n_threads));
  b.workspace = scratch.take_for_network(workspace);
  b.noise_a = scratch.take<float>(shape.images * picture);
  b.noise_b = scratch.take<float>(shape.images * picture);
  b.chw = scratch.take<float>(picture);
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

}  // namespace

/// A request's part of a call's buffers.
struct Denoising::Rows {
  Rows(const Buffers& of, int64_t first_row, int64_t row_count, int64_t all_rows)
      : b(of), first(first_row), count(row_count), all(all_rows) {}
  std::span<float> part(std::span<float> buffer) const {
    const auto one = buffer.size() / static_cast<size_t>(all);
    return buffer.subspan(static_cast<size_t>(first) * one, static_cast<size_t>(count) * one);
  }
  std::span<float> row(std::span<float> buffer, int64_t index) const {
    const auto one = buffer.size() / static_cast<size_t>(all);
    return buffer.subspan(static_cast<size_t>(first + index) * one, one);
  }
  const Buffers& b;
  int64_t first, count, all;
};

int64_t history_count(const DiffusionModel& model, const DenoisingShape& shape) {
  return shape.history_slots * shape.images * picture_count(model, shape);
}

Denoising::Denoising(const DiffusionModel& model, const DenoisingShape& shape, DenoisingInputs inputs,
                     std::span<float> latents)
    : model_(model),
      shape_(shape),
      in_(std::move(inputs)),
      latents_(latents),
      picture_(picture_count(model, shape)),
      status_(check()) {
  if (!status_.ok()) return;
  for (int64_t i = 0; i < shape_.images; ++i) {
    const std::span<const float> picture =
        in_.starts_from_noise ? std::span<const float>() : of_image(in_.picture, i);
    in_.plan->start(of_image(in_.first_noise, i), picture, of_image(latents_, i));
  }
}

bool Denoising::finished() const { return !status_.ok() || call_ == in_.plan->n_calls(); }

bool Denoising::guides() const { return in_.guidance > 1 && model_.unet().config().guidance_width == 0; }

int64_t Denoising::rows() const { return shape_.images * (guides() ? 2 : 1); }

bool Denoising::stops() const {
  return in_.stop.requested != nullptr && in_.stop.requested(in_.stop.context);
}

bool Denoising::shares_calls_with(const Denoising& other) const {
  return shape_.height == other.shape_.height && shape_.width == other.shape_.width &&
         shape_.images == other.shape_.images && in_.prompts.n_tokens == other.in_.prompts.n_tokens &&
         in_.controls.empty() && other.in_.controls.empty();
}

std::span<float> Denoising::of_image(std::span<float> batch, int64_t image) const {
  return batch.subspan(static_cast<size_t>(image * picture_), static_cast<size_t>(picture_));
}

// Of values for all images or for each.
std::span<const float> Denoising::of_image(std::span<const float> values, int64_t image) const {
  if (values.size() <= static_cast<size_t>(picture_)) return values;
  return values.subspan(static_cast<size_t>(image * picture_), static_cast<size_t>(picture_));
}

Status Denoising::check() const {
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
  if (config.class_embedding != ClassEmbedding::kNone) {
    return Status(StatusCode::kUnsupported, "a UNet with class labels").at(model_.path());
  }
  return {};
}

// What the UNet gets to see in the next call.
void Denoising::fill(const Rows& rows) const {
  const auto images = static_cast<size_t>(shape_.images * picture_);
  const std::span<float> input = rows.part(rows.b.input);
  in_.plan->scale_input(call_, latents_, input.first(images));
  if (guides()) std::copy_n(input.data(), images, input.data() + images);
  std::ranges::fill(rows.part(rows.b.timesteps), static_cast<float>(in_.plan->timestep(call_)));
  const int64_t text = in_.prompts.n_tokens * model_.unet().config().context_width;
  const int64_t pooled = model_.pooled_width();
  for (int64_t i = 0; i < rows.count; ++i) {
    // Positive prompts first: after guidance the first half is what goes on.
    const int64_t prompt = i < shape_.images ? 1 : 0;
    std::copy_n(in_.prompts.hidden.data() + prompt * text, text, rows.row(rows.b.context, i).data());
    if (pooled > 0) {
      std::copy_n(in_.prompts.pooled.data() + prompt * pooled, pooled, rows.row(rows.b.pooled, i).data());
      fill_sizes(rows.row(rows.b.sizes, i), prompt == 1);
    }
    if (!rows.b.guidance.empty()) embed_guidance(in_.guidance, rows.row(rows.b.guidance, i));
  }
  if (!rows.b.extra.empty()) fill_extra(rows.part(rows.b.extra));
}

// SDXL: original size, crop, target size; the refiner's fifth number is an aesthetic score.
void Denoising::fill_sizes(std::span<float> sizes, bool is_positive) const {
  const auto height = static_cast<float>(shape_.height * model_.vae().config().factor());
  const auto width = static_cast<float>(shape_.width * model_.vae().config().factor());
  const float six[] = {height, width, 0, 0, height, width};
  const float five[] = {height, width, 0, 0, is_positive ? 6.0f : 2.5f};
  for (size_t i = 0; i < sizes.size(); ++i) sizes[i] = sizes.size() == 5 ? five[i] : six[i % 6];
}

// An inpainting UNet sees the mask and the picture without what it hides.
void Denoising::fill_extra(std::span<float> extra) const {
  const int64_t channels = extra_channels(model_), area = shape_.height * shape_.width;
  for (int64_t i = 0; i < rows(); ++i) {
    const std::span<const float> masked = of_image(in_.masked_picture, i % shape_.images);
    for (int64_t p = 0; p < area; ++p) {
      float* to = extra.data() + (i * area + p) * channels;
      to[0] = in_.mask[static_cast<size_t>(p)];
      std::copy_n(masked.data() + p * (channels - 1), channels - 1, to + 1);
    }
  }
}

// What the UNet said, and with it the step.
Status Denoising::take(const Rows& rows, ModelCompute& compute) {
  const std::span<float> output = rows.part(rows.b.output);
  guide(output);
  const std::span<const float> of_images = output.first(static_cast<size_t>(shape_.images * picture_));
  const diffusion::SamplingPlan& plan = *in_.plan;
  if (in_.previews != nullptr) {
    const PreviewShape shape{shape_.images, {shape_.height, shape_.width, model_.latent_channels()}};
    Status shown = in_.previews->show(plan, call_, shape, latents_, of_images, compute, in_.stop);
    if (!shown.ok()) return shown;
  }
  const auto draw = [&](int64_t image, std::span<float> into) {
    draw_latent_noise(in_.generators[static_cast<size_t>(image)], model_.latent_channels(), rows.b.chw,
                      of_image(into, image));
  };
  for (int64_t i = 0; i < shape_.images; ++i) {
    if (plan.noises(call_) > 0) draw(i, rows.b.noise_a);
    if (plan.noises(call_) > 1) draw(i, rows.b.noise_b);
  }
  const auto history = static_cast<size_t>(plan.history_slots() * shape_.images * picture_);
  plan.advance(call_, of_images, {rows.b.noise_a, rows.b.noise_b}, in_.history.first(history), latents_);
  ++call_;
  keep_outside_of_mask(rows.b.chw);
  if (in_.progress) in_.progress(call_, plan.n_calls());
  return {};
}

void Denoising::guide(std::span<float> output) const {
  if (!guides()) return;
  for (int64_t i = 0; i < shape_.images; ++i) {
    const std::span<float> with = of_image(output, i), without = of_image(output, shape_.images + i);
    diffusion::guide(in_.guidance, in_.guidance_rescale, with, without, with);
  }
}

// A UNet that was not made for inpainting paints everything: outside of the mask the picture comes back each time.
void Denoising::keep_outside_of_mask(std::span<float> noised) {
  if (in_.mask.empty() || in_.picture.empty() || extra_channels(model_) > 0) return;
  const int64_t channels = model_.latent_channels();
  for (int64_t i = 0; i < shape_.images; ++i) {
    in_.plan->noised_picture(call_, of_image(in_.first_noise, i), of_image(in_.picture, i), noised);
    const std::span<float> latents = of_image(latents_, i);
    for (size_t k = 0; k < latents.size(); ++k) {
      const float mask = in_.mask[k / static_cast<size_t>(channels)];
      latents[k] = mask * latents[k] + (1 - mask) * noised[k];
    }
  }
}

void UNetCalls::measure(Scratch& scratch, const DiffusionModel& model, const DenoisingShape& shape,
                        int64_t requests, uint32_t n_threads) {
  // A smaller call may need a little more room than a larger one: its buffers fall into place differently.
  for (int64_t tokens = model.chunk_length(); tokens <= shape.n_context; tokens += model.chunk_length()) {
    for (int64_t rows = shape.images; rows <= 2 * shape.images * requests; rows += shape.images) {
      DenoisingShape actual = shape;
      actual.n_context = tokens;
      if (rows > 2 * shape.images) actual.controls = 0;
      const Scratch::Mark mark = scratch.mark();
      place(scratch, model, actual, rows, n_threads);
      if (shape.watched == DenoisingShape::Watched::kByPreviews) {
        measure_previews(scratch, model, {shape.images, {shape.height, shape.width, model.latent_channels()}},
                         n_threads);
      }
      scratch.release(mark);
    }
  }
}

void UNetCalls::advance(std::span<Denoising* const> denoisings) {
  Scratch& scratch = compute_.scratch();
  std::vector<Denoising*> left;
  for (Denoising* denoising : denoisings) {
    if (!denoising->finished() && denoising->stops())
      denoising->status_ = {StatusCode::kCancelled, "cancelled"};
    if (!denoising->finished()) left.push_back(denoising);
  }
  while (!left.empty()) {
    const auto apart = std::stable_partition(left.begin() + 1, left.end(), [&](const Denoising* other) {
      return left.front()->shares_calls_with(*other);
    });
    const std::span<Denoising* const> together(left.begin(), apart);
    const Scratch::Mark mark = scratch.mark();
    if (Status status = call(together); !status.ok()) {
      for (Denoising* denoising : together) denoising->status_ = status;
    }
    scratch.release(mark);
    left.erase(left.begin(), apart);
  }
}

Status UNetCalls::call(std::span<Denoising* const> together) {
  // A call goes on while anybody wants it.
  std::span<Denoising* const> asked = together;
  const StopRequest stop{[](void* context) {
                           const auto& all = *static_cast<std::span<Denoising* const>*>(context);
                           return std::ranges::all_of(all, [](const Denoising* one) { return one->stops(); });
                         },
                         &asked};
  if (!use_) {
    Result<ModelStages::Use> use = compute_.enter(ModelStage::kUNet, stop);
    if (!use.ok()) return use.status();
    use_.emplace(*std::move(use));
  }
  const Denoising& any = *together.front();
  DenoisingShape shape = any.shape_;
  shape.n_context = any.in_.prompts.n_tokens;
  shape.controls = static_cast<int64_t>(any.in_.controls.list.size());
  int64_t n = 0;
  for (const Denoising* denoising : together) n += denoising->rows();
  Buffers b = place(compute_.scratch(), model_, shape, n, compute_.executor().max_threads());
  if (!compute_.scratch().fits())
    return Status(StatusCode::kOutOfMemory, "a call of the UNet is beyond what was planned");
  std::vector<Denoising::Rows> rows;
  rows.reserve(together.size());
  int64_t first = 0;
  for (const Denoising* denoising : together) {
    denoising->fill(rows.emplace_back(b, first, denoising->rows(), n));
    first += denoising->rows();
  }

  const UNetConfig& config = model_.unet().config();
  const int64_t h = shape.height, w = shape.width;
  const auto view = [](std::span<float> values, std::initializer_list<int64_t> extents) {
    return values.empty() ? TensorView() : TensorView::contiguous(values.data(), DType::kF32, extents);
  };
  UNetInputs inputs{.sample = view(b.input, {n, h, w, model_.latent_channels()}),
                    .extra = view(b.extra, {n, h, w, extra_channels(model_)}),
                    .timesteps = b.timesteps,
                    .context = view(b.context, {n, shape.n_context, config.context_width}),
                    .pooled = view(b.pooled, {n, model_.pooled_width()}),
                    .sizes = view(b.sizes, {n, n_sizes(model_)}),
                    .guidance = view(b.guidance, {n, config.guidance_width})};
  if (!any.in_.controls.empty()) {
    Status status =
        b.control.apply(compute_, any.in_.controls, *any.in_.plan, any.call_, inputs, b.workspace, stop);
    if (!status.ok()) return status;
  }
  const TensorView output = view(b.output, {n, h, w, model_.latent_channels()});
  Status status = compute_.predict(inputs, output, b.workspace, stop);
  if (!status.ok()) return status;
  for (size_t i = 0; i < together.size(); ++i) {
    together[i]->status_ = together[i]->take(rows[i], compute_);
  }
  return {};
}

Status denoise(ModelCompute& compute, const DenoisingShape& shape, DenoisingInputs inputs,
               std::span<float> latents) {
  Denoising denoising(compute.model(), shape, std::move(inputs), latents);
  UNetCalls calls(compute);
  while (!denoising.finished()) calls.advance(std::array{&denoising});
  return denoising.status();
}

void draw_first_noise(std::span<diffusion::NoiseGenerator> generators, int64_t channels, Scratch& scratch,
                      std::span<float> noise) {
  const size_t one = noise.size() / generators.size();
  const Scratch::Mark mark = scratch.mark();
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
