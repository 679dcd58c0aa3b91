#include "plugins/plot/canvas.h"

#include <gmock/gmock.h>

// Fontconfig keeps what it has read until the process ends.
extern "C" const char* __lsan_default_suppressions() { return "leak:libfontconfig.so"; }

namespace weft::plot {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<uint8_t> picture(int scale) {
  Result<Canvas> canvas = Canvas::for_pixels(40, 30, scale);
  EXPECT_TRUE(canvas.ok()) << to_string(canvas.error());
  canvas->fill(Box{10, 10, 20, 10}, {1, 0, 0});
  canvas->text({.text = "Ag−1", .x = 2, .y = 25});
  std::vector<uint8_t> pixels(static_cast<size_t>(40 * scale * 30 * scale * 3));
  EXPECT_TRUE(canvas->copy_pixels(pixels.data()).ok());
  return pixels;
}

TEST(Canvas, FillsWholePixelsOverWhite) {
  const std::vector<uint8_t> pixels = picture(1);
  const auto at = [&](int x, int y) {
    return std::vector<int>(&pixels[static_cast<size_t>(y * 40 + x) * 3],
                            &pixels[static_cast<size_t>(y * 40 + x) * 3 + 3]);
  };
  EXPECT_EQ(at(0, 0), (std::vector<int>{255, 255, 255}));
  EXPECT_EQ(at(10, 10), (std::vector<int>{255, 0, 0}));
  EXPECT_EQ(at(29, 19), (std::vector<int>{255, 0, 0}));
  EXPECT_EQ(at(30, 15), (std::vector<int>{255, 255, 255}));
}

TEST(Canvas, GivesTheSameBytesAgain) {
  EXPECT_EQ(picture(2), picture(2));
  const auto document = [] {
    Result<Canvas> canvas = Canvas::for_svg(40, 30);
    EXPECT_TRUE(canvas.ok());
    canvas->text({.text = "µm", .x = 2, .y = 25});
    canvas->raster({1, 2, {255, 0, 0, 255, 0, 0, 255, 0}}, {0, 0, 10, 20});
    Result<std::string> svg = canvas->finish_svg();
    EXPECT_TRUE(svg.ok());
    return svg.ok() ? *svg : std::string();
  };
  const std::string first = document();
  EXPECT_EQ(first, document());
  EXPECT_THAT(first, HasSubstr("<svg"));
  EXPECT_THAT(first, Not(HasSubstr("font-family"))) << "letters are outlines";
}

TEST(Canvas, MeasuresTextAlikeForEveryTarget) {
  const Result<Canvas> one = Canvas::for_pixels(10, 10, 1), three = Canvas::for_pixels(10, 10, 3),
                       svg = Canvas::for_svg(10, 10);
  const double width = one->text_width("temperature", 12);
  EXPECT_GT(width, 60);
  EXPECT_EQ(three->text_width("temperature", 12), width);
  EXPECT_EQ(svg->text_width("temperature", 12), width);
  EXPECT_GT(one->text_width("temperature", 12, Weight::kBold), width);
}

TEST(RenumberIds, FollowsReferences) {
  EXPECT_EQ(renumber_ids("<g id=\"surface7\"><use href=\"#image9\"/><i id=\"image9\"/>clip:url(#clip3) <g "
                         "id=\"glyph0-1\"/> #ff00ff"),
            "<g id=\"x0\"><use href=\"#x1\"/><i id=\"x1\"/>clip:url(#x2) <g id=\"glyph0-1\"/> #ff00ff");
}

}  // namespace
}  // namespace weft::plot
