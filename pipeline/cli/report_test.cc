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

TEST(ExitCode, IsNeverSuccessForAnError) {
  for (int code = WEFT_INVALID_ARGUMENT; code <= static_cast<int>(kLastStatusCode); ++code) {
    const int exit_code = exit_code_for(static_cast<StatusCode>(code));
    EXPECT_NE(exit_code, kSuccess) << code;
    EXPECT_TRUE(exit_code <= 125 || exit_code == kInterrupted) << code;
  }
}

TEST(Report, LeavesOutPlacesInAPipelineThatTheUserHasNotSeen) {
  const auto where = [](const std::string& given) {
    return without_pipeline_places(Error{StatusCode::kNotFound, "m", given, {}, {}, {}}).where;
  };
  EXPECT_EQ(where("chat:1:102, node 'chat', model 'model' (chat:1:67)"), "");
  EXPECT_EQ(where("chat:1:102, node 'chat', model 'model' (chat:1:67), /m/bad.gguf, offset 8"),
            "/m/bad.gguf, offset 8");
  EXPECT_EQ(where("node 'chat', /m/a:1:2, offset 8"), "/m/a:1:2, offset 8");
  EXPECT_EQ(where("node 'load', element 12, /m/a.png"), "/m/a.png");
  EXPECT_EQ(where("node 'load', element a, b"), "element a, b");
  EXPECT_EQ(where("node 'chat'"), "");
  EXPECT_EQ(where(""), "");
}

}  // namespace
}  // namespace weft::cli
