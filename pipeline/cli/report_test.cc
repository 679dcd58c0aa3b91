#include "pipeline/cli/report.h"

#include <gtest/gtest.h>

#include "pipeline/cli/exit_code.h"

namespace weft::cli {
namespace {

TEST(ErrorText, PutsEachFactOnItsOwnLine) {
  const Error error{StatusCode::kNotFound,     "no such model", "node 'a'", "a file", "nothing",
                    "run scripts/fetch_models"};
  EXPECT_EQ(error_text(error, 0),
            "weft: node 'a': no such model\n  expected: a file\n  got: nothing\n  run scripts/fetch_models");
}

TEST(ErrorText, StaysWithinTheTerminal) {
  const Error error{StatusCode::kNotFound, std::string(60, 'x') + " " + std::string(60, 'y'), {}, {}, {}, {}};
  EXPECT_EQ(error_text(error, 80), "weft: " + std::string(60, 'x') + "\n  " + std::string(60, 'y'));
}

TEST(ErrorText, DoesNotPassEscapeSequencesOn) {
  const Error error{StatusCode::kNotFound, "\x1b[31mred", {}, {}, {}, {}};
  EXPECT_EQ(error_text(error, 0), "weft: ^[[31mred");
}

TEST(NearestName, FindsTyposAndOnlyThose) {
  const std::vector<std::string> known = {"run", "validate", "plan", "nodes", "text.generate"};
  EXPECT_EQ(nearest_name("rnu", known), "run");
  EXPECT_EQ(nearest_name("valdate", known), "validate");
  EXPECT_EQ(nearest_name("text.genrate", known), "text.generate");
  EXPECT_EQ(nearest_name("node", known), "nodes");
  EXPECT_EQ(nearest_name("frobnicate", known), "");
  EXPECT_EQ(nearest_name("", {}), "");
}

TEST(ExitCode, IsNeverSuccessForAnError) {
  for (int code = WEFT_INVALID_ARGUMENT; code <= WEFT_INTERNAL; ++code) {
    const int exit_code = exit_code_for(static_cast<StatusCode>(code));
    EXPECT_NE(exit_code, kSuccess) << code;
    EXPECT_TRUE(exit_code <= 125 || exit_code == kInterrupted) << code;
  }
}

}  // namespace
}  // namespace weft::cli
