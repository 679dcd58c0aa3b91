// Any bytes as a picture file: an error with a message, or pixels that can be written and read again.
#include <cstdlib>
#include <utility>
#include <vector>

#include "modalities/image/files/image_file.h"
#include "modalities/image/files/record.h"

namespace {

using namespace weft;

void check(const Status& status) {
  if (!status.ok() && status.error().message.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  check(read_image_record(file).status());
  ImageLimits limits;
  limits.max_side = 512;
  const Result<ImageHeader> header = read_image_header(file, limits);
  check(header.status());
  if (!header.ok()) return 0;
  if (header->width > limits.max_side || header->height > limits.max_side) std::abort();
  std::vector<float> pixels(static_cast<size_t>(header->shape().elements()));
  const ImageView view = packed_image_view(pixels.data(), WEFT_DTYPE_F32, header->shape());
  Result<ColorTransform> colors = read_color_transform(file, *header);
  check(colors.status());
  const Status decoded =
      decode_image(file, *header, view, {}, colors.ok() ? std::move(*colors) : ColorTransform());
  check(decoded);
  if (!decoded.ok()) return 0;
  const Result<std::string> again = encode_image(view, 0, {}, {});
  if (!again.ok() || !read_image_header(std::as_bytes(std::span(*again)), limits).ok()) std::abort();
  return 0;
}
