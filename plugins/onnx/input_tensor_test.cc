// What values become for a model's inputs: numbers, lists, pictures; and which shapes are refused.
#include "plugins/onnx/input_tensor.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "plugins/onnx/testing/onnx_nodes.h"

namespace weft::onnx {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;

class InputTensors : public testing::OnnxNodesTest {
 protected:
  static NetworkPort port(weft_dtype dtype, std::vector<int64_t> extents) {
    NetworkPort port{"x", "x", dtype, {}, true};
    for (const int64_t extent : extents) port.dimensions.push_back({extent, ""});
    return port;
  }
  Result<InputTensor> make(const Value& value, const NetworkPort& to, const PictureValues& values = {}) {
    value_ = value;
    return make_input(sdk::Host(host_.table()), sdk::Value::share(value_api(), value_.get()), to, values,
                      nullptr);
  }
  template <typename T>
  std::vector<T> numbers(const Value& value, const NetworkPort& to, const PictureValues& values = {}) {
    const Result<InputTensor> made = make(value, to, values);
    if (!made.ok()) throw std::runtime_error(to_string(made.error()));
    EXPECT_EQ(static_cast<int64_t>(sizeof(T)), sdk::element_size_bytes(made->view.dtype));
    const T* data = static_cast<const T*>(made->view.data);
    return {data, data + sdk::element_count(made->view)};
  }
  std::string refusal(const Value& value, const NetworkPort& to, StatusCode code) {
    const Result<InputTensor> made = make(value, to);
    EXPECT_EQ(made.code(), code);
    return made.ok() ? "" : to_string(made.error());
  }

  Value value_;
};

TEST_F(InputTensors, ANumberFillsAnInputOfAnyNumberType) {
  EXPECT_THAT(numbers<int64_t>(Value::integer(INT32_MIN), port(WEFT_DTYPE_I64, {})), ElementsAre(INT32_MIN));
  EXPECT_THAT(numbers<float>(Value::integer(3), port(WEFT_DTYPE_F32, {1})), ElementsAre(3));
  EXPECT_THAT(numbers<double>(Value::real(0.1), port(WEFT_DTYPE_F64, {1, 1})), ElementsAre(0.1));
  EXPECT_THAT(numbers<uint16_t>(Value::real(1.5), port(WEFT_DTYPE_F16, {})), ElementsAre(0x3E00));
  EXPECT_THAT(numbers<uint16_t>(Value::real(1.5), port(WEFT_DTYPE_BF16, {})), ElementsAre(0x3FC0));
  EXPECT_THAT(numbers<uint8_t>(Value::boolean(true), port(WEFT_DTYPE_BOOL, {})), ElementsAre(1));
  EXPECT_THAT(refusal(Value::integer(256), port(WEFT_DTYPE_U8, {}), StatusCode::kOutOfRange),
              AllOf(HasSubstr("input 'x'"), HasSubstr("expected u8"), HasSubstr("got 256")));
  EXPECT_THAT(refusal(Value::integer(1ll << 31), port(WEFT_DTYPE_I64, {}), StatusCode::kOutOfRange),
              AllOf(HasSubstr("32 bits"), HasSubstr("got 2147483648")));
  EXPECT_THAT(refusal(Value::real(0.5), port(WEFT_DTYPE_I32, {}), StatusCode::kOutOfRange),
              HasSubstr("expected i32"));
  EXPECT_THAT(refusal(Value::integer(2), port(WEFT_DTYPE_BOOL, {}), StatusCode::kOutOfRange),
              HasSubstr("expected bool"));
}

TEST_F(InputTensors, AListFillsTheLastDimension) {
  const Value list = *Value::list({Value::integer(1), Value::integer(2), Value::integer(-3)}, "int");
  const Result<InputTensor> made = make(list, port(WEFT_DTYPE_I64, {-1, -1}));
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(to_string(made->view), "i64 [1, 3]");
  EXPECT_THAT(numbers<int32_t>(list, port(WEFT_DTYPE_I32, {-1})), ElementsAre(1, 2, -3));
  EXPECT_THAT(refusal(list, port(WEFT_DTYPE_I32, {}), StatusCode::kInvalidShape),
              HasSubstr("cannot be a scalar"));
  const Value texts = *Value::list({*Value::text("a")}, "text");
  EXPECT_THAT(refusal(texts, port(WEFT_DTYPE_I32, {-1}), StatusCode::kInvalidArgument),
              HasSubstr("got list<text>"));
}

TEST_F(InputTensors, APictureComesInTheModelsOrderAndRange) {
  const Value pixels = picture<uint8_t>({1, 1, 2, 3}, {0, 51, 102, 153, 204, 255});
  EXPECT_THAT(numbers<float>(pixels, port(WEFT_DTYPE_F32, {-1, -1, -1, 3})),
              ElementsAre(0, 0.2f, 0.4f, 0.6f, 0.8f, 1));
  EXPECT_THAT(numbers<float>(pixels, port(WEFT_DTYPE_F32, {1, 3, 1, 2})),
              ElementsAre(0, 0.6f, 0.2f, 0.8f, 0.4f, 1));
  EXPECT_THAT(
      numbers<uint8_t>(pixels, port(WEFT_DTYPE_U8, {1, -1, -1, 3}), {255, {0, 0, 0}, {1, 1, 1}, false}),
      ElementsAre(0, 51, 102, 153, 204, 255));
  EXPECT_THAT(numbers<float>(pixels, port(WEFT_DTYPE_F32, {1, 1, 2, 3}), {255, {1, 2, 3}, {1, 2, 10}, true}),
              ElementsAre(101, FloatEq(24.5f), FloatEq(-0.3f), 254, 101, FloatEq(15)));
  const Value gray = picture<uint8_t>({1, 1, 1, 1}, {51});
  EXPECT_THAT(numbers<float>(gray, port(WEFT_DTYPE_F32, {1, 3, -1, -1})), ElementsAre(0.2f, 0.2f, 0.2f));
  EXPECT_THAT(refusal(pixels, port(WEFT_DTYPE_F32, {1, 4, -1, -1}), StatusCode::kInvalidArgument),
              HasSubstr("takes no pictures"));
  EXPECT_THAT(refusal(pixels, port(WEFT_DTYPE_I64, {1, 3, -1, -1}), StatusCode::kInvalidArgument),
              HasSubstr("takes no pictures"));
  // Both orders at once: a model that takes them cannot be told pictures.
  EXPECT_THAT(refusal(pixels, port(WEFT_DTYPE_F32, {1, 3, -1, 3}), StatusCode::kInvalidArgument),
              HasSubstr("takes no pictures"));
}

TEST_F(InputTensors, ATensorIsUsedWhereItLies) {
  const Value tensor = floats({2, 2}, {1, 2, 3, 4});
  const Result<InputTensor> made = make(tensor, port(WEFT_DTYPE_F32, {-1, 2}));
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->view.data, view_of(tensor).data);
}

}  // namespace
}  // namespace weft::onnx
