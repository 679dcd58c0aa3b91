#include "modalities/image/picture_value.h"

#include <string>

namespace weft {

Result<Picture> picture_of(const sdk::Value& value) {
  if (value.type() != "image") {
    return Status(StatusCode::kInvalidArgument, "this is no picture")
        .expected("image")
        .got(std::string(value.type()));
  }
  Result<ImageView> view = image_view(value.as_tensor());
  if (!view.ok()) return view.status();
  Result<ColorSpace> color_space = color_space_of(value.attributes());
  if (!color_space.ok()) return color_space.status();
  return Picture{value, *view, *color_space};
}

Status append_pictures(const sdk::Value& value, std::string_view port, std::vector<Picture>* pictures) {
  if (!value) return {};
  const bool is_list = value.kind() == WEFT_KIND_LIST;
  for (size_t i = 0; i < (is_list ? value.size() : 1); ++i) {
    Result<Picture> picture = picture_of(is_list ? value.item(i) : value);
    if (!picture.ok())
      return picture.status().at("port '" + std::string(port) + "'" +
                                 (is_list ? ", element " + std::to_string(i) : ""));
    pictures->push_back(*std::move(picture));
  }
  return {};
}

}  // namespace weft
