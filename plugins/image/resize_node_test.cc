#include "plugins/image/resize_node.h"

#include <gmock/gmock.h>

#include "plugins/image/testing/picture_values.h"

namespace weft::image {
namespace {

using ::testing::ElementsAre;

class ResizeNodes : public testing::NodeTest {
 protected:
  ImageShape resized(const Value& source, std::map<std::string, std::string> parameters) {
    const NodeResult result = run(kResizeNode, {source}, std::move(parameters));
    EXPECT_TRUE(result.status.ok()) << to_string(result.status.error());
    return result.status.ok() ? view(result.outputs[0]).shape : ImageShape{};
  }
};

TEST_F(ResizeNodes, KeepsTheRatioOfTheSidesWhereOneIsGiven) {
  const Value source = counting({2, 20, 40, 3});
  EXPECT_EQ(resized(source, {{"width", "10"}}), (ImageShape{2, 5, 10, 3}));
  EXPECT_EQ(resized(source, {{"height", "50"}}), (ImageShape{2, 50, 100, 3}));
  EXPECT_EQ(resized(source, {{"scale", "0.5"}}), (ImageShape{2, 10, 20, 3}));
  EXPECT_EQ(resized(source, {{"scale", "0.001"}}), (ImageShape{2, 1, 1, 3}));
}

TEST_F(ResizeNodes, FitsAsAsked) {
  const Value source = counting({1, 20, 40, 1});
  const auto fitted = [&](const char* fit) {
    return resized(source, {{"width", "10"}, {"height", "10"}, {"fit", fit}});
  };
  EXPECT_EQ(fitted("\"stretch\""), (ImageShape{1, 10, 10, 1}));
  EXPECT_EQ(fitted("\"contain\""), (ImageShape{1, 5, 10, 1}));
  EXPECT_EQ(fitted("\"cover\""), (ImageShape{1, 10, 10, 1}));
  EXPECT_EQ(fitted("\"pad\""), (ImageShape{1, 10, 10, 1}));
}

TEST_F(ResizeNodes, CoverKeepsTheAnchoredPartAndPadFillsTheRest) {
  const Value source = picture<uint8_t>({1, 1, 4, 1}, {10, 20, 30, 40});
  const auto made = [&](const char* fit, const char* anchor, const char* width, const char* height) {
    return pixels<uint8_t>(run(kResizeNode, {source},
                               {{"width", width},
                                {"height", height},
                                {"fit", fit},
                                {"anchor", anchor},
                                {"filter", "\"nearest\""},
                                {"color", "\"white\""}})
                               .outputs[0]);
  };
  EXPECT_THAT(made("\"cover\"", "\"left\"", "2", "1"), ElementsAre(10, 20));
  EXPECT_THAT(made("\"cover\"", "\"right\"", "2", "1"), ElementsAre(30, 40));
  EXPECT_THAT(made("\"pad\"", "\"top\"", "2", "2"), ElementsAre(20, 40, 255, 255));
  EXPECT_THAT(made("\"pad\"", "\"bottom\"", "2", "2"), ElementsAre(255, 255, 20, 40));
}

TEST_F(ResizeNodes, GivesTheSameBitsOnOneThreadAndOnSeveral) {
  const Value source = counting({2, 90, 70, 4});
  const std::map<std::string, std::string> parameters = {
      {"width", "133"}, {"height", "57"}, {"filter", "\"lanczos\""}};
  const NodeResult several = run(kResizeNode, {source}, parameters);
  HostOptions options;
  options.threads = 1;
  Host one(options);
  NodeRunnerOptions runner_options;
  runner_options.parameters_json = parameters;
  Result<NodeRunner> runner = NodeRunner::create(one, kResizeNode, std::move(runner_options));
  ASSERT_TRUE(runner.ok());
  const auto alone = runner->run({{{source}}});
  ASSERT_TRUE(alone.ok() && (*alone)[0].status.ok());
  EXPECT_EQ(pixels<uint8_t>((*alone)[0].outputs[0]), pixels<uint8_t>(several.outputs[0]));
}

TEST_F(ResizeNodes, BoundsTheSideThatFollowsFromTheOther) {
  const Value wide = counting({1, 2, 300, 1});
  const NodeResult refused = run(kResizeNode, {wide}, {{"height", "10"}, {"max_side", "1400"}});
  EXPECT_EQ(refused.status.code(), StatusCode::kOutOfRange);
  EXPECT_THAT(to_string(refused.status.error()), ::testing::HasSubstr("1500"));
  EXPECT_EQ(resized(wide, {{"height", "10"}, {"max_side", "1500"}}), (ImageShape{1, 10, 1500, 1}));
  // Sides that are given need no bound.
  EXPECT_EQ(resized(wide, {{"width", "20"}, {"height", "10"}, {"max_side", "1"}}),
            (ImageShape{1, 10, 20, 1}));
}

TEST_F(ResizeNodes, RefusesPicturesThatAreTooLarge) {
  const NodeResult result = run(kResizeNode, {counting({1, 1, 1000, 1})}, {{"scale", "100"}});
  EXPECT_EQ(result.status.code(), StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace weft::image
