#include "pipeline/memory/value.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "pipeline/memory/buffer.h"
#include "pipeline/memory/tensor_layout.h"

namespace weft {
namespace {

TEST(Value, HoldsScalarsByKindAndType) {
  const weft_value_api& api = *value_api();
  const Value truth = Value::boolean(7), number = Value::integer(-5), real = Value::real(2.5);
  EXPECT_EQ(truth.kind(), WEFT_KIND_BOOL);
  EXPECT_EQ(api.get_bool(truth.get()), 1);
  EXPECT_EQ(number.type(), "int");
  EXPECT_EQ(api.get_int(number.get()), -5);
  EXPECT_EQ(api.get_float(number.get()), -5.0);
  EXPECT_EQ(real.kind(), WEFT_KIND_FLOAT);
  EXPECT_EQ(api.get_float(real.get()), 2.5);
  EXPECT_EQ(api.get_int(real.get()), 0) << "a wrong kind reads as zero";
}

TEST(Value, TextMustBeUtf8AndBytesNeedNot) {
  EXPECT_TRUE(Value::text("gr\xc3\xbc\xc3\x9f").ok());
  const auto bad = Value::text("ab\xff");
  ASSERT_EQ(bad.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(to_string(bad.error()).find("byte 2"), std::string::npos);
  EXPECT_TRUE(Value::bytes("ab\xff", "bytes").ok());
  EXPECT_EQ(Value::bytes("x", "image").code(), StatusCode::kInvalidArgument);
}

TEST(Value, BytesHaveTheMediaTypeOfTheirTypeUnlessGiven) {
  uint64_t size = 0;
  const char* media_type = nullptr;
  const auto json = Value::bytes("{}", "json"), png = Value::bytes("abc", "bytes", "image/png");
  value_api()->get_bytes(json->get(), &size, &media_type);
  EXPECT_STREQ(media_type, "application/json");
  EXPECT_EQ(std::memcmp(value_api()->get_bytes(png->get(), &size, &media_type), "abc", 3), 0);
  EXPECT_EQ(size, 3u);
  EXPECT_STREQ(media_type, "image/png");
}

struct Utf8Case {
  std::string text;
  size_t invalid_at;
};
class Utf8 : public testing::TestWithParam<Utf8Case> {};
TEST_P(Utf8, FindsTheFirstInvalidByte) {
  EXPECT_EQ(find_invalid_utf8(GetParam().text), GetParam().invalid_at);
}
INSTANTIATE_TEST_SUITE_P(Sequences, Utf8,
                         testing::Values(Utf8Case{"", 0}, Utf8Case{std::string(100, 'a'), 100},
                                         Utf8Case{"12345678\xc3\xa9", 10}, Utf8Case{"\xf0\x9f\x98\x80", 4},
                                         Utf8Case{"\xc0\x80", 0} /* overlong */, Utf8Case{"\xe0\x80\x80", 0},
                                         Utf8Case{"\xed\xa0\x80", 0} /* surrogate */,
                                         Utf8Case{"\xf4\x90\x80\x80", 0} /* above U+10FFFF */,
                                         Utf8Case{"ab\xe2\x82", 2} /* cut */, Utf8Case{"\x80", 0},
                                         Utf8Case{std::string("a\0b", 3), 3}, Utf8Case{"\xef\xbf\xbf", 3},
                                         Utf8Case{"\xf8\x88\x80\x80\x80", 0}));

TEST(Value, TensorSharesItsBuffer) {
  CpuPool pool;
  MemoryService memory({&pool});
  {
    auto buffer = allocate_buffer(*memory.pool({WEFT_DEVICE_CPU, 0}), 24, 0, nullptr, "t");
    const weft_tensor view = row_major(buffer->data(), WEFT_DTYPE_F32, std::vector<int64_t>{2, 3});
    weft_value* handle = nullptr;
    ASSERT_EQ(value_api()->make_tensor(buffer->get(), &view, "image", R"({"color_space":"srgb"})", &handle),
              WEFT_OK);
    Value value = Value::adopt(handle);
    *buffer = Buffer();  // the value keeps it
    weft_tensor got{};
    got.struct_size = sizeof(got);
    weft_buffer* shared = nullptr;
    const char* attributes = nullptr;
    ASSERT_EQ(value_api()->get_tensor(value.get(), &got, &shared, &attributes), WEFT_OK);
    EXPECT_EQ(got.data, view.data);
    EXPECT_EQ(got.strides[0], 3);
    EXPECT_STREQ(attributes, R"({"color_space":"srgb"})");
    EXPECT_EQ(value.content_bytes(), 24u);
    EXPECT_EQ(memory.statistics({WEFT_DEVICE_CPU, 0}).live_bytes, 24u);
  }
  EXPECT_EQ(memory.statistics({WEFT_DEVICE_CPU, 0}).live_bytes, 0u);
}

TEST(Value, AnOlderCallersTensorStructIsNotOverrun) {
  CpuPool pool;
  auto buffer = allocate_buffer(pool, 4, 0, nullptr, "t");
  const weft_tensor view = row_major(buffer->data(), WEFT_DTYPE_F32, std::vector<int64_t>{1});
  weft_value* handle = nullptr;
  ASSERT_EQ(value_api()->make_tensor(buffer->get(), &view, "tensor", nullptr, &handle), WEFT_OK);
  const Value value = Value::adopt(handle);
  weft_tensor small;
  std::memset(&small, 0x5a, sizeof(small));
  small.struct_size = offsetof(weft_tensor, data);
  ASSERT_EQ(value_api()->get_tensor(value.get(), &small, nullptr, nullptr), WEFT_OK);
  EXPECT_EQ(small.rank, 1);
  EXPECT_EQ(small.shape[0], 0x5a5a5a5a5a5a5a5a);
}

TEST(Value, RefusesTensorsOutsideTheirBuffer) {
  CpuPool pool;
  auto buffer = allocate_buffer(pool, 24, 0, nullptr, "t");
  const auto attempt = [&](auto change) {
    weft_tensor view = row_major(buffer->data(), WEFT_DTYPE_F32, std::vector<int64_t>{2, 3});
    change(view);
    weft_value* handle = nullptr;
    const weft_status status = value_api()->make_tensor(buffer->get(), &view, "tensor", nullptr, &handle);
    value_api()->release(handle);
    return status;
  };
  EXPECT_EQ(attempt([](weft_tensor&) {}), WEFT_OK);
  EXPECT_EQ(attempt([](weft_tensor& t) { t.shape[0] = 0; }), WEFT_OK);
  EXPECT_EQ(attempt([](weft_tensor& t) { t.shape[0] = 3; }), WEFT_OUT_OF_RANGE);
  EXPECT_EQ(attempt([](weft_tensor& t) { t.strides[0] = 4; }), WEFT_OUT_OF_RANGE);
  EXPECT_EQ(attempt([](weft_tensor& t) { t.strides[0] = INT64_MAX; }), WEFT_OUT_OF_RANGE);
  EXPECT_EQ(attempt([](weft_tensor& t) { t.data = static_cast<char*>(t.data) + 4; }), WEFT_OUT_OF_RANGE);
  EXPECT_EQ(attempt([](weft_tensor& t) { t.data = static_cast<char*>(t.data) - 4; }), WEFT_OUT_OF_RANGE);
  EXPECT_EQ(attempt([](weft_tensor& t) { t.rank = 9; }), WEFT_INVALID_ARGUMENT);
  EXPECT_EQ(attempt([](weft_tensor& t) { t.dtype = 11; }), WEFT_INVALID_ARGUMENT);
  EXPECT_EQ(attempt([](weft_tensor& t) { t.shape[0] = -1; }), WEFT_INVALID_ARGUMENT);
  EXPECT_EQ(attempt([](weft_tensor& t) { t.shape[0] = t.shape[1] = int64_t{1} << 40; }),
            WEFT_INVALID_ARGUMENT);
  EXPECT_EQ(attempt([](weft_tensor& t) { t.strides[1] = -1; }), WEFT_INVALID_ARGUMENT);
}

TEST(Value, ListsShareTheirItems) {
  const Value one = *Value::text("one");
  const Value list = *Value::list({one, *Value::text("two")}, "text");
  EXPECT_EQ(list.type(), "list<text>");
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list.item(0).get(), one.get());
  EXPECT_EQ(list.item(1).bytes_view(), "two");
  EXPECT_FALSE(list.item(2));
  EXPECT_EQ(list.content_bytes(), 6u);
  EXPECT_EQ(Value::list({Value()}, "text").code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft
