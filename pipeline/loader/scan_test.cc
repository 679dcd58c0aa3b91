// Describing, caching, scanning and loading real libraries: those of tests/plugins/loading.
#include "pipeline/loader/scan.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "pipeline/loader/plugin_library.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path build_folder() {
  const char* folder = std::getenv("WEFT_BUILD_DIR");
  return folder != nullptr ? folder : "build/cpu";
}

std::string library(const std::string& name) {
  return fs::canonical(build_folder() / "tests/plugins/loading" / (name + ".so")).string();
}

DescribeOptions describe_options() {
  return {(build_folder() / "libexec/weft/weft-describe-plugin").string(), std::chrono::milliseconds(5000)};
}

class ScanTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "weft_scan_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    fs::create_directory(folder_ / "plugins");
    options_.folders = {(folder_ / "plugins").string()};
    options_.cache_folder = (folder_ / "cache").string();
    options_.describe = describe_options();
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path add(const std::string& name, const std::string& as) {
    const fs::path path = folder_ / "plugins" / as;
    fs::copy_file(library(name), path, fs::copy_options::overwrite_existing);
    return path;
  }
  size_t cached() const {
    return fs::exists(options_.cache_folder)
               ? static_cast<size_t>(std::distance(fs::directory_iterator(options_.cache_folder), {}))
               : 0;
  }
  // The cache keeps nothing about files that changed a moment ago.
  static void let_settle() { std::this_thread::sleep_for(std::chrono::milliseconds(120)); }

  fs::path folder_;
  ScanOptions options_;
};

TEST(DescribePlugin, DescribesALibraryWithoutLoadingIt) {
  const Result<Description> description = describe_plugin(library("plain"), describe_options());
  ASSERT_TRUE(description.ok()) << to_string(description.error());
  EXPECT_TRUE(description->problems.empty());
  EXPECT_EQ(description->descriptor.path, library("plain"));
  EXPECT_EQ(description->descriptor.sha256.size(), 64u);
  EXPECT_EQ(description->descriptor.nodes.at(0).name, "plain.echo");
  std::ifstream maps("/proc/self/maps");
  const std::string mapped{std::istreambuf_iterator<char>(maps), {}};
  EXPECT_THAT(mapped, testing::Not(HasSubstr("plain.so")));
}

TEST(DescribePlugin, IgnoresWhatALibraryPrints) {
  const Result<Description> description = describe_plugin(library("prints"), describe_options());
  ASSERT_TRUE(description.ok()) << to_string(description.error());
  EXPECT_TRUE(description->problems.empty());
}

TEST(DescribePlugin, DoesNotWaitForAProcessThatTheLibraryLeftBehind) {
  const auto begin = std::chrono::steady_clock::now();
  const Result<Description> description = describe_plugin(library("forks"), describe_options());
  EXPECT_TRUE(description.ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, describe_options().time_limit);
}

struct Broken {
  const char* library;
  StatusCode code;
  const char* reason;
};

class DescribePluginRefuses : public testing::TestWithParam<Broken> {};

TEST_P(DescribePluginRefuses, WithTheReason) {
  DescribeOptions options = describe_options();
  if (std::string(GetParam().library) == "hangs") options.time_limit = std::chrono::milliseconds(300);
  const Result<Description> description = describe_plugin(library(GetParam().library), options);
  ASSERT_FALSE(description.ok());
  EXPECT_EQ(description.code(), GetParam().code) << to_string(description.error());
  EXPECT_THAT(to_string(description.error()), HasSubstr(GetParam().reason));
  EXPECT_THAT(to_string(description.error()), HasSubstr(GetParam().library));
}

#if defined(__SANITIZE_ADDRESS__)
#define WEFT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_SANITIZED 1
#endif
#endif
#ifdef WEFT_SANITIZED
constexpr bool kSanitized = true;  // turns crashes into an exit and its own message
#else
constexpr bool kSanitized = false;
#endif

INSTANTIATE_TEST_SUITE_P(
    Libraries, DescribePluginRefuses,
    testing::Values(Broken{"crashes", StatusCode::kInternal,
                           kSanitized ? "ended the process" : "Segmentation fault"},
                    Broken{"crashes_later", StatusCode::kInternal,
                           kSanitized ? "ended the process" : "Segmentation fault"},
                    Broken{"aborts", StatusCode::kInternal, "licence server not reachable"},
                    Broken{"exits", StatusCode::kInternal, "ended the process"},
                    Broken{"hangs", StatusCode::kTimedOut, "within 300 ms"},
                    Broken{"babbles", StatusCode::kCorruptData, "not a description"},
                    Broken{"wrong_abi", StatusCode::kVersionMismatch, "expected ABI version 0.6, got 7.3"},
                    Broken{"declines", StatusCode::kVersionMismatch, "returned NULL"},
                    Broken{"no_entry", StatusCode::kNotFound, "weft_plugin_entry"},
                    Broken{"undefined_symbol", StatusCode::kIoError, "function_that_no_library_has"},
                    Broken{"missing_dependency", StatusCode::kIoError, "libweft_test_departed.so"}),
    [](const testing::TestParamInfo<Broken>& tested) { return std::string(tested.param.library); });

TEST(DescribePlugin, LimitsTheMemoryThatALibraryTakes) {
  if (kSanitized) GTEST_SKIP() << "skipped: a sanitizer's shadow memory rules out the limit";
  EXPECT_EQ(describe_plugin(library("devours"), describe_options()).code(), StatusCode::kInternal);
}

TEST(DescribePlugin, ListsEveryBrokenRule) {
  const Result<Description> description = describe_plugin(library("missing_metadata"), describe_options());
  ASSERT_TRUE(description.ok()) << to_string(description.error());
  std::string all;
  for (const Error& problem : description->problems) all += to_string(problem) + "\n";
  EXPECT_THAT(all, HasSubstr("plugin: has no license"));
  EXPECT_THAT(all, HasSubstr("node 'plain.echo': help is missing"));
}

TEST(DescribePlugin, SaysWhenItsProgramIsMissing) {
  const Result<Description> description =
      describe_plugin(library("plain"), {"/nowhere/weft-describe-plugin"});
  EXPECT_EQ(description.code(), StatusCode::kNotFound);
  EXPECT_THAT(to_string(description.error()), HasSubstr("/nowhere/weft-describe-plugin"));
}

TEST_F(ScanTest, ReportsBrokenLibrariesAndKeepsTheOthers) {
  add("plain", "good.so");
  add("crashes", "crashes.so");
  add("wrong_abi", "wrong_abi.so");
  add("unknown_port_type", "unknown_port_type.so");
  std::ofstream(folder_ / "plugins/text.so") << "not a library";
  std::ofstream(folder_ / "plugins/empty.so");
  std::ofstream(folder_ / "plugins/readme.txt") << "not looked at";
  fs::copy_file(library("plain"), folder_ / "plugins/truncated.so");
  fs::resize_file(folder_ / "plugins/truncated.so", 1000);
  fs::create_symlink("/nowhere.so", folder_ / "plugins/dangling.so");
  fs::create_directory(folder_ / "plugins/folder.so");

  const Catalog catalog = scan_plugins(options_);
  EXPECT_THAT(catalog.node_names(), testing::ElementsAre("plain.echo"));
  std::map<std::string, std::string> reasons;
  for (const PluginProblem& problem : catalog.problems())
    reasons[fs::path(problem.path).stem().string()] = problem.reason;
  EXPECT_EQ(reasons.size(), 8u);
  EXPECT_THAT(reasons["crashes"], HasSubstr(kSanitized ? "ended" : "crashed"));
  EXPECT_THAT(reasons["wrong_abi"], HasSubstr("another version of the plugin contract"));
  EXPECT_THAT(reasons["unknown_port_type"], HasSubstr("there is no such port type"));
  EXPECT_THAT(reasons["text"], HasSubstr("file too short"));
  EXPECT_THAT(reasons["empty"], HasSubstr("file too short"));
  EXPECT_FALSE(reasons["truncated"].empty());
  EXPECT_THAT(reasons["dangling"], HasSubstr("No such file"));
  EXPECT_THAT(reasons["folder"], HasSubstr("not a regular file"));
}

TEST_F(ScanTest, CountsAFileReachedTwiceOnce) {
  add("plain", "plain.so");
  fs::create_symlink(folder_ / "plugins/plain.so", folder_ / "plugins/again.so");
  options_.folders.push_back(options_.folders[0] + "/.");
  options_.folders.push_back((folder_ / "missing").string());
  const Catalog catalog = scan_plugins(options_);
  EXPECT_EQ(catalog.plugins().size(), 1u);
  EXPECT_TRUE(catalog.problems().empty());
}

TEST_F(ScanTest, TakesDescriptionsOfUnchangedFilesFromTheCache) {
  const fs::path path = add("plain", "plain.so");
  let_settle();
  const Catalog first = scan_plugins(options_);
  EXPECT_EQ(cached(), 1u);
  options_.describe.program = "/nowhere";  // whoever asks a child now, fails
  const Catalog second = scan_plugins(options_);
  ASSERT_EQ(second.plugins().size(), 1u);
  EXPECT_EQ(second.plugins()[0], first.plugins()[0]);
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(1));
  EXPECT_EQ(scan_plugins(options_).problems().size(), 1u);
}

TEST_F(ScanTest, DoesNotTrustADamagedCache) {
  add("plain", "plain.so");
  let_settle();
  scan_plugins(options_);
  for (const fs::directory_entry& entry : fs::directory_iterator(options_.cache_folder))
    fs::resize_file(entry.path(), 40);
  EXPECT_EQ(scan_plugins(options_).plugins().size(), 1u);
}

TEST_F(ScanTest, GoesOnWithoutACacheItCannotWrite) {
  add("plain", "plain.so");
  add("prints", "prints.so");
  let_settle();
  std::ofstream(folder_ / "file") << "in the way";
  options_.cache_folder = (folder_ / "file/cache").string();
  std::vector<std::string> warnings;
  const Catalog catalog = scan_plugins(options_, &warnings);
  EXPECT_EQ(catalog.plugins().size() + catalog.problems().size(), 2u);
  EXPECT_EQ(warnings.size(), 1u);
}

TEST_F(ScanTest, ScansOnePluginByItsPath) {
  const fs::path path = add("plain", "plain.so");
  const Result<PluginDescriptor> plugin = scan_plugin(path.string(), options_);
  ASSERT_TRUE(plugin.ok()) << to_string(plugin.error());
  EXPECT_EQ(plugin->name, "plain");
  EXPECT_EQ(scan_plugin("/nowhere.so", options_).code(), StatusCode::kNotFound);
  EXPECT_EQ(scan_plugin(library("missing_metadata"), options_).code(), StatusCode::kInvalidArgument);
}

TEST_F(ScanTest, LoadsWhatWasDescribed) {
  add("plain", "plain.so");
  const Catalog catalog = scan_plugins(options_);
  const Result<PluginLibrary> library = PluginLibrary::open(*catalog.find_node("plain.echo").plugin);
  ASSERT_TRUE(library.ok()) << to_string(library.error());
  ASSERT_NE(library->node_type("plain.echo"), nullptr);
  EXPECT_STREQ(library->node_type("plain.echo")->name, "plain.echo");
  EXPECT_EQ(library->node_type("plain.other"), nullptr);
  EXPECT_EQ(library->model_type("plain.echo"), nullptr);
}

TEST_F(ScanTest, RefusesToLoadAFileThatWasReplaced) {
  const fs::path path = add("plain", "plain.so");
  const Catalog catalog = scan_plugins(options_);
  fs::remove(path);
  add("prints", "plain.so");
  const Result<PluginLibrary> library = PluginLibrary::open(catalog.plugins().at(0));
  ASSERT_FALSE(library.ok());
  EXPECT_EQ(library.code(), StatusCode::kVersionMismatch);
  EXPECT_THAT(library.error().hint, HasSubstr("replaced"));
}

TEST_F(ScanTest, RefusesAPluginThatDescribesItselfDifferently) {
  add("plain", "plain.so");
  PluginDescriptor descriptor = scan_plugins(options_).plugins().at(0);
  descriptor.nodes[0].version = 99;
  EXPECT_EQ(PluginLibrary::open(descriptor).code(), StatusCode::kVersionMismatch);
}

}  // namespace
}  // namespace weft
