/// Pictures out of values: what arrives at a port of type "image" or "list<image>".
///
/// Ownership: a Picture holds the value that its view points into. Thread safety: as the value.
///
///   std::vector<Picture> pictures;
///   Status status = append_pictures(request.input(1), "images", &pictures);
#ifndef WEFT_MODALITIES_IMAGE_PICTURE_VALUE_H
#define WEFT_MODALITIES_IMAGE_PICTURE_VALUE_H

#include <weft/sdk/status.h>
#include <weft/sdk/value.h>

#include <string_view>
#include <vector>

#include "modalities/image/image.h"

namespace weft {

/// All that a picture is besides its pixels.
struct PictureType {
  ImageShape shape;
  weft_dtype dtype = WEFT_DTYPE_U8;
  ColorSpace color_space = ColorSpace::kSrgb;
};

struct Picture {
  sdk::Value value;
  ImageView view;
  ColorSpace color_space = ColorSpace::kSrgb;

  const ImageShape& shape() const { return view.shape; }
  PictureType type() const { return {view.shape, view.dtype, color_space}; }
};

/// Errors: kInvalidArgument (no picture), those of image_view and color_space_of.
Result<Picture> picture_of(const sdk::Value& value);

/// The picture of a value, or those of a list, behind what is there; none if the value is null. port: named in errors.
Status append_pictures(const sdk::Value& value, std::string_view port, std::vector<Picture>* pictures);

}  // namespace weft
#endif
