#include "kernels/cpu/isa.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace weft {
namespace {

TEST(Isa, EveryLevelBelowAnAvailableOneIsAvailable) {
  EXPECT_TRUE(isa_available(IsaLevel::kScalar));
  for (int level = 1; level < kIsaLevelCount; ++level) {
    if (isa_available(static_cast<IsaLevel>(level))) {
      EXPECT_TRUE(isa_available(static_cast<IsaLevel>(level - 1)));
    }
  }
  EXPECT_TRUE(isa_available(active_isa()));
}

TEST(Isa, AgreesWithTheCompilersDetection) {
  __builtin_cpu_init();
  EXPECT_EQ(isa_available(IsaLevel::kAvx2), __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
  EXPECT_EQ(isa_available(IsaLevel::kAvx512Vnni), __builtin_cpu_supports("avx512vnni") != 0);
}

// The choice is made once a process, so each request is tried in a process of its own.
class IsaRequest : public ::testing::Test {
 protected:
  void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

void exit_with_request_state(const char* expected_level) {
  const Status status = check_isa_request();
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", to_string(status.error()).c_str());
    std::exit(2);
  }
  std::exit(std::string(expected_level) == to_string(active_isa()) ? 0 : 3);
}

TEST_F(IsaRequest, ForcesEveryAvailableLevelAndRefusesTheOthers) {
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const IsaLevel level = static_cast<IsaLevel>(i);
    const char* name = to_string(level);
    setenv("WEFT_ISA", name, 1);
    if (isa_available(level)) {
      EXPECT_EXIT(exit_with_request_state(name), ::testing::ExitedWithCode(0), "");
    } else {
      EXPECT_EXIT(exit_with_request_state(name), ::testing::ExitedWithCode(2),
                  "expected at most .*got " + std::string(name));
    }
  }
  unsetenv("WEFT_ISA");
}

TEST_F(IsaRequest, UsesTheHighestLevelButForIntelsBf16WithoutTiles) {
  __builtin_cpu_init();
  int level = kIsaLevelCount - 1;
  while (!isa_available(static_cast<IsaLevel>(level))) --level;
  if (static_cast<IsaLevel>(level) == IsaLevel::kAvx512Bf16 && __builtin_cpu_is("intel")) --level;
  unsetenv("WEFT_ISA");
  EXPECT_EXIT(exit_with_request_state(to_string(static_cast<IsaLevel>(level))), ::testing::ExitedWithCode(0),
              "");
}

TEST_F(IsaRequest, RefusesAnUnknownName) {
  setenv("WEFT_ISA", "avx3", 1);
  EXPECT_EXIT(exit_with_request_state("avx3"), ::testing::ExitedWithCode(2),
              "expected scalar, avx2.*got 'avx3'");
  unsetenv("WEFT_ISA");
}

}  // namespace
}  // namespace weft
