// `weft check` on plugins that are broken in one way each: the report names the failure, and nothing else fails.
#include "pipeline/check/check.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "pipeline/check/checks.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path build_folder() {
  const char* folder = std::getenv("WEFT_BUILD_DIR");
  return fs::absolute(folder != nullptr ? folder : "build/cpu");
}

CheckOptions options() {
  CheckOptions options;
  options.describe.program = (build_folder() / "libexec/weft/weft-describe-plugin").string();
  options.check_program = (build_folder() / "libexec/weft/weft-check-node").string();
  return options;
}

CheckReport check(const fs::path& below_build) {
  return check_plugin((build_folder() / below_build).string(), options());
}

std::vector<CheckResult> failures(const CheckReport& report) {
  std::vector<CheckResult> failed;
  for (const CheckResult& result : report.results) {
    if (result.verdict == Verdict::kFailed) failed.push_back(result);
  }
  return failed;
}

const CheckResult* find(const CheckReport& report, const std::string& node, const std::string& check) {
  for (const CheckResult& result : report.results) {
    if (result.node == node && result.check == check) return &result;
  }
  return nullptr;
}

constexpr const char* kNodeChecks[] = {checks::kExecution,   checks::kExceptions, checks::kErrors,
                                       checks::kRequests,    checks::kMemory,     checks::kReferences,
                                       checks::kDeterminism, checks::kBatching,   checks::kCancellation};

void expect_all_passed(const CheckReport& report, const std::string& node) {
  for (const char* name : kNodeChecks) {
    const CheckResult* result = find(report, node, name);
    ASSERT_NE(result, nullptr) << name;
    EXPECT_EQ(result->verdict, Verdict::kPassed) << name << ": " << result->detail;
  }
}

TEST(Check, PassesThePluginTemplate) {
  const CheckReport report = check("lib/weft/plugins/template.so");
  EXPECT_TRUE(report.passed()) << to_text(report);
  expect_all_passed(report, "template.shout");
  expect_all_passed(report, "template.scale");
}

TEST(Check, PassesPlainPlugins) {
  for (const char* name : {"works_alone", "right_shape"}) {
    const CheckReport report = check(fs::path("tests/plugins/behaviour") / (std::string(name) + ".so"));
    EXPECT_TRUE(report.passed()) << to_text(report);
    expect_all_passed(report, "plain.echo");
  }
}

struct Broken {
  const char* library;  // below tests/plugins
  const char* check;    // that fails
  const char* detail;   // a part of what is said
};

class CheckNames : public testing::TestWithParam<Broken> {};

TEST_P(CheckNames, TheFailure) {
  const CheckReport report = check(fs::path("tests/plugins") / (std::string(GetParam().library) + ".so"));
  EXPECT_FALSE(report.passed());
  bool named = false;
  for (const CheckResult& result : failures(report)) {
    named = named ||
            (result.check == GetParam().check && result.detail.find(GetParam().detail) != std::string::npos);
  }
  EXPECT_TRUE(named) << to_text(report);
}

INSTANTIATE_TEST_SUITE_P(
    Plugins, CheckNames,
    testing::Values(
        Broken{"loading/wrong_abi", checks::kDescriptor, "another version of the plugin contract"},
        Broken{"loading/missing_metadata", checks::kDescriptor, "license"},
        Broken{"loading/unknown_port_type", checks::kDescriptor, "there is no such port type"},
        Broken{"loading/crashes", checks::kDescriptor, "asked for its descriptor"},
        Broken{"behaviour/throws", checks::kExceptions, "an exception left execute: the kettle is empty"},
        Broken{"behaviour/crashes_at_work", checks::kExecution, ""},
        Broken{"behaviour/exits_at_work", checks::kExecution, "ended the process"},
        Broken{"behaviour/wrong_shape", checks::kRequests, "bound"},
        Broken{"behaviour/wrong_type", checks::kRequests, "type"},
        Broken{"behaviour/sets_nothing", checks::kRequests, "output 'text' is not optional and was not set"},
        Broken{"behaviour/forgets_further_outputs", checks::kRequests,
               "output 'further' is not optional and was not set (a further output)"},
        Broken{"behaviour/completes_twice", checks::kRequests, "twice"},
        Broken{"behaviour/never_completes", checks::kRequests, "never completed"},
        Broken{"behaviour/overruns_output", checks::kMemory, "numbers"},
        Broken{"behaviour/overruns_workspace", checks::kMemory, ""},
        Broken{"behaviour/leaks_buffer", checks::kReferences, "a buffer of 8 bytes ('numbers')"},
        Broken{"behaviour/leaks_value", checks::kReferences, "a value (text)"},
        Broken{"behaviour/releases_twice", checks::kReferences, "that it did not own"},
        Broken{"behaviour/ignores_cancel", checks::kCancellation, "after it was cancelled"},
        Broken{"behaviour/hangs_at_work", checks::kCancellation, "after it was cancelled"},
        Broken{"behaviour/random_but_pure", checks::kDeterminism, "another result the second time"},
        Broken{"behaviour/depends_on_batch", checks::kBatching, "another result in a batch"},
        Broken{"behaviour/fails_silently", checks::kErrors, "without a message"}),
    [](const testing::TestParamInfo<Broken>& tested) {
      return fs::path(tested.param.library).filename().string();
    });

TEST(Check, GoesOnWithTheOtherPassesAfterACrash) {
  const CheckReport report = check("tests/plugins/behaviour/crashes_at_work.so");
  for (const char* pass : checks::kPasses) {
    const CheckResult* result = find(report, "plain.echo", pass);
    ASSERT_NE(result, nullptr) << pass;
    EXPECT_EQ(result->verdict, Verdict::kFailed) << pass;
  }
}

TEST(Check, ReportsAFileThatIsNoPlugin) {
  const CheckReport report = check_plugin("README.md", options());
  ASSERT_EQ(failures(report).size(), 1u);
  EXPECT_EQ(failures(report)[0].check, checks::kDescriptor);
  EXPECT_FALSE(check_plugin("/nowhere.so", options()).passed());
}

TEST(CheckReportText, HasALineAResultAndASum) {
  CheckReport report;
  report.path = "/a.so";
  report.results = {{"", "descriptor", Verdict::kPassed, ""},
                    {"a.b", "memory", Verdict::kFailed, "wrote outside"},
                    {"a.c", "execution", Verdict::kNotExercised, "needs a model"}};
  EXPECT_EQ(to_text(report),
            "passed         descriptor\n"
            "FAILED         a.b memory: wrote outside\n"
            "not exercised  a.c execution: needs a model\n"
            "/a.so: 1 passed, 1 failed, 1 not exercised\n");
  EXPECT_THAT(to_json(report), HasSubstr("\"verdict\":\"not exercised\""));
  EXPECT_THAT(to_json(report), HasSubstr("\"passed\":false"));
}

}  // namespace
}  // namespace weft
