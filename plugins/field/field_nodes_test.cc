#include "plugins/field/field_nodes.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "pipeline/memory/buffer.h"
#include "plugins/testing/node_test.h"

namespace weft::field {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class FieldNodes : public weft::testing::NodeTest {
 protected:
  FieldNodes() {
    std::string pattern = fs::temp_directory_path() / "weft-field-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    in_folder_ = fs::absolute("assets/golden/fields");
    out_folder_ = folder_;
  }
  ~FieldNodes() override { fs::remove_all(folder_); }

  static Field field(const Value& value) {
    Result<Field> field = field_of(sdk::Value::share(value_api(), value.get()));
    EXPECT_TRUE(field.ok());
    return field.ok() ? *field : Field{};
  }
  static std::vector<double> values(const Value& value) {
    const Field made = field(value);
    std::vector<double> result;
    for (int64_t i = 0; i < made.type.elements(); ++i) result.push_back(made.at(i));
    return result;
  }
  Value tensor(const std::vector<float>& numbers, std::vector<int64_t> shape) {
    auto buffer = allocate_buffer(host_.cpu_pool(), numbers.size() * sizeof(float), 0, nullptr, "test");
    EXPECT_TRUE(buffer.ok());
    std::copy(numbers.begin(), numbers.end(), static_cast<float*>(buffer->data()));
    const weft_tensor view = sdk::contiguous_tensor(buffer->data(), WEFT_DTYPE_F32, shape);
    weft_value* value = nullptr;
    EXPECT_EQ(value_api()->make_tensor(buffer->get(), &view, "tensor", nullptr, &value), WEFT_OK);
    return Value::adopt(value);
  }

  fs::path folder_;
};

TEST_F(FieldNodes, LoadRefusesMissingValuesUnlessTold) {
  const NodeResult refused = run(kLoadNode, {}, {{"path", "\"classic.nc\""}, {"variable", "\"t\""}});
  ASSERT_EQ(refused.status.code(), StatusCode::kCorruptData);
  EXPECT_THAT(to_string(refused.status.error()),
              HasSubstr("classic.nc: a value of 't' is missing: [time 0 (0 hours since 2026-01-02 00:00:00), "
                        "level 0 (500 hPa), "
                        "lat 1 (55 degrees_north), lon 1 (10 degrees_east)] is not finite"));
  const NodeResult kept =
      run(kLoadNode, {}, {{"path", "\"classic.nc\""}, {"variable", "\"t\""}, {"missing", "\"keep\""}});
  ASSERT_TRUE(kept.status.ok()) << to_string(kept.status.error());
  EXPECT_TRUE(std::isnan(values(kept.outputs[0])[5]));
  EXPECT_THAT(std::string(kept.outputs[1].bytes_view()), HasSubstr("\"units\":\"K\""));
}

TEST_F(FieldNodes, LoadSaysWhichFileAndWhatIsWrong) {
  std::ofstream(folder_ / "cut.npy") << std::ifstream(in_folder_ / "f4.npy").rdbuf();
  fs::resize_file(folder_ / "cut.npy", fs::file_size(folder_ / "cut.npy") - 4);
  in_folder_ = folder_;
  const NodeResult cut = run(kLoadNode, {}, {{"path", "\"cut.npy\""}});
  EXPECT_THAT(to_string(cut.status.error()),
              HasSubstr("cut.npy, offset 172: the file ends within the array"));
}

TEST_F(FieldNodes, LoadTakesNamesOfDimensions) {
  const NodeResult named = run(kLoadNode, {}, {{"path", "\"f4.npy\""}, {"dimensions", "[\"lat\", \"lon\"]"}});
  ASSERT_TRUE(named.status.ok()) << to_string(named.status.error());
  EXPECT_EQ(field(named.outputs[0]).type.axes[1].kind, AxisKind::kLongitude);
  const NodeResult wrong = run(kLoadNode, {}, {{"path", "\"f4.npy\""}, {"dimensions", "[\"lat\"]"}});
  EXPECT_THAT(to_string(wrong.status.error()), HasSubstr("expected 2 names"));
}

TEST_F(FieldNodes, SaveWritesWhatLoadReads) {
  const NodeResult packed =
      run(kLoadNode, {}, {{"path", "\"classic.nc\""}, {"variable", "\"packed\""}, {"missing", "\"keep\""}});
  ASSERT_TRUE(packed.status.ok()) << to_string(packed.status.error());
  for (const char* path : {"\"a/b.npz\"", "\"b.nc\"", "\"b.nc4\""}) {
    const NodeResult saved = run(kSaveNode, {packed.outputs[0]}, {{"path", path}});
    ASSERT_TRUE(saved.status.ok()) << to_string(saved.status.error());
    const std::string written(saved.outputs[0].bytes_view());
    const NodeResult loaded =
        run(kLoadNode, {}, {{"path", "\"" + written + "\""}, {"missing", "\"keep\""}, {"trusted", "true"}});
    ASSERT_TRUE(loaded.status.ok()) << to_string(loaded.status.error());
    FieldType expected = field(packed.outputs[0]).type;
    EXPECT_EQ(field(loaded.outputs[0]).type, expected);
    EXPECT_EQ(values(loaded.outputs[0])[0], values(packed.outputs[0])[0]);
  }
  const NodeResult unnamed = run(kSaveNode, {packed.outputs[0]}, {{"path", "\"b.txt\""}});
  EXPECT_THAT(to_string(unnamed.status.error()), HasSubstr(".npy, .npz, .nc or .nc4"));
}

TEST_F(FieldNodes, SelectGivesAPart) {
  const NodeResult whole =
      run(kLoadNode, {}, {{"path", "\"classic.nc\""}, {"variable", "\"t\""}, {"missing", "\"keep\""}});
  const NodeResult part =
      run(kSelectNode, {whole.outputs[0]},
          {{"values", "{\"level\": 850, \"latitude\": [50, 55]}"}, {"positions", "{\"time\": -1}"}});
  ASSERT_TRUE(part.status.ok()) << to_string(part.status.error());
  EXPECT_EQ(to_string(field(part.outputs[0]).type), "t [lat 2, lon 4] in K");
  EXPECT_EQ(values(part.outputs[0])[0], 40 * 37 % 101 / 4.0 - 10);
  const NodeResult none = run(kSelectNode, {whole.outputs[0]}, {{"values", "{\"level\": 1}"}});
  EXPECT_EQ(none.status.code(), StatusCode::kOutOfRange);
}

TEST_F(FieldNodes, DescribeNamesTensorsAndNumbers) {
  const NodeResult described = run(kDescribeNode, {tensor({1, 2, 3, 4, 5, 6}, {2, 3})},
                                   {{"name", "\"p\""},
                                    {"units", "\"hPa\""},
                                    {"axes",
                                     "[{\"name\": \"lat\", \"first\": 10, \"step\": -5}, {\"name\": "
                                     "\"site\", \"coordinates\": [1, 2, 4]}]"}});
  ASSERT_TRUE(described.status.ok()) << to_string(described.status.error());
  const FieldType type = field(described.outputs[0]).type;
  EXPECT_EQ(to_string(type), "p [lat 2, site 3] in hPa");
  EXPECT_THAT(type.axes[0].coordinates, ElementsAre(10, 5));
  EXPECT_EQ(type.axes[0].kind, AxisKind::kLatitude);
  const auto list = Value::list({Value::real(1.5), Value::real(2)}, "float");
  const NodeResult numbers = run(kDescribeNode, {Value(), *list}, {{"name", "\"score\""}});
  ASSERT_TRUE(numbers.status.ok()) << to_string(numbers.status.error());
  EXPECT_THAT(values(numbers.outputs[0]), ElementsAre(1.5, 2));
  const NodeResult wrong = run(kDescribeNode, {tensor({1, 2}, {2})},
                               {{"axes", "[{\"name\": \"x\", \"coordinates\": [1, 2, 3]}]"}});
  EXPECT_THAT(to_string(wrong.status.error()), HasSubstr("expected 2, got 3"));
  EXPECT_EQ(run(kDescribeNode, {}, {}).status.code(), StatusCode::kInvalidArgument);
}

TEST_F(FieldNodes, StatisticsSayWhereTheExtremesAre) {
  const NodeResult made =
      run(kDescribeNode, {tensor({1, -2, NAN, 5}, {4})}, {{"name", "\"u\""}, {"units", "\"m\""}});
  const NodeResult result = run(kStatisticsNode, {made.outputs[0]}, {});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_EQ(result.outputs[0].bytes_view(),
            "{\"count\":3,\"missing\":1,\"minimum\":-2.0,\"at_minimum\":\"[dim_0 "
            "1]\",\"maximum\":5.0,\"at_maximum\":\"[dim_0 3]\","
            "\"mean\":1.3333333333333333}");
  EXPECT_EQ(result.outputs[1].bytes_view(),
            "u: from -2 m at [dim_0 1] to 5 m at [dim_0 3], mean 1.3333 m over 3 values; 1 are missing.");
}

}  // namespace
}  // namespace weft::field
