#include "plugins/image/sheet_nodes.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "plugins/image/testing/picture_values.h"

namespace weft::image {
namespace {

using ::testing::ElementsAre;

class SheetNodes : public testing::NodeTest {};

TEST_F(SheetNodes, GridPutsPicturesIntoTheMiddleOfTheirCells) {
  const Value large = picture<uint8_t>({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  const Value small = picture<uint8_t>({1, 1, 1, 1}, {50});
  const auto list = Value::list({large, small}, "image");
  const NodeResult result = run(kGridNode, {*list}, {{"spacing", "1"}, {"color", "\"black\""}});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_EQ(view(result.outputs[0]).shape, (ImageShape{1, 5, 9, 1}));
  EXPECT_THAT(pixels<uint8_t>(result.outputs[0]), ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 0,   //
                                                              0, 1, 2, 3, 0, 0, 0, 0, 0,   //
                                                              0, 4, 5, 6, 0, 0, 50, 0, 0,  //
                                                              0, 7, 8, 9, 0, 0, 0, 0, 0,   //
                                                              0, 0, 0, 0, 0, 0, 0, 0, 0));
}

TEST_F(SheetNodes, GridTakesABatchAndTheRichestType) {
  const auto list = Value::list({picture<float>({1, 1, 1, 4}, {1, 0, 0, 0.5f})}, "image");
  const NodeResult result =
      run(kGridNode, {*list, picture<uint8_t>({2, 1, 1, 1}, {255, 0})}, {{"columns", "2"}, {"spacing", "0"}});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_EQ(view(result.outputs[0]).shape, (ImageShape{1, 2, 2, 4}));
  EXPECT_THAT(pixels<float>(result.outputs[0]),
              ElementsAre(1, 0, 0, 0.5f, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1));
}

TEST_F(SheetNodes, GridTakesPicturesUnderAnyName) {
  NodeRunnerOptions options;
  options.parameters_json = {{"spacing", "0"}, {"columns", "3"}};
  options.extra_inputs = {"left", "more"};
  Result<NodeRunner> runner = NodeRunner::create(host_, kGridNode, std::move(options));
  ASSERT_TRUE(runner.ok());
  const auto list =
      Value::list({picture<uint8_t>({1, 1, 1, 1}, {2}), picture<uint8_t>({1, 1, 1, 1}, {3})}, "image");
  const auto results = runner->run({{{Value(), Value(), picture<uint8_t>({1, 1, 1, 1}, {1}), *list}},
                                    {{Value(), Value(), *Value::text("no picture"), Value()}}});
  ASSERT_TRUE(results.ok() && (*results)[0].status.ok());
  EXPECT_THAT(pixels<uint8_t>((*results)[0].outputs[0]), ElementsAre(1, 2, 3));
  EXPECT_EQ((*results)[1].status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT((*results)[1].status.error().where, ::testing::HasSubstr("left"));
}

TEST_F(SheetNodes, GridChoosesColumnsAndRefusesNothing) {
  const NodeResult result = run(kGridNode, {Value(), counting({7, 2, 3, 3})}, {{"spacing", "0"}});
  EXPECT_EQ(view(result.outputs[0]).shape, (ImageShape{1, 6, 9, 3}));
  EXPECT_EQ(run(kGridNode, {}).status.code(), StatusCode::kInvalidArgument);
}

TEST_F(SheetNodes, AnnotateAddsAStripOfText) {
  const Value source = counting({2, 10, 90, 3});
  for (const char* place : {"\"below\"", "\"above\""}) {
    const NodeResult result =
        run(kAnnotateNode, {source, *Value::text("red apple")}, {{"place", place}, {"size", "10"}});
    ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
    const ImageView made = view(result.outputs[0]);
    const int64_t strip = made.shape.height - 10;
    EXPECT_EQ(strip, 28);  // a line of 10 and room for descenders, two margins of 6
    const bool above = place[1] == 'a';
    const uint8_t* first = made.row<uint8_t>(1, above ? strip : 0);
    EXPECT_TRUE(std::equal(first, first + 270, view(source).row<uint8_t>(1, 0)));
    const uint8_t* begin = made.row<uint8_t>(0, above ? 0 : 10);
    EXPECT_LT(*std::min_element(begin, begin + strip * 270), 40);  // letters
    EXPECT_EQ(*begin, 255);
  }
}

TEST_F(SheetNodes, AnnotateWritesOnThePictureWithoutMakingItLarger) {
  const Value source = picture<uint8_t>({1, 40, 100, 1}, std::vector<uint8_t>(4000, 200));
  const NodeResult result =
      run(kAnnotateNode, {source, *Value::text("x")},
          {{"place", "\"top\""}, {"background", "\"transparent\""}, {"color", "\"red\""}});
  ASSERT_TRUE(result.status.ok());
  const std::vector<uint8_t> made = pixels<uint8_t>(result.outputs[0]);
  ASSERT_EQ(made.size(), 4000u);
  EXPECT_EQ(made[0], 200);
  EXPECT_NEAR(*std::min_element(made.begin(), made.end()), 76, 4);  // red in a gray picture
}

TEST_F(SheetNodes, AnnotateWritesOtherTextInFonts) {
  const Value source = counting({1, 10, 90, 3});
  const NodeResult result = run(kAnnotateNode, {source, *Value::text("crème")}, {{"size", "10"}});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  const ImageView made = view(result.outputs[0]);
  EXPECT_EQ(made.shape.height, 10 + 28 + 3);  // room for accents
  const uint8_t* begin = made.row<uint8_t>(0, 10);
  EXPECT_LT(*std::min_element(begin, begin + 31 * 270), 60);
}

TEST_F(SheetNodes, AnnotateSaysWhichCharacterOrFontIsMissing) {
  const NodeResult nowhere = run(kAnnotateNode, {counting({1, 8, 8, 3}), *Value::text("\uE123")});
  EXPECT_EQ(nowhere.status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(nowhere.status.error().got, ::testing::HasSubstr("U+E123"));
  const NodeResult no_file =
      run(kAnnotateNode, {counting({1, 8, 8, 3}), *Value::text("a")}, {{"font", "\"no.ttf\""}});
  EXPECT_EQ(no_file.status.code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace weft::image
