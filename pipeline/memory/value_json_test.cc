#include "pipeline/memory/value_json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "pipeline/memory/half.h"

namespace weft {
namespace {

struct RoundTrip {
  const char* type;
  const char* json;
  const char* written;
};
class ValueJson : public testing::TestWithParam<RoundTrip> {};

TEST_P(ValueJson, ReadsAndWrites) {
  CpuPool pool;
  auto value = value_from_json(GetParam().json, GetParam().type, pool);
  ASSERT_TRUE(value.ok()) << to_string(value.error());
  EXPECT_EQ(value_to_json(*value, 1000), GetParam().written);
  auto again = value_from_json(GetParam().written, GetParam().type, pool);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(value_to_json(*again, 1000), GetParam().written);
}
INSTANTIATE_TEST_SUITE_P(
    Types, ValueJson,
    testing::Values(
        RoundTrip{"text", "\"gr\\u00fcn\\n\"", "\"gr\xc3\xbcn\\n\""},
        RoundTrip{"path", "\"a/b.png\"", "\"a/b.png\""}, RoundTrip{"bool", "true", "true"},
        RoundTrip{"int", "-9223372036854775808", "-9223372036854775808"}, RoundTrip{"int", "3.0", "3"},
        RoundTrip{"float", "0.1", "0.1"}, RoundTrip{"float", "2", "2.0"},
        RoundTrip{"json", R"({"a": [1, null, "x"]})", R"({"a":[1,null,"x"]})"},
        RoundTrip{"list<text>", R"(["a", "b"])", R"(["a","b"])"}, RoundTrip{"list<int>", "[]", "[]"},
        RoundTrip{"bytes", R"({"base64": "/wA=", "media_type": "image/png"})",
                  R"({"base64":"/wA=","media_type":"image/png"})"},
        RoundTrip{"any", "\"x\"", "\"x\""}, RoundTrip{"any", "1.5", "1.5"},
        RoundTrip{
            "tensor", R"({"dtype":"f32","shape":[2,2],"data":[1,0.1,-3,null]})",
            R"({"type":"tensor","dtype":"f32","shape":[2,2],"data":[1.0,0.10000000149011612,-3.0,null]})"},
        RoundTrip{
            "image",
            R"({"dtype":"u8","shape":[1,1,3],"data":[0,128,255],"attributes":{"color_space":"srgb"}})",
            R"({"type":"image","dtype":"u8","shape":[1,1,3],"attributes":{"color_space":"srgb"},"data":[0,128,255]})"},
        RoundTrip{"tensor", R"({"dtype":"bf16","shape":[2],"data":[1.5,-2]})",
                  R"({"type":"tensor","dtype":"bf16","shape":[2],"data":[1.5,-2.0]})"},
        RoundTrip{"tensor", R"({"dtype":"bool","shape":[0,4],"data":[]})",
                  R"({"type":"tensor","dtype":"bool","shape":[0,4],"data":[]})"}));

struct Refused {
  const char* type;
  const char* json;
};
class ValueJsonRefuses : public testing::TestWithParam<Refused> {};
TEST_P(ValueJsonRefuses, WithAnInvalidArgument) {
  CpuPool pool;
  EXPECT_EQ(value_from_json(GetParam().json, GetParam().type, pool).code(), StatusCode::kInvalidArgument)
      << GetParam().type << " " << GetParam().json;
}
INSTANTIATE_TEST_SUITE_P(
    Values, ValueJsonRefuses,
    testing::Values(Refused{"text", "1"}, Refused{"int", "1.5"}, Refused{"int", "1e300"},
                    Refused{"int", "\"1\""}, Refused{"bool", "1"}, Refused{"float", "\"x\""},
                    Refused{"list<int>", "[1, \"a\"]"}, Refused{"text", "\"cut"}, Refused{"text", "\"\xff\""},
                    Refused{"json", ""}, Refused{"json", "1 2"}, Refused{"bytes", R"({"base64":"a"})"},
                    Refused{"bytes", R"({"base64":"a*aa"})"}, Refused{"tensor", "[1]"},
                    Refused{"tensor", R"({"dtype":"f32","shape":[3],"data":[1]})"},
                    Refused{"tensor", R"({"dtype":"f99","shape":[1],"data":[1]})"},
                    Refused{"tensor", R"({"dtype":"u8","shape":[1],"data":[256]})"},
                    Refused{"tensor", R"({"dtype":"f32","shape":[-1],"data":[]})"},
                    Refused{"tensor",
                            R"({"dtype":"f32","shape":[4611686018427387904,4611686018427387904],"data":[]})"},
                    Refused{"tensor", R"({"dtype":"f32","shape":[1,1,1,1,1,1,1,1,1],"data":[1]})"}));

TEST(ValueJson, DeepNestingCostsNoStack) {
  CpuPool pool;
  const std::string deep(200'000, '[');
  EXPECT_EQ(value_from_json(deep, "json", pool).code(), StatusCode::kInvalidArgument);
}

TEST(ValueJson, LargeTensorsAreSummarised) {
  CpuPool pool;
  auto value = value_from_json(R"({"dtype":"u8","shape":[4],"data":[1,2,3,4]})", "tensor", pool);
  const std::string json = value_to_json(*value, 3);
  EXPECT_EQ(json.find("data"), std::string::npos);
  EXPECT_NE(json.find("\"sha256\":\""), std::string::npos);
  EXPECT_NE(json.find("\"shape\":[4]"), std::string::npos);
}

TEST(ValueJson, NotANumberBecomesNull) {
  EXPECT_EQ(value_to_json(Value::real(std::nan("")), 1), "null");
  EXPECT_EQ(value_to_json(Value::real(INFINITY), 1), "null");
}

TEST(ValueJson, AJsonValueThatIsNoneStaysAString) {
  EXPECT_EQ(value_to_json(*Value::bytes("{oops", "json"), 1), "\"{oops\"");
}

TEST(ValueArgument, IsTextForTextAndJsonForTheRest) {
  CpuPool pool;
  EXPECT_EQ(value_from_argument("a \"red\" apple", "text", pool)->bytes_view(), "a \"red\" apple");
  EXPECT_EQ(value_to_json(*value_from_argument("[1,2]", "list<int>", pool), 1), "[1,2]");
  EXPECT_EQ(value_from_argument("seven", "int", pool).code(), StatusCode::kInvalidArgument);
}

TEST(TemplateText, InsertsTextAsItIsAndTheRestAsJson) {
  CpuPool pool;
  EXPECT_EQ(*value_to_template_text(*Value::text("a\"b")), "a\"b");
  EXPECT_EQ(*value_to_template_text(Value::integer(7)), "7");
  EXPECT_EQ(*value_to_template_text(Value::boolean(1)), "true");
  EXPECT_EQ(*value_to_template_text(*Value::list({*Value::text("a")}, "text")), "[\"a\"]");
  EXPECT_EQ(value_to_template_text(*Value::bytes("x", "bytes")).code(), StatusCode::kInvalidArgument);
  auto tensor = value_from_json(R"({"dtype":"u8","shape":[1],"data":[1]})", "tensor", pool);
  EXPECT_EQ(value_to_template_text(*tensor).code(), StatusCode::kInvalidArgument);
}

TEST(Half, EveryHalfRoundTripsAndFloatsRoundToNearestEven) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float number = float_from_half(half);
    if (std::isnan(number)) {
      EXPECT_TRUE(std::isnan(float_from_half(half_from_float(number))));
    } else {
      ASSERT_EQ(half_from_float(number), half);
    }
  }
  EXPECT_EQ(half_from_float(65504.0f), 0x7bff);
  EXPECT_EQ(half_from_float(65519.9f), 0x7bff);
  EXPECT_EQ(half_from_float(65520.0f), 0x7c00);
  EXPECT_EQ(half_from_float(1.0f + 0x1p-11f), 0x3c00) << "a tie goes to even";
  EXPECT_EQ(half_from_float(1.0f + 0x3p-11f), 0x3c02);
  EXPECT_EQ(half_from_float(0x1p-25f), 0) << "half of the smallest subnormal";
  EXPECT_EQ(half_from_float(0x1.8p-25f), 1);
  EXPECT_EQ(bfloat_from_float(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_TRUE(std::isnan(float_from_bfloat(bfloat_from_float(std::nanf("")))));
}

}  // namespace
}  // namespace weft
