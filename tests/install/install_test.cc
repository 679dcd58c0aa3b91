// What a plugin author does, step by step: install Weft, start a plugin, configure and build it elsewhere, check it.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "pipeline/check/check.h"
#include "pipeline/new_plugin/new_plugin.h"
#include "tests/abi/command.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

fs::path build_folder() {
  const char* folder = std::getenv("WEFT_BUILD_DIR");
  return fs::absolute(folder != nullptr ? folder : "build/cpu");
}

class OutOfTree : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "weft_out_of_tree_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  static void expect_success(const std::string& command) {
    const CommandOutcome outcome = run_command(command);
    EXPECT_EQ(outcome.exit_status, 0) << command << "\n" << outcome.output;
  }

  // Starts plugin "sharpen" from the prefix's template, builds it against the prefix, and checks it with the prefix's
  // programs.
  void build_and_check_against(const fs::path& prefix) {
    const Result<NewPlugin> plugin = new_plugin("sharpen", folder_, prefix / "share/weft/template");
    ASSERT_TRUE(plugin.ok()) << to_string(plugin.error());
    const std::string build = (plugin->folder / "build").string();
    expect_success("cmake -S " + plugin->folder.string() + " -B " + build +
                   " -G Ninja -DCMAKE_PREFIX_PATH=" + prefix.string());
    expect_success("cmake --build " + build);
    const fs::path library = fs::path(build) / "sharpen.so";
    ASSERT_TRUE(fs::exists(library));

    CheckOptions options;
    options.describe.program = (prefix / "libexec/weft/weft-describe-plugin").string();
    options.check_program = (prefix / "libexec/weft/weft-check-node").string();
    const CheckReport report = check_plugin(library.string(), options);
    EXPECT_TRUE(report.passed()) << to_text(report);
    EXPECT_EQ(report.descriptor.name, "sharpen");
    EXPECT_EQ(report.descriptor.nodes.at(0).name, "sharpen.shout");

    expect_success("cmake --install " + build + " --prefix " + (folder_ / "installed").string());
    EXPECT_TRUE(fs::exists(folder_ / "installed/lib/weft/plugins/sharpen.so"));
  }

  fs::path folder_;
};

TEST_F(OutOfTree, PluginBuildsAgainstTheBuildTreeAndPassesTheCheck) {
  build_and_check_against(build_folder());
}

TEST_F(OutOfTree, PluginBuildsAgainstAnInstalledPrefixAndPassesTheCheck) {
  const fs::path prefix = folder_ / "prefix";
  expect_success("cmake --install " + build_folder().string() + " --component plugin_sdk --prefix " +
                 prefix.string());
  EXPECT_FALSE(fs::exists(prefix / "include/weft/abi/README.md"));
  build_and_check_against(prefix);
}

// The whole of it, with the installed program.
TEST_F(OutOfTree, InstalledProgramRunsAPipelineWithANewPlugin) {
  if (!fs::exists(build_folder() / "bin/weft")) GTEST_SKIP() << "skipped: the program is not built";
  const fs::path prefix = folder_ / "prefix";
  expect_success("cmake --install " + build_folder().string() + " --prefix " + prefix.string());
  const std::string weft = "env -u WEFT_PLUGINS XDG_CACHE_HOME=" + (folder_ / "cache").string() + " " +
                           (prefix / "bin/weft").string();
  expect_success("cd " + folder_.string() + " && " + weft + " new-plugin sharpen");
  expect_success("cmake -S " + (folder_ / "sharpen").string() + " -B " + (folder_ / "build").string() +
                 " -G Ninja -DCMAKE_PREFIX_PATH=" + prefix.string());
  expect_success("cmake --build " + (folder_ / "build").string());
  expect_success(weft + " check " + (folder_ / "build/sharpen.so").string());
  expect_success("cmake --install " + (folder_ / "build").string() + " --prefix " + prefix.string());

  std::ofstream(folder_ / "loud.json") << R"({"weft": 1, "name": "loud", "inputs": {"what": {"type": "text"}},
    "nodes": {"loud": {"uses": "sharpen.shout", "in": {"text": "inputs.what"}, "with": {"marks": 2}}},
    "outputs": {"text": "loud.text"}})";
  const CommandOutcome outcome =
      run_command("cd " + folder_.string() + " && " + weft + " run loud.json --set what='hello weft' --json");
  EXPECT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, testing::HasSubstr("HELLO WEFT!!"));

  // The models that ship are found in the prefix, and whole: clip shares files with the model around it.
  const CommandOutcome models =
      run_command("env -u WEFT_MODELS XDG_DATA_HOME=" + folder_.string() + " " + weft + " models");
  EXPECT_EQ(models.exit_status, 0) << models.output;
  EXPECT_THAT(models.output, testing::HasSubstr((prefix / "share/weft/models/emoji/clip").string()));
  EXPECT_THAT(models.output, testing::Not(testing::HasSubstr("cannot be read")));
}

TEST_F(OutOfTree, VersionThatIsNotInstalledIsRefused) {
  std::ofstream(folder_ / "CMakeLists.txt") << "cmake_minimum_required(VERSION 3.25)\nproject(p NONE)\n"
                                               "find_package(weft 7.0 REQUIRED)\n";
  const CommandOutcome outcome =
      run_command("cmake -S " + folder_.string() + " -B " + (folder_ / "b").string() +
                  " -DCMAKE_PREFIX_PATH=" + build_folder().string());
  EXPECT_NE(outcome.exit_status, 0);
  EXPECT_THAT(outcome.output, testing::HasSubstr("7.0"));
}

}  // namespace
}  // namespace weft
