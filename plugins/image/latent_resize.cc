#include "plugins/image/latent_resize.h"

namespace weft::image {
namespace {

// As pictures of one channel, one after another.
ImageShape planes_of(const LatentExtent& extent) { return {extent.channels, extent.height, extent.width, 1}; }

Resizer resizer_for(const LatentExtent& from, const LatentExtent& to, ResizeFilter filter) {
  const ImageShape shape = planes_of(from);
  return {shape, whole_of(shape), to.width, to.height, filter};
}

struct ResizeScratch {
  std::span<float> from, to, rows;
};
ResizeScratch place(Scratch& scratch, const LatentExtent& from, const LatentExtent& to,
                    const Resizer& resizer) {
  return {scratch.take<float>(from.count()), scratch.take<float>(to.count()),
          scratch.take<float>(static_cast<int64_t>(resizer.scratch_values()))};
}

}  // namespace

void measure_latent_resize(Scratch& scratch, const LatentExtent& from, const LatentExtent& to,
                           ResizeFilter filter) {
  const Scratch::Mark mark = scratch.mark();
  place(scratch, from, to, resizer_for(from, to, filter));
  scratch.release(mark);
}

void resize_latents(std::span<const float> source, const LatentExtent& from, std::span<float> target,
                    const LatentExtent& to, ResizeFilter filter, Scratch& scratch) {
  const Scratch::Mark mark = scratch.mark();
  const Resizer resizer = resizer_for(from, to, filter);
  const ResizeScratch s = place(scratch, from, to, resizer);
  const auto channels = static_cast<size_t>(from.channels);
  const size_t from_area = source.size() / channels, to_area = target.size() / channels;
  for (size_t i = 0; i < source.size(); ++i) s.from[i % channels * from_area + i / channels] = source[i];
  const ImageView planes = packed_image_view(s.from.data(), WEFT_DTYPE_F32, planes_of(from));
  const ImageView resized = packed_image_view(s.to.data(), WEFT_DTYPE_F32, planes_of(to));
  for (int64_t c = 0; c < from.channels; ++c) {
    resizer.run(planes, resized, c, 0, to.height, s.rows.data(), [] { return false; });
  }
  for (size_t i = 0; i < target.size(); ++i) target[i] = s.to[i % channels * to_area + i / channels];
  scratch.release(mark);
}

}  // namespace weft::image
