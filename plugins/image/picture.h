/// What the nodes for pictures share: pictures in and out of requests, bounds of pictures, loops over rows.
///
/// Thread safety: as the request.
///
///   Result<Picture> picture = input_picture(request, 0, "image");
///   if (!picture.ok()) return picture.status();
///   Result<NewPicture> made = new_picture(request, execution, picture->type(), "flipped");
///   ...
///   return request.set_output(0, finish(request, *made));
#ifndef WEFT_PLUGINS_IMAGE_PICTURE_H
#define WEFT_PLUGINS_IMAGE_PICTURE_H

#include <weft/sdk/plugin.h>

#include <atomic>
#include <new>
#include <vector>

#include "modalities/image/image.h"
#include "modalities/image/picture_value.h"

namespace weft::image {

struct NewPicture {
  sdk::NewTensor tensor;
  ImageView view;
  ColorSpace color_space = ColorSpace::kSrgb;
};

/// The picture at an input. Precondition: something is connected. Errors: those of picture_of.
Result<Picture> input_picture(const sdk::Request& request, size_t port, const char* name);

/// Memory for a picture that is being made. tag names it in traces. Errors: kOutOfRange for a side beyond kMaxImageSide
/// or below 1, kOutOfMemory.
Result<NewPicture> new_picture(const sdk::Request& request, const sdk::Execution& execution,
                               const PictureType& type, const char* tag);
/// The value, for set_output.
Result<sdk::Value> finish(const sdk::Request& request, const NewPicture& picture);

/// Bounds of a picture; extents may be WEFT_UNBOUNDED, dtype 0 for any.
weft_spec picture_spec(weft_dtype dtype, int64_t count, int64_t height, int64_t width, int64_t channels);
/// Those of an input, as a picture: rank 4 even if nothing is known.
weft_spec picture_spec(const weft_spec& input);
/// A bound that is larger by `more`, and never beyond kMaxImageSide.
int64_t grown(int64_t bound, int64_t more);
/// The smaller of a bound and `limit`.
int64_t limited(int64_t bound, int64_t limit);

/// Calls body(image, y) for every row of every picture, on the host's threads. body may allocate and throws nothing else.
/// Looks at cancelled() at least every quarter of a million values. Errors: kCancelled, kOutOfMemory.
template <typename Body>
Status for_each_row(const sdk::Request& request, const ImageShape& shape, Body&& body) {
  const int64_t row_values = shape.width * shape.channels;
  const int64_t rows_per_look = 1 + (int64_t{1} << 18) / row_values;
  std::atomic<bool> stopped{false}, no_memory{false};
  const auto stop = [&] { stopped.store(true, std::memory_order_relaxed); };
  request.host().executor().parallel_for(
      shape.count * shape.height, rows_per_look, [&](int64_t begin, int64_t end) {
        try {
          for (int64_t row = begin; row < end; ++row) {
            if ((row - begin) % rows_per_look == 0) {
              if (stopped.load(std::memory_order_relaxed)) return;
              if (request.cancelled()) return stop();
            }
            body(row / shape.height, row % shape.height);
          }
        } catch (const std::bad_alloc&) {  // nothing may leave a body of the executor
          no_memory = true;
          stop();
        }
      });
  if (no_memory) return {StatusCode::kOutOfMemory, "out of memory"};
  return stopped ? sdk::Request::cancelled_status() : Status();
}

}  // namespace weft::image
#endif
