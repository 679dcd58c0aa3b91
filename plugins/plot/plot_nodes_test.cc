#include "plugins/plot/plot_nodes.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <set>

#include "plugins/image/testing/picture_values.h"

namespace weft::plot {
namespace {

using ::testing::HasSubstr;

class PlotNodes : public image::testing::NodeTest {
 protected:
  Value field(const FieldType& type, const std::vector<float>& numbers,
              const char* port_type = kFieldPortType) {
    auto buffer = allocate_buffer(host_.cpu_pool(), numbers.size() * sizeof(float), 0, nullptr, "test");
    EXPECT_TRUE(buffer.ok());
    std::copy(numbers.begin(), numbers.end(), static_cast<float*>(buffer->data()));
    const weft_tensor view = sdk::contiguous_tensor(buffer->data(), WEFT_DTYPE_F32, type.shape());
    weft_value* value = nullptr;
    EXPECT_EQ(
        value_api()->make_tensor(buffer->get(), &view, port_type, field_attributes(type).c_str(), &value),
        WEFT_OK);
    return Value::adopt(value);
  }
  // 4 x 8 cells over the world; a wave.
  Value globe() {
    FieldType type{.name = "t",
                   .units = "K",
                   .axes = {{"lat", AxisKind::kLatitude, "degrees_north", 4, {67.5, 22.5, -22.5, -67.5}},
                            {"lon", AxisKind::kLongitude, "degrees_east", 8, {}}}};
    std::vector<float> values;
    for (int i = 0; i < 8; ++i) type.axes[1].coordinates.push_back(22.5 + i * 45);
    for (int i = 0; i < 32; ++i) values.push_back(static_cast<float>(i));
    return field(type, values);
  }
  NodeResult run_lines(std::vector<std::pair<std::string, Value>> inputs,
                       std::map<std::string, std::string> parameters = {}) {
    NodeRunnerOptions options;
    options.parameters_json = std::move(parameters);
    std::vector<Value> values;
    for (auto& [name, value] : inputs) {
      options.extra_inputs.push_back(name);
      values.push_back(std::move(value));
    }
    return run_with(kLineNode, std::move(values), std::move(options));
  }
  static std::set<std::array<int, 3>> colors(const Value& image) {
    std::set<std::array<int, 3>> found;
    const std::vector<uint8_t> bytes = pixels<uint8_t>(image);
    for (size_t i = 0; i + 2 < bytes.size(); i += 3) found.insert({bytes[i], bytes[i + 1], bytes[i + 2]});
    return found;
  }
};

TEST_F(PlotNodes, MapHasTheSizeAndTheColoursOfItsField) {
  const NodeResult result = run(kMapNode, {globe()}, {{"width", "400"}, {"height", "260"}, {"density", "2"}});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_EQ(view(result.outputs[0]).shape, (ImageShape{1, 520, 800, 3}));
  const std::set<std::array<int, 3>> found = colors(result.outputs[0]);
  EXPECT_TRUE(found.count({0x44, 0x01, 0x54})) << "viridis' first colour is not there";
  EXPECT_TRUE(found.count({0xfd, 0xe7, 0x25})) << "viridis' last colour is not there";
  EXPECT_THAT(std::string(result.outputs[1].bytes_view()), HasSubstr("<svg"));
}

TEST_F(PlotNodes, PlotsAreTheSameBytesAgain) {
  const Value t = globe();
  for (const weft_node_type* type : {&kMapNode, &kHeatmapNode}) {
    const NodeResult a = run(*type, {t}), b = run(*type, {t});
    ASSERT_TRUE(a.status.ok()) << to_string(a.status.error());
    EXPECT_EQ(pixels<uint8_t>(a.outputs[0]), pixels<uint8_t>(b.outputs[0]));
    EXPECT_EQ(a.outputs[1].bytes_view(), b.outputs[1].bytes_view());
  }
}

TEST_F(PlotNodes, MapWantsLatitudeAndLongitude) {
  const FieldType type{.name = "p", .axes = {{.name = "x", .size = 2}, {.name = "y", .size = 2}}};
  const NodeResult result = run(kMapNode, {field(type, {1, 2, 3, 4})});
  EXPECT_THAT(to_string(result.status.error()), HasSubstr("latitude and longitude (got p [x 2, y 2])"));
  FieldType wrong{
      .axes = {{"lat", AxisKind::kLatitude, "", 2, {80, 100}}, {"lon", AxisKind::kLongitude, "", 2, {0, 1}}}};
  EXPECT_THAT(to_string(run(kMapNode, {field(wrong, {1, 2, 3, 4})}).status.error()),
              HasSubstr("from -90 to 90"));
}

TEST_F(PlotNodes, MissingCellsAreGray) {
  const FieldType type{.name = "p", .axes = {{.name = "x", .size = 2}, {.name = "y", .size = 2}}};
  const NodeResult result = run(kHeatmapNode, {field(type, {1, 2, NAN, 4})});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_TRUE(colors(result.outputs[0]).count({204, 204, 204}));
  const NodeResult none = run(kHeatmapNode, {field(type, {NAN, NAN, NAN, NAN})});
  EXPECT_THAT(to_string(none.status.error()), HasSubstr("no value of the field is finite"));
}

TEST_F(PlotNodes, HeatmapTakesTensorsAndNames) {
  const FieldType type{.axes = {{.name = "a", .size = 2}, {.name = "b", .size = 3}}};
  const Value tensor = field(type, {1, 2, 3, 4, 5, 6}, "tensor");
  const NodeResult result =
      run(kHeatmapNode, {Value(), tensor}, {{"x_names", "[\"A\", \"C\", \"D\"]"}, {"center", "2"}});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  const NodeResult wrong = run(kHeatmapNode, {Value(), tensor}, {{"y_names", "[\"A\"]"}});
  EXPECT_THAT(to_string(wrong.status.error()), HasSubstr("expected 2 for 'dim_0', got 1"));
  EXPECT_THAT(to_string(run(kHeatmapNode, {}).status.error()), HasSubstr("connect exactly one"));
  const NodeResult limits = run(kHeatmapNode, {Value(), tensor}, {{"minimum", "3"}, {"maximum", "3"}});
  EXPECT_THAT(to_string(limits.status.error()), HasSubstr("below \"maximum\""));
}

TEST_F(PlotNodes, LinesOfEveryKindHaveColoursOfTheirOwn) {
  const FieldType type{
      .name = "u", .units = "m s-1", .axes = {{.name = "x", .size = 3, .coordinates = {0, 1, 5}}}};
  const auto list = Value::list({Value::real(3), Value::integer(1)}, "float");
  const NodeResult result = run_lines(
      {{"measured", field(type, {1, NAN, 2})}, {"model", field(type, {2, 3, 1}, "tensor")}, {"list", *list}});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  const std::set<std::array<int, 3>> found = colors(result.outputs[0]);
  for (const std::array<int, 3>& color :
       {std::array{0, 114, 178}, std::array{213, 94, 0}, std::array{0, 158, 115}}) {
    EXPECT_TRUE(found.count(color)) << color[0] << " " << color[1] << " " << color[2];
  }
}

TEST_F(PlotNodes, LinesSayWhatCannotBeDrawn) {
  const auto message = [&](std::vector<std::pair<std::string, Value>> inputs,
                           std::map<std::string, std::string> parameters = {}) {
    const NodeResult result = run_lines(std::move(inputs), std::move(parameters));
    return result.status.ok() ? std::string("ok") : to_string(result.status.error());
  };
  const FieldType cube{
      .name = "c", .axes = {{.name = "x", .size = 2}, {.name = "y", .size = 2}, {.name = "z", .size = 2}}};
  const FieldType line{.name = "l", .axes = {{.name = "x", .size = 2}}};
  EXPECT_THAT(message({}), HasSubstr("nothing to draw"));
  EXPECT_THAT(message({{"a", field(cube, {1, 2, 3, 4, 5, 6, 7, 8})}}),
              HasSubstr("port 'a': lines have one dimension"));
  EXPECT_THAT(message({{"a", field(line, {NAN, NAN})}}), HasSubstr("no value of the lines is finite"));
  EXPECT_THAT(message({{"a", field(line, {-1, 0})}}, {{"spacing", "\"logarithmic\""}}), HasSubstr("above 0"));
  EXPECT_THAT(message({{"a", field(line, {1, 2})}}, {{"labels", "[\"x\", \"y\"]"}}),
              HasSubstr("expected 1, got 2"));
  EXPECT_THAT(message({{"a", field(line, {1, 2})}}, {{"x_names", "[\"x\"]"}}), HasSubstr("as many names"));
  EXPECT_THAT(message({{"a", field(line, {1, 2})}}, {{"minimum", "5"}}), HasSubstr("no extent"));
  const auto text = Value::text("1 2 3");
  EXPECT_THAT(message({{"a", *text}}), HasSubstr("port 'a': this is no field"));
}

TEST_F(PlotNodes, ExtremesAreDrawnOrRefused) {
  const std::map<std::string, std::string> kSmall = {{"width", "200"}, {"height", "150"}};
  constexpr float kLargest = std::numeric_limits<float>::max(), kLeast = 1e-45F;
  const std::vector<float> rows[] = {
      {-kLargest, 0, 1, kLargest},      {kLargest, kLargest, kLargest, kLargest},
      {kLeast, kLeast, kLeast, kLeast}, {0, kLeast, 0, 0},
      {INFINITY, -INFINITY, 1, NAN},    {1, 1, 1, 1 + 1e-7F}};
  const std::vector<double> coordinates[] = {
      {}, {-1.7e308, 1.7e308}, {1e300, 1.0000000000000002e300}, {0, 5e-324}, {-1e-300, 1e300}, {720, 90}};
  for (const AxisKind kind : {AxisKind::kOther, AxisKind::kLongitude, AxisKind::kTime}) {
    for (const std::vector<double>& places : coordinates) {
      FieldType type{.axes = {{"r", kind, "days since 2000-01-01", 2, places},
                              {"c", kind, "days since 2000-01-01", 2, places}}};
      type.scalars = {{.name = "s", .kind = kind, .units = "m", .value = 1.7e308}};
      for (const std::vector<float>& row : rows) {
        const Value value = field(type, row);
        EXPECT_NE(run(kHeatmapNode, {value}, kSmall).status.code(), StatusCode::kInternal);
        for (const char* spacing : {"\"linear\"", "\"logarithmic\""}) {
          std::map<std::string, std::string> parameters = kSmall;
          parameters["spacing"] = spacing;
          EXPECT_NE(run_lines({{"a", value}}, parameters).status.code(), StatusCode::kInternal);
        }
      }
    }
  }
  const Value t = globe();
  for (const char* limit : {"-1e308", "0", "1e-320", "1e308"}) {
    for (const char* parameter : {"minimum", "maximum", "center"}) {
      EXPECT_NE(run(kMapNode, {t}, {{parameter, limit}}).status.code(), StatusCode::kInternal)
          << parameter << limit;
    }
  }
  EXPECT_THAT(to_string(run(kMapNode, {t}, {{"minimum", "-1e308"}, {"maximum", "1e308"}}).status.error()),
              HasSubstr("too far apart"));
}

TEST_F(PlotNodes, LongNamesLeaveRoomForTheData) {
  const std::string name(500, 'W');
  const std::string names = "[\"" + name + "\", \"你好" + name + "\"]";
  const FieldType type{.axes = {{.name = name, .size = 2}, {.name = "b", .size = 2}}};
  const NodeResult heatmap = run(kHeatmapNode, {field(type, {0, 1, 1, 0})},
                                 {{"x_names", names}, {"y_names", names}, {"title", "\"" + name + "\""}});
  ASSERT_TRUE(heatmap.status.ok()) << to_string(heatmap.status.error());
  const std::vector<uint8_t> bytes = pixels<uint8_t>(heatmap.outputs[0]);
  size_t n_last = 0;  // of viridis
  for (size_t i = 0; i + 2 < bytes.size(); i += 3) n_last += bytes[i] == 0xfd && bytes[i + 1] == 0xe7;
  EXPECT_GT(n_last, size_t{800 * 500 / 8}) << "half of the data has the last colour";
  EXPECT_TRUE(run_lines({{name, field(type, {0, 1, 1, 0})}}).status.ok());
}

TEST_F(PlotNodes, SizesAreWhatCairoDraws) {
  for (const weft_node_type* type : {&kMapNode, &kHeatmapNode}) {
    const NodeResult result = run(*type, {globe()}, {{"width", "8000"}, {"density", "8"}});
    EXPECT_THAT(to_string(result.status.error()), HasSubstr("at most 32767 pixels, got 64000 x"));
  }
}

TEST_F(PlotNodes, MapsAreAsHighAsTheyNeedUnlessTold) {
  const NodeResult own = run(kMapNode, {globe()}, {{"width", "600"}});
  ASSERT_TRUE(own.status.ok()) << to_string(own.status.error());
  const int64_t height = view(own.outputs[0]).shape.height;
  EXPECT_GT(height, 250);
  EXPECT_LT(height, 400);
  EXPECT_EQ(view(run(kMapNode, {globe()}, {{"width", "600"}, {"height", "500"}}).outputs[0]).shape.height,
            500);
}

}  // namespace
}  // namespace weft::plot
