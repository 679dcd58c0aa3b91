#include "plugins/image/frame_nodes.h"

#include <gmock/gmock.h>

#include "plugins/image/testing/picture_values.h"

namespace weft::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FrameNodes : public testing::NodeTest {};

TEST_F(FrameNodes, CropCutsARectangleOutOfEveryPicture) {
  // Two pictures of 3 x 4 gray pixels: 0 to 11 and 12 to 23.
  const NodeResult result =
      run(kCropNode, {counting({2, 3, 4, 1})}, {{"width", "2"}, {"height", "2"}, {"x", "1"}, {"y", "1"}});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_EQ(view(result.outputs[0]).shape, (ImageShape{2, 2, 2, 1}));
  EXPECT_THAT(pixels<uint8_t>(result.outputs[0]), ElementsAre(5, 6, 9, 10, 17, 18, 21, 22));
}

TEST_F(FrameNodes, CropStartsFromItsAnchor) {
  const Value source = counting({1, 4, 4, 1});
  const auto corner = [&](const char* anchor) {
    const NodeResult result = run(kCropNode, {source}, {{"width", "2"}, {"height", "2"}, {"anchor", anchor}});
    return pixels<uint8_t>(result.outputs[0])[0];
  };
  EXPECT_EQ(corner("\"top_left\""), 0);
  EXPECT_EQ(corner("\"top_right\""), 2);
  EXPECT_EQ(corner("\"center\""), 5);
  EXPECT_EQ(corner("\"bottom_right\""), 10);
}

TEST_F(FrameNodes, CropKeepsFloatsAndAlphaBitForBit) {
  const std::vector<float> values = {0.1f, -2, 3, 0.5f, 1e-9f, 7, 8, 1};
  const NodeResult result =
      run(kCropNode, {picture<float>({1, 1, 2, 4}, values)}, {{"width", "1"}, {"x", "1"}});
  EXPECT_THAT(pixels<float>(result.outputs[0]), ElementsAre(1e-9f, 7, 8, 1));
}

TEST_F(FrameNodes, CropRefusesWhatLiesOutside) {
  const NodeResult result = run(kCropNode, {counting({1, 3, 4, 3})}, {{"width", "3"}, {"x", "2"}});
  EXPECT_EQ(result.status.code(), StatusCode::kOutOfRange);
  EXPECT_THAT(result.status.error().got, HasSubstr("columns 2 to 4"));
  EXPECT_THAT(result.status.error().expected, HasSubstr("columns 0 to 3"));
}

TEST_F(FrameNodes, PadAddsABorderOfOneColour) {
  const NodeResult result = run(kPadNode, {picture<uint8_t>({1, 1, 1, 3}, {1, 2, 3})},
                                {{"left", "1"}, {"bottom", "1"}, {"color", "\"#ff0080\""}});
  ASSERT_TRUE(result.status.ok());
  EXPECT_EQ(view(result.outputs[0]).shape, (ImageShape{1, 2, 2, 3}));
  EXPECT_THAT(pixels<uint8_t>(result.outputs[0]),
              ElementsAre(255, 0, 128, 1, 2, 3, 255, 0, 128, 255, 0, 128));
}

TEST_F(FrameNodes, PadRepeatsOrMirrorsThePicture) {
  const Value source = picture<uint8_t>({1, 1, 3, 1}, {1, 2, 3});
  const auto padded = [&](const char* mode) {
    return pixels<uint8_t>(
        run(kPadNode, {source}, {{"left", "4"}, {"right", "2"}, {"mode", mode}}).outputs[0]);
  };
  EXPECT_THAT(padded("\"edge\""), ElementsAre(1, 1, 1, 1, 1, 2, 3, 3, 3));
  EXPECT_THAT(padded("\"mirror\""), ElementsAre(1, 2, 3, 2, 1, 2, 3, 2, 1));
}

TEST_F(FrameNodes, PadRefusesColoursAndSizesThatDoNotExist) {
  const NodeResult colour = run(kPadNode, {counting({1, 2, 2, 3})}, {{"color", "\"blurple\""}});
  EXPECT_EQ(colour.status.code(), StatusCode::kInvalidArgument);
  const NodeResult size = run(kPadNode, {counting({1, 2, 2, 3})}, {{"left", "65535"}});
  EXPECT_EQ(size.status.code(), StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace weft::image
