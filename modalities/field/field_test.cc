#include "modalities/field/field.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace weft {
namespace {

using ::testing::HasSubstr;

FieldType example() {
  return {.name = "t",
          .long_name = "temperature \"at\" height",
          .units = "K",
          .axes = {{.name = "lat",
                    .kind = AxisKind::kLatitude,
                    .units = "degrees_north",
                    .size = 2,
                    .coordinates = {50, 60.1}},
                   {.name = "member", .size = 3}},
          .scalars = {{"level", AxisKind::kLevel, "hPa", 500}}};
}

TEST(FieldType, TravelsAsAttributes) {
  const FieldType type = example();
  const std::vector<int64_t> shape = type.shape();
  const Result<FieldType> back = parse_field_type(type.dtype, shape, field_attributes(type));
  ASSERT_TRUE(back.ok()) << to_string(back.error());
  EXPECT_EQ(*back, type);
}

TEST(FieldType, NamesAxesOfPlainTensors) {
  const int64_t shape[] = {2, 3};
  const Result<FieldType> type = parse_field_type(WEFT_DTYPE_F64, shape, "");
  ASSERT_TRUE(type.ok());
  EXPECT_EQ(to_string(*type), "a field [dim_0 2, dim_1 3]");
}

TEST(FieldType, RefusesAttributesThatDoNotFit) {
  const int64_t shape[] = {2};
  const auto message = [&](const char* attributes) {
    const Result<FieldType> type = parse_field_type(WEFT_DTYPE_F32, shape, attributes);
    return type.ok() ? std::string("ok") : to_string(type.error());
  };
  EXPECT_THAT(message("[]"), HasSubstr("no JSON object"));
  EXPECT_THAT(message("{\"axes\":[]}"), HasSubstr("as many axes"));
  EXPECT_THAT(message("{\"axes\":[3]}"), HasSubstr("an axis is no object"));
  EXPECT_THAT(message("{\"axes\":[{\"name\":\"x\",\"coordinates\":[1,2,3]}]}"),
              HasSubstr("expected 2, got 3"));
  EXPECT_THAT(message("{\"axes\":[{\"name\":\"x\",\"coordinates\":[1,null]}]}"),
              HasSubstr("no finite number"));
  EXPECT_THAT(message("{\"axes\":[{\"name\":\"x\",\"coordinates\":[1,1e999]}]}"),
              HasSubstr("no JSON object"));
  EXPECT_THAT(message("{\"scalars\":[{\"name\":\"x\"}]}"), HasSubstr("no finite value"));
  const int64_t square[] = {2, 2};
  const Result<FieldType> twice =
      parse_field_type(WEFT_DTYPE_F32, square, "{\"axes\":[{\"name\":\"x\"},{\"name\":\"x\"}]}");
  EXPECT_EQ(twice.code(), StatusCode::kCorruptData);
  EXPECT_EQ(parse_field_type(WEFT_DTYPE_I32, shape, "").code(), StatusCode::kUnsupported);
}

TEST(FieldType, FindsAxesByNameAndByKind) {
  const FieldType type = example();
  EXPECT_EQ(type.axis_named("member"), std::optional<size_t>(1));
  EXPECT_EQ(type.axis_named("latitude"), std::optional<size_t>(0));
  EXPECT_EQ(type.axis_named("longitude"), std::nullopt);
  EXPECT_EQ(type.axis_named("other"), std::nullopt);
}

TEST(FirstNotFinite, FindsNanAndInfinity) {
  const std::vector<double> values = {1, 2, std::numeric_limits<double>::infinity(), std::nan("")};
  EXPECT_EQ(first_not_finite(WEFT_DTYPE_F64, values.data(), 4), std::optional<int64_t>(2));
  EXPECT_EQ(first_not_finite(WEFT_DTYPE_F64, values.data(), 2), std::nullopt);
}

TEST(ElementName, SaysPositionsAndCoordinates) {
  EXPECT_EQ(element_name(example(), 4), "[lat 1 (60.1 degrees_north), member 1]");
}

}  // namespace
}  // namespace weft
