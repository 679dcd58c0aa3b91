// image.composite, image.blend, image.adjust, image.compare.
#include "plugins/image/mix_nodes.h"

#include <gmock/gmock.h>

#include <cmath>

#include "plugins/image/adjust_node.h"
#include "plugins/image/compare_node.h"
#include "plugins/image/testing/picture_values.h"

namespace weft::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MixNodes : public testing::NodeTest {
 protected:
  Value gray(std::vector<uint8_t> values) {
    const auto width = static_cast<int64_t>(values.size());
    return picture<uint8_t>({1, 1, width, 1}, values);
  }
};

TEST_F(MixNodes, CompositeShowsTheBackgroundThroughAlphaAndMask) {
  const Value top = picture<uint8_t>({1, 1, 3, 4}, {200, 0, 0, 255, 200, 0, 0, 0, 200, 0, 0, 51});
  const Value below = picture<uint8_t>({1, 1, 3, 3}, {0, 0, 100, 0, 0, 100, 0, 0, 100});
  const NodeResult open = run(kCompositeNode, {top, below});
  ASSERT_TRUE(open.status.ok()) << to_string(open.status.error());
  EXPECT_THAT(pixels<uint8_t>(open.outputs[0]), ElementsAre(200, 0, 0, 0, 0, 100, 40, 0, 80));
  const NodeResult masked = run(kCompositeNode, {top, below, gray({0, 255, 255})}, {{"opacity", "0.5"}});
  EXPECT_THAT(pixels<uint8_t>(masked.outputs[0]), ElementsAre(0, 0, 100, 0, 0, 100, 20, 0, 90));
}

TEST_F(MixNodes, CompositeCutsOffWhatStandsOut) {
  const Value below = picture<uint8_t>({1, 2, 2, 1}, {1, 2, 3, 4});
  const Value top = picture<uint8_t>({1, 2, 2, 1}, {10, 20, 30, 40});
  const NodeResult moved = run(kCompositeNode, {top, below}, {{"x", "1"}, {"y", "-1"}});
  EXPECT_THAT(pixels<uint8_t>(moved.outputs[0]), ElementsAre(1, 30, 3, 4));
  const NodeResult away = run(kCompositeNode, {top, below}, {{"x", "60000"}});
  EXPECT_THAT(pixels<uint8_t>(away.outputs[0]), ElementsAre(1, 2, 3, 4));
}

TEST_F(MixNodes, CompositeAddsUpStraightAlpha) {
  const Value top = picture<float>({1, 1, 1, 4}, {1, 0, 0, 0.5f});
  const Value below = picture<float>({1, 1, 1, 4}, {0, 1, 0, 0.5f});
  const std::vector<float> mixed = pixels<float>(run(kCompositeNode, {top, below}).outputs[0]);
  EXPECT_FLOAT_EQ(mixed[3], 0.75f);
  EXPECT_FLOAT_EQ(mixed[0], 0.5f / 0.75f);
  EXPECT_FLOAT_EQ(mixed[1], 0.25f / 0.75f);
}

TEST_F(MixNodes, CompositeRefusesAMaskOfAnotherSize) {
  const NodeResult result = run(kCompositeNode, {gray({1, 2}), gray({3, 4}), gray({5})});
  ASSERT_EQ(result.status.code(), StatusCode::kInvalidShape);
  EXPECT_THAT(result.status.error().where, HasSubstr("mask"));
}

TEST_F(MixNodes, BlendMixesAsItsModeSays) {
  const Value a = gray({51, 204}), b = gray({102, 153});  // 0.2, 0.8 and 0.4, 0.6
  const auto blended = [&](const char* mode) {
    return pixels<uint8_t>(run(kBlendNode, {a, b}, {{"mode", mode}, {"amount", "1"}}).outputs[0]);
  };
  EXPECT_THAT(blended("\"normal\""), ElementsAre(102, 153));
  EXPECT_THAT(blended("\"multiply\""), ElementsAre(20, 122));
  EXPECT_THAT(blended("\"screen\""), ElementsAre(133, 235));
  EXPECT_THAT(blended("\"overlay\""), ElementsAre(41, 214));
  EXPECT_THAT(blended("\"darken\""), ElementsAre(51, 153));
  EXPECT_THAT(blended("\"lighten\""), ElementsAre(102, 204));
  EXPECT_THAT(blended("\"difference\""), ElementsAre(51, 51));
  EXPECT_THAT(blended("\"add\""), ElementsAre(153, 255));
  EXPECT_THAT(blended("\"subtract\""), ElementsAre(0, 51));
  const NodeResult half = run(kBlendNode, {a, b});
  EXPECT_THAT(pixels<uint8_t>(half.outputs[0]), ElementsAre(77, 179));
}

TEST_F(MixNodes, BlendTakesOnePictureForAllOfABatch) {
  const Value many = picture<uint8_t>({2, 1, 1, 3}, {0, 0, 0, 100, 100, 100});
  const NodeResult result = run(kBlendNode, {many, gray({200})});
  EXPECT_THAT(pixels<uint8_t>(result.outputs[0]), ElementsAre(100, 100, 100, 150, 150, 150));
  EXPECT_EQ(run(kBlendNode, {gray({1, 2}), gray({3})}).status.code(), StatusCode::kInvalidShape);
}

TEST_F(MixNodes, AdjustChangesNothingByDefault) {
  const Value source = counting({1, 5, 7, 4});
  EXPECT_EQ(pixels<uint8_t>(run(kAdjustNode, {source}).outputs[0]), pixels<uint8_t>(source));
}

TEST_F(MixNodes, AdjustDoesWhatEachParameterSays) {
  const Value source = picture<float>({1, 1, 1, 4}, {0.4f, 0.6f, 0.2f, 0.3f});
  const auto adjusted = [&](const char* name, const char* value) {
    return pixels<float>(run(kAdjustNode, {source}, {{name, value}}).outputs[0]);
  };
  EXPECT_FLOAT_EQ(adjusted("brightness", "0.5")[0], 0.2f);
  EXPECT_FLOAT_EQ(adjusted("contrast", "2")[1], 0.7f);
  const float luma = 0.299f * 0.4f + 0.587f * 0.6f + 0.114f * 0.2f;
  EXPECT_FLOAT_EQ(adjusted("saturation", "0")[2], luma);
  EXPECT_NEAR(adjusted("gamma", "2")[0], std::sqrt(0.4), 1e-6);
  for (const char* name : {"brightness", "contrast", "saturation", "gamma"}) {
    EXPECT_EQ(adjusted(name, "3")[3], 0.3f) << "alpha stays";
  }
}

TEST_F(MixNodes, CompareMeasuresTheDifference) {
  const Value a = gray(std::vector<uint8_t>(400, 100)), b = gray(std::vector<uint8_t>(400, 151));
  const NodeResult result = run(kCompareNode, {a, b}, {{"gain", "2"}});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_NEAR(number(result.outputs[0]), 20 * std::log10(5.0), 1e-5);  // all differ by 51/255
  EXPECT_LT(number(result.outputs[1]), 1);
  EXPECT_NEAR(number(result.outputs[2]), 0.2, 1e-6);
  EXPECT_EQ(pixels<uint8_t>(result.outputs[3])[0], 102);
}

TEST_F(MixNodes, CompareFindsEqualPicturesEqual) {
  const Value a = counting({2, 20, 30, 3});
  const NodeResult result = run(kCompareNode, {a, a});
  EXPECT_EQ(number(result.outputs[0]), kLargestPsnr);
  EXPECT_NEAR(number(result.outputs[1]), 1, 1e-12);
  EXPECT_EQ(number(result.outputs[2]), 0);
  EXPECT_EQ(run(kCompareNode, {a, counting({1, 20, 30, 3})}).status.code(), StatusCode::kInvalidShape);
}

}  // namespace
}  // namespace weft::image
