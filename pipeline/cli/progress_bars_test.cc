#include "pipeline/cli/progress_bars.h"

#include <gtest/gtest.h>

namespace weft::cli {
namespace {

TEST(ProgressLine, ShowsNameBarAndCount) {
  EXPECT_EQ(progress_line("idea", 20, 40, "tokens", 80), "idea  [############------------] 20/40 tokens");
  EXPECT_EQ(progress_line("idea", 7, 0, "tokens", 80), "idea  7 tokens");
  EXPECT_EQ(progress_line("idea", 0, 0, "", 80), "idea  working");
}

TEST(ProgressLine, CountsThatMakeNoSenseStayWithinTheBar) {
  EXPECT_EQ(progress_line("a", 50, 40, "", 80), "a  [########################] 40/40");
  EXPECT_EQ(progress_line("a", -1, 40, "", 80), "a  [------------------------] 0/40");
}

TEST(ProgressLine, FitsEveryWidth) {
  const std::string name = "a node with a very long name, and \u4f60\u597d in it, that goes on and on";
  for (size_t width = 1; width < 100; ++width) {
    EXPECT_LE(display_width(progress_line(name, 123456, 9999999, "tokens", width)), width) << width;
  }
}

}  // namespace
}  // namespace weft::cli
