/// A test of nodes that take or give pictures: made from numbers, and read back.
#ifndef WEFT_PLUGINS_IMAGE_TESTING_PICTURE_VALUES_H
#define WEFT_PLUGINS_IMAGE_TESTING_PICTURE_VALUES_H

#include <cstring>
#include <vector>

#include "modalities/image/image.h"
#include "pipeline/memory/buffer.h"
#include "plugins/testing/node_test.h"

namespace weft::image::testing {

class NodeTest : public weft::testing::NodeTest {
 protected:
  /// values: count x height x width x channels of T, uint8_t or float.
  template <typename T>
  Value picture(const ImageShape& shape, const std::vector<T>& values,
                const char* attributes = "{\"color_space\":\"srgb\"}") {
    EXPECT_EQ(shape.elements(), static_cast<int64_t>(values.size()));
    auto buffer = allocate_buffer(host_.cpu_pool(), values.size() * sizeof(T), 0, nullptr, "test");
    EXPECT_TRUE(buffer.ok());
    std::memcpy(buffer->data(), values.data(), values.size() * sizeof(T));
    constexpr weft_dtype kDtype = sizeof(T) == 1 ? WEFT_DTYPE_U8 : WEFT_DTYPE_F32;
    const weft_tensor view = sdk::contiguous_tensor(buffer->data(), kDtype, shape.extents());
    weft_value* value = nullptr;
    EXPECT_EQ(value_api()->make_tensor(buffer->get(), &view, "image", attributes, &value), WEFT_OK);
    return Value::adopt(value);
  }
  /// 0, 1, 2 ... modulo `modulus`, so that every pixel can be told from its neighbours.
  Value counting(const ImageShape& shape, int modulus = 251) {
    std::vector<uint8_t> values(static_cast<size_t>(shape.elements()));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<uint8_t>(i % static_cast<size_t>(modulus));
    return picture(shape, values);
  }

  static ImageView view(const Value& value) {
    weft_tensor tensor{};
    tensor.struct_size = sizeof tensor;
    EXPECT_EQ(value_api()->get_tensor(value.get(), &tensor, nullptr, nullptr), WEFT_OK);
    Result<ImageView> image = image_view(tensor);
    EXPECT_TRUE(image.ok());
    return image.ok() ? *image : ImageView{};
  }
  template <typename T>
  static std::vector<T> pixels(const Value& value) {
    const ImageView image = view(value);
    std::vector<T> values;
    for (int64_t i = 0; i < image.shape.count; ++i) {
      for (int64_t y = 0; y < image.shape.height; ++y) {
        const T* row = image.row<T>(i, y);
        values.insert(values.end(), row, row + image.shape.width * image.shape.channels);
      }
    }
    return values;
  }
};

}  // namespace weft::image::testing
#endif
