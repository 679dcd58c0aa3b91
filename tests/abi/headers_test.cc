// Each header of the contract compiles alone, as C and as C++, in every version that plugin authors use; each header of
// the SDK compiles alone as C++20.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/abi/command.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> headers_below(const char* folder) {
  std::vector<fs::path> headers;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".h") headers.push_back(entry.path());
  }
  return headers;
}

struct Compiler {
  const char* name;
  const char* c;
  const char* cxx;
};

class Headers : public testing::TestWithParam<Compiler> {
 protected:
  void SetUp() override {
    if (!command_exists(GetParam().c) || !command_exists(GetParam().cxx)) {
      GTEST_SKIP() << "skipped: " << GetParam().name << " is not installed";
    }
    const char* build = std::getenv("WEFT_BUILD_DIR");
    include_ = fs::path(build != nullptr ? build : "build/cpu") / "include";
  }

  // One invocation for all headers of a version: each is its own translation unit.
  void expect_compiles(const std::string& compiler, const std::string& language, const std::string& standard,
                       const std::vector<fs::path>& headers) const {
    std::string command = compiler + " -std=" + standard +
                          " -fsyntax-only -Wall -Wextra -Wpedantic -Werror -I" + include_.string() + " -x " +
                          language;
    for (const fs::path& header : headers) command += " " + header.string();
    const CommandOutcome outcome = run_command(command);
    EXPECT_EQ(outcome.exit_status, 0) << command << "\n" << outcome.output;
  }

  fs::path include_;
};

TEST_P(Headers, OfTheContractCompileAloneAsC) {
  const std::vector<fs::path> headers = headers_below("pipeline/abi");
  ASSERT_GE(headers.size(), 11u);
  for (const char* standard : {"c11", "c17"}) expect_compiles(GetParam().c, "c", standard, headers);
}

TEST_P(Headers, OfTheContractCompileAloneAsCxx) {
  for (const char* standard : {"c++11", "c++14", "c++17", "c++20", "c++2b"}) {
    expect_compiles(GetParam().cxx, "c++", standard, headers_below("pipeline/abi"));
  }
}

TEST_P(Headers, OfTheSdkCompileAsCxx20) {
  expect_compiles(GetParam().cxx, "c++", "c++20", {"pipeline/sdk/plugin.h"});
}

TEST(SdkHeaders, CompileAlone) {
  const char* build = std::getenv("WEFT_BUILD_DIR");
  const fs::path include = fs::path(build != nullptr ? build : "build/cpu") / "include";
  std::string command =
      "g++ -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -I" + include.string() + " -x c++";
  for (const fs::path& header : headers_below("pipeline/sdk")) command += " " + header.string();
  const CommandOutcome outcome = run_command(command);
  EXPECT_EQ(outcome.exit_status, 0) << command << "\n" << outcome.output;
}

INSTANTIATE_TEST_SUITE_P(Compilers, Headers,
                         testing::Values(Compiler{"gcc", "gcc", "g++"},
                                         Compiler{"clang", "clang-14", "clang++-14"}),
                         [](const testing::TestParamInfo<Compiler>& tested) {
                           return std::string(tested.param.name);
                         });

}  // namespace
}  // namespace weft
