#include "kernels/device/recent_passes.h"

#include <gtest/gtest.h>

#include <string>

namespace weft {
namespace {

TEST(RecentPasses, KeepWhatCameLatelyAndForgetWhatDidNotComeForLongest) {
  RecentPasses<std::string, int> passes(3);
  for (const char* shape : {"a", "b", "c"}) {
    const auto [kept, known] = passes.find(shape);
    EXPECT_FALSE(known) << shape;
    EXPECT_EQ(*kept, 0);
    *kept = shape[0];
  }
  EXPECT_EQ(*passes.find("a").first, 'a');  // "b" is the oldest now
  EXPECT_FALSE(passes.find("d").second);
  EXPECT_FALSE(passes.find("b").second);
  EXPECT_EQ(*passes.find("a").first, 'a');
  EXPECT_FALSE(passes.find("c").second);
}

TEST(RecentPasses, ForgetTheLastOneAlone) {
  RecentPasses<std::string, int> passes(2);
  *passes.find("a").first = 1;
  *passes.find("b").first = 2;
  EXPECT_TRUE(passes.find("a").second);
  passes.forget_last();
  EXPECT_FALSE(passes.find("a").second);
  EXPECT_EQ(*passes.find("b").first, 2);
  passes.for_each([](int& kept) { kept = 7; });
  EXPECT_EQ(*passes.find("a").first, 7);
}

}  // namespace
}  // namespace weft
