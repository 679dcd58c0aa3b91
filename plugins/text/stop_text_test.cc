#include "plugins/text/stop_text.h"

#include <gtest/gtest.h>

namespace weft::text {
namespace {

TEST(StopText, GivesOutEverythingWithoutStops) {
  StopText stop({"", ""});
  EXPECT_EQ(stop.push("abc"), "abc");
  EXPECT_EQ(stop.finish(), "");
  EXPECT_FALSE(stop.found());
}

TEST(StopText, WithholdsABeginningUntilItIsDecided) {
  StopText stop({"\n\nUser:"});
  EXPECT_EQ(stop.push("Yes.\n"), "Yes.");
  EXPECT_EQ(stop.push("\nUs"), "");
  EXPECT_EQ(stop.push("ually"), "\n\nUsually");
  EXPECT_EQ(stop.push(".\n\nUser"), ".");
  EXPECT_EQ(stop.push(": more"), "");
  EXPECT_TRUE(stop.found());
  EXPECT_EQ(stop.push("dropped"), "");
  EXPECT_EQ(stop.finish(), "");
}

TEST(StopText, TakesTheFirstOfSeveral) {
  StopText stop({"world", "o"});
  EXPECT_EQ(stop.push("hello world"), "hell");
  EXPECT_TRUE(stop.found());
}

TEST(StopText, GivesOutWhatWasWithheldAtTheEnd) {
  StopText stop({"END"});
  EXPECT_EQ(stop.push("the EN"), "the ");
  EXPECT_EQ(stop.finish(), "EN");
  EXPECT_FALSE(stop.found());
}

TEST(StopText, FindsAStopThatBeginsWithinAFalseBeginning) {
  StopText stop({"aab"});
  EXPECT_EQ(stop.push("a"), "");
  EXPECT_EQ(stop.push("a"), "");
  EXPECT_EQ(stop.push("a"), "a");
  EXPECT_EQ(stop.push("b"), "");
  EXPECT_TRUE(stop.found());
}

}  // namespace
}  // namespace weft::text
