#include "plugins/image/second_pass.h"

#include "plugins/image/latent_codec.h"

namespace weft::image {
namespace {

ImageShape picture_of(const DiffusionModel& model, const LatentExtent& latents) {
  const int64_t factor = model.vae().config().factor();
  return {1, latents.height * factor, latents.width * factor, model.vae().config().image_channels};
}

struct PixelScratch {
  std::span<uint8_t> small, large;
  std::span<float> rows;
};

PixelScratch place(Scratch& scratch, const ImageShape& small, const ImageShape& large,
                   const Resizer& resizer) {
  return {scratch.take<uint8_t>(small.elements()), scratch.take<uint8_t>(large.elements()),
          scratch.take<float>(static_cast<int64_t>(resizer.scratch_values()))};
}

Resizer resizer_for(const ImageShape& small, const ImageShape& large, ResizeFilter filter) {
  return {small, whole_of(small), large.width, large.height, filter};
}

Status enlarge_pixels(ModelCompute& compute, const SecondPass& pass, std::span<const float> source,
                      const LatentExtent& from, std::span<float> target, const LatentExtent& to, int64_t tile,
                      const StopRequest& stop) {
  const ImageShape small = picture_of(compute.model(), from), large = picture_of(compute.model(), to);
  const Resizer resizer = resizer_for(small, large, pass.filter);
  const PixelScratch s = place(compute.scratch(), small, large, resizer);
  Status status = decode_picture(compute, source, from.height, from.width, tile, s.small.data(), stop);
  if (!status.ok()) return status;
  const ImageView enlarged = packed_image_view(s.large.data(), WEFT_DTYPE_U8, large);
  resizer.run(packed_image_view(s.small.data(), WEFT_DTYPE_U8, small), enlarged, 0, 0, large.height,
              s.rows.data(), [&] { return stop.requested != nullptr && stop.requested(stop.context); });
  return encode_picture(compute, enlarged, 0, nullptr, {}, tile, target, stop);
}

}  // namespace

Result<std::optional<SecondPass>> second_pass(const DiffusionModel& model, const sdk::Parameters& parameters,
                                              const PictureSize& first) {
  const PictureSize wanted{parameters.get_int("hires_height"), parameters.get_int("hires_width")};
  const Result<PictureSize> size = enlarged_size(model, first, wanted, parameters.get_float("hires_scale"));
  if (!size.ok()) return size.status();
  if (size->height == first.height && size->width == first.width) return std::optional<SecondPass>();
  SecondPass pass;
  pass.way =
      parameters.get_text("hires_enlarge") == "pixels" ? SecondPass::Way::kPixels : SecondPass::Way::kLatent;
  pass.size = *size;
  pass.filter = filter_named(parameters.get_text("hires_filter"));
  const int64_t steps = parameters.get_int("hires_steps");
  pass.steps = steps > 0 ? steps : parameters.get_int("steps");
  return std::optional(pass);
}

void measure_enlarging(Scratch& scratch, const DiffusionModel& model, const SecondPass& pass,
                       const LatentExtent& from, const LatentExtent& to, int64_t tile, uint32_t n_threads) {
  const Scratch::Mark mark = scratch.mark();
  if (pass.way == SecondPass::Way::kLatent) {
    measure_latent_resize(scratch, from, to, pass.filter);
  } else {
    const ImageShape small = picture_of(model, from), large = picture_of(model, to);
    place(scratch, small, large, resizer_for(small, large, pass.filter));
    measure_decoding(scratch, model, from.height, from.width, tile, n_threads);
    measure_encoding_picture(scratch, model, to.height, to.width, tile, n_threads);
  }
  scratch.release(mark);
}

Status enlarge(ModelCompute& compute, const SecondPass& pass, std::span<const float> source,
               const LatentExtent& from, std::span<float> target, const LatentExtent& to, int64_t tile,
               const StopRequest& stop) {
  Scratch& scratch = compute.scratch();
  const Scratch::Mark mark = scratch.mark();
  Status status;
  if (pass.way == SecondPass::Way::kLatent) resize_latents(source, from, target, to, pass.filter, scratch);
  else status = enlarge_pixels(compute, pass, source, from, target, to, tile, stop);
  scratch.release(mark);
  return status;
}

}  // namespace weft::image
