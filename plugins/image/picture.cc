#include "plugins/image/picture.h"

#include <algorithm>

namespace weft::image {

Result<Picture> input_picture(const sdk::Request& request, size_t port, const char* name) {
  Result<Picture> picture = picture_of(request.input(port));
  if (!picture.ok()) return picture.status().at(std::string("port '") + name + "'");
  return picture;
}

Result<NewPicture> new_picture(const sdk::Request& request, const sdk::Execution& execution,
                               const PictureType& type, const char* tag) {
  const ImageShape& shape = type.shape;
  if (shape.height < 1 || shape.width < 1 || shape.height > kMaxImageSide || shape.width > kMaxImageSide) {
    return Status(StatusCode::kOutOfRange, "a picture of that size cannot be made")
        .expected("sides of 1 to " + std::to_string(kMaxImageSide) + " pixels")
        .got(std::to_string(shape.width) + " x " + std::to_string(shape.height));
  }
  Result<sdk::NewTensor> tensor =
      request.host().allocate_tensor(type.dtype, shape.extents(), execution.stream(), tag);
  if (!tensor.ok()) return tensor.status();
  const ImageView view = packed_image_view(tensor->view.data, type.dtype, shape);
  return NewPicture{*std::move(tensor), view, type.color_space};
}

Result<sdk::Value> finish(const sdk::Request& request, const NewPicture& picture) {
  return request.host().make_tensor(picture.tensor.buffer, picture.tensor.view, "image",
                                    image_attributes(picture.color_space));
}

weft_spec picture_spec(weft_dtype dtype, int64_t count, int64_t height, int64_t width, int64_t channels) {
  const int64_t shape[] = {count, height, width, channels};
  return sdk::tensor_spec(dtype, shape);
}

weft_spec picture_spec(const weft_spec& input) {
  if (input.kind == WEFT_KIND_TENSOR && input.rank == 4) return input;
  return picture_spec(0, WEFT_UNBOUNDED, WEFT_UNBOUNDED, WEFT_UNBOUNDED, 4);
}

int64_t grown(int64_t bound, int64_t more) {
  return bound == WEFT_UNBOUNDED ? bound : std::min(bound + more, kMaxImageSide);
}

int64_t limited(int64_t bound, int64_t limit) {
  return bound == WEFT_UNBOUNDED ? limit : std::min(bound, limit);
}

}  // namespace weft::image
