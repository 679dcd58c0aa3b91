#include "pipeline/run/input_files.h"

#include <gtest/gtest.h>
#include <weft/sdk/error.h>

#include <climits>
#include <fstream>

namespace weft {
namespace {

namespace fs = std::filesystem;

class KnownFilesTest : public ::testing::Test {
 protected:
  KnownFilesTest() {
    std::string pattern = (fs::temp_directory_path() / "weft-known-XXXXXX").string();
    folder_ = fs::canonical(::mkdtemp(pattern.data()));
    std::ofstream(folder_ / "a.txt") << "x";
  }
  ~KnownFilesTest() override { fs::remove_all(folder_); }

  Result<std::string> resolve(const char* path, size_t capacity = PATH_MAX) {
    std::string out(capacity, '\0');
    const weft_known_files_api* api = files_.api();
    const Status status = sdk::checked(
        [&](weft_error* error) { return api->resolve(api->self, path, out.data(), out.size(), error); });
    if (!status.ok()) return status;
    return std::string(out.c_str());
  }

  fs::path folder_;
  KnownFiles files_;
  const std::optional<std::set<std::string>> anything_;
};

TEST_F(KnownFilesTest, AreFoundFromThePipelinesFolderWhileARunIsPrepared) {
  EXPECT_EQ(resolve("a.txt").code(), StatusCode::kNotFound);
  {
    const KnownFiles::Scope scope(files_, folder_, anything_);
    EXPECT_EQ(*resolve("a.txt"), folder_ / "a.txt");
    EXPECT_EQ(*resolve((folder_ / "./a.txt").c_str()), folder_ / "a.txt");
    EXPECT_EQ(resolve("b.txt").code(), StatusCode::kNotFound);
    EXPECT_EQ(resolve("").code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(resolve(".").code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(resolve("a.txt", 5).code(), StatusCode::kOutOfRange);
    StatusCode elsewhere = StatusCode::kOk;
    std::thread([&] { elsewhere = resolve("a.txt").code(); }).join();
    EXPECT_EQ(elsewhere, StatusCode::kNotFound);
  }
  EXPECT_EQ(resolve("a.txt").code(), StatusCode::kNotFound);
}

TEST_F(KnownFilesTest, ObeyWhatTheRunMayRead) {
  std::ofstream(folder_ / "b.txt") << "x";
  const std::optional<std::set<std::string>> only_a = std::set<std::string>{(folder_ / "a.txt").string()};
  const KnownFiles::Scope scope(files_, folder_, only_a);
  EXPECT_TRUE(resolve("a.txt").ok());
  EXPECT_EQ(resolve("b.txt").code(), StatusCode::kPermissionDenied);
  {
    const KnownFiles::Scope inner(files_, folder_, anything_);
    EXPECT_TRUE(resolve("b.txt").ok());
  }
  EXPECT_EQ(resolve("b.txt").code(), StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace weft
