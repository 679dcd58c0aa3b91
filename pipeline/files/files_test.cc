#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "pipeline/files/content_hash.h"
#include "pipeline/files/durable_file.h"
#include "pipeline/files/folders.h"
#include "pipeline/files/path_policy.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "weft-files-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

size_t count_files(const fs::path& folder) {
  size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) count += entry.is_regular_file();
  return count;
}

/// Fails the nth call, and with Persistence::kAlways every later one.
class FailingFileSystem : public FileSystem {
 public:
  enum class Persistence { kOnce, kAlways };
  FailingFileSystem(int nth, int error_number, Persistence persistence)
      : countdown_(nth), error_number_(error_number), persistence_(persistence) {}
  int open(const char* path, int flags, mode_t mode) override {
    return fails() ? -1 : FileSystem::open(path, flags, mode);
  }
  ssize_t write(int fd, const void* data, size_t size) override {
    if (fails()) return -1;
    return FileSystem::write(fd, data, std::min<size_t>(size, 3));  // short writes are legal
  }
  int fsync(int fd) override { return fails() ? -1 : FileSystem::fsync(fd); }
  int close(int fd) override {
    const int result = FileSystem::close(fd);  // the descriptor is gone even where close fails
    return fails() ? -1 : result;
  }
  int rename(const char* from, const char* to) override {
    return fails() ? -1 : FileSystem::rename(from, to);
  }

 private:
  bool fails() {
    --countdown_;
    const bool failing = countdown_ == 0 || (persistence_ == Persistence::kAlways && countdown_ < 0);
    if (failing) errno = error_number_;
    return failing;
  }
  int countdown_;
  int error_number_;
  Persistence persistence_;
};

TEST(DurableFile, AppearsOnlyOnCommit) {
  TemporaryFolder folder;
  FileSystem file_system;
  TemporaryFiles temporaries(file_system);
  const fs::path path = folder.path() / "poem.txt";
  auto file = DurableFile::create(temporaries, path);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->write("roses").ok());
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(temporaries.count(), 1u);
  ASSERT_TRUE(file->commit().ok());
  EXPECT_EQ(read(path), "roses");
  EXPECT_EQ(count_files(folder.path()), 1u);
  EXPECT_EQ(temporaries.count(), 0u);
}

TEST(DurableFile, LeavesNothingWithoutCommitAndKeepsTheOldContent) {
  TemporaryFolder folder;
  FileSystem file_system;
  TemporaryFiles temporaries(file_system);
  const fs::path path = folder.path() / "a";
  ASSERT_TRUE(write_durably(temporaries, path, "old").ok());
  {
    auto file = DurableFile::create(temporaries, path);
    ASSERT_TRUE(file->write("new").ok());
  }
  EXPECT_EQ(read(path), "old");
  EXPECT_EQ(count_files(folder.path()), 1u);
}

TEST(DurableFile, HonoursTheUmask) {
  TemporaryFolder folder;
  FileSystem file_system;
  TemporaryFiles temporaries(file_system);
  const mode_t before = ::umask(027);
  ASSERT_TRUE(write_durably(temporaries, folder.path() / "a", "x").ok());
  ::umask(before);
  struct stat info;
  ASSERT_EQ(::stat((folder.path() / "a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST(DurableFile, TakesNamesAsLongAsTheFileSystemDoes) {
  TemporaryFolder folder;
  FileSystem file_system;
  TemporaryFiles temporaries(file_system);
  const fs::path path = folder.path() / std::string(255, 'n');
  EXPECT_TRUE(write_durably(temporaries, path, "x").ok());
  EXPECT_EQ(read(path), "x");
}

TEST(DurableFile, SyncsFileAndFolderUnlessToldOtherwise) {
  struct CountingFileSystem : FileSystem {
    int syncs = 0;
    int fsync(int fd) override { return ++syncs, FileSystem::fsync(fd); }
  } file_system;
  TemporaryFolder folder;
  TemporaryFiles temporaries(file_system);
  for (const auto& [sync, syncs] : {std::pair{Sync::kYes, 2}, std::pair{Sync::kNo, 0}}) {
    file_system.syncs = 0;
    auto file = DurableFile::create(temporaries, folder.path() / "a");
    ASSERT_TRUE(file.ok() && file->write("x").ok() && file->commit(sync).ok());
    EXPECT_EQ(file_system.syncs, syncs);
    EXPECT_EQ(read(folder.path() / "a"), "x");
  }
}

struct Fault {
  int error_number;
  FailingFileSystem::Persistence persistence;
};
class DurableFileFaults : public testing::TestWithParam<Fault> {};

TEST_P(DurableFileFaults, EveryFailingCallIsReportedAndNothingIsLeft) {
  int failures = 0;
  for (int nth = 1; nth < 30; ++nth) {
    TemporaryFolder folder;
    const fs::path path = folder.path() / "poem.txt";
    std::ofstream(path) << "old";
    FailingFileSystem file_system(nth, GetParam().error_number, GetParam().persistence);
    TemporaryFiles temporaries(file_system);
    const Status status = write_durably(temporaries, path, "a longer text");
    EXPECT_EQ(temporaries.count(), 0u) << "call " << nth;
    EXPECT_EQ(count_files(folder.path()), 1u) << "call " << nth;
    if (status.ok()) {
      EXPECT_EQ(read(path), "a longer text");
      continue;
    }
    ++failures;
    EXPECT_EQ(status.code(), StatusCode::kIoError);
    EXPECT_NE(to_string(status.error()).find(folder.path().string()), std::string::npos)
        << to_string(status.error());
    EXPECT_TRUE(read(path) == "old" || read(path) == "a longer text") << "half a file";
  }
  EXPECT_GE(failures, 8);  // open, five writes, fsync, close, rename, folder
}
INSTANTIATE_TEST_SUITE_P(Errors, DurableFileFaults,
                         testing::Values(Fault{ENOSPC, FailingFileSystem::Persistence::kOnce},
                                         Fault{EIO, FailingFileSystem::Persistence::kOnce},
                                         Fault{EIO, FailingFileSystem::Persistence::kAlways}));

TEST(TemporaryFiles, RemovesAllAndRefusesMore) {
  TemporaryFolder folder;
  FileSystem file_system;
  TemporaryFiles temporaries(file_system);
  auto a = DurableFile::create(temporaries, folder.path() / "a");
  auto b = DurableFile::create(temporaries, folder.path() / "b");
  temporaries.remove_all_and_close();
  EXPECT_EQ(count_files(folder.path()), 0u);
  EXPECT_EQ(a->commit().code(), StatusCode::kCancelled);
  EXPECT_EQ(DurableFile::create(temporaries, folder.path() / "c").code(), StatusCode::kCancelled);
  EXPECT_EQ(count_files(folder.path()), 0u);
}

TEST(TemporaryFiles, AnAdoptedFileGoesWithTheProcess) {
  TemporaryFolder folder;
  FileSystem file_system;
  {
    TemporaryFiles temporaries(file_system);
    for (const char* name : {"removed", "left", "stays"}) std::ofstream(folder.path() / name) << "x";
    temporaries.adopt(folder.path() / "removed");
    temporaries.adopt(folder.path() / "left");
    temporaries.adopt(folder.path() / "left");  // made anew
    EXPECT_EQ(temporaries.count(), 2u);
    temporaries.remove(folder.path() / "removed");
    EXPECT_EQ(count_files(folder.path()), 2u);
    temporaries.remove_all_and_close();
    EXPECT_EQ(count_files(folder.path()), 1u);
    std::ofstream(folder.path() / "late") << "x";
    temporaries.adopt(folder.path() / "late");
  }
  EXPECT_EQ(count_files(folder.path()), 1u);
  EXPECT_TRUE(fs::exists(folder.path() / "stays"));
}

struct PathCase {
  const char* path;
  StatusCode code;
};
class PathPolicy : public testing::TestWithParam<PathCase> {};

TEST_P(PathPolicy, AllowsOnlyPlacesBelowTheFolder) {
  TemporaryFolder outside, folder;
  fs::create_directory(folder.path() / "inside");
  fs::create_directory_symlink(outside.path(), folder.path() / "escape");
  fs::create_directory_symlink("inside", folder.path() / "loop");
  fs::create_symlink(outside.path() / "x", folder.path() / "link.txt");
  fs::create_symlink(outside.path() / "none", folder.path() / "dangling");
  std::ofstream(folder.path() / "file") << "x";
  std::vector<fs::path> created;
  const auto place = place_below(folder.path(), GetParam().path, created);
  EXPECT_EQ(place.code(), GetParam().code) << GetParam().path;
  if (place.ok()) {
    EXPECT_TRUE(fs::exists(place->parent_path()));
  }
  EXPECT_EQ(count_files(outside.path()), 0u);
}
INSTANTIATE_TEST_SUITE_P(
    Paths, PathPolicy,
    testing::Values(PathCase{"a.txt", StatusCode::kOk}, PathCase{"new/deep/a.txt", StatusCode::kOk},
                    PathCase{"./a.txt", StatusCode::kOk}, PathCase{"inside/a.txt", StatusCode::kOk},
                    PathCase{"loop/a.txt", StatusCode::kOk}, PathCase{"file", StatusCode::kOk},
                    PathCase{"..a/b..txt", StatusCode::kOk}, PathCase{"", StatusCode::kInvalidArgument},
                    PathCase{"/etc/passwd", StatusCode::kPermissionDenied},
                    PathCase{"../a.txt", StatusCode::kPermissionDenied},
                    PathCase{"inside/../../a.txt", StatusCode::kPermissionDenied},
                    PathCase{"inside/../a.txt", StatusCode::kPermissionDenied},
                    PathCase{"escape/a.txt", StatusCode::kPermissionDenied},
                    PathCase{"link.txt", StatusCode::kPermissionDenied},
                    PathCase{"dangling", StatusCode::kPermissionDenied},
                    PathCase{"file/a.txt", StatusCode::kPermissionDenied},
                    PathCase{"inside", StatusCode::kPermissionDenied},
                    PathCase{"inside/", StatusCode::kPermissionDenied},
                    PathCase{".", StatusCode::kPermissionDenied},
                    PathCase{"a\nb", StatusCode::kPermissionDenied}));

TEST(PathPolicy, NamesTheFoldersThatItMade) {
  TemporaryFolder folder;
  std::vector<fs::path> created;
  ASSERT_TRUE(place_below(folder.path(), "a/b/c.txt", created).ok());
  const fs::path root = fs::canonical(folder.path());
  EXPECT_EQ(created, (std::vector<fs::path>{root / "a", root / "a/b"}));
}

TEST(ContentHash, AgreesWithPublishedVectors) {
  // FIPS 180-2, appendix B.1, and the empty message.
  EXPECT_EQ(sha256_of_text("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of_text(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(ContentHash, FileEqualsTextAndMissingFileIsNotFound) {
  TemporaryFolder folder;
  const std::string content(3'000'001, 'z');
  std::ofstream(folder.path() / "a") << content;
  auto hash = sha256_of_file(folder.path() / "a");
  ASSERT_TRUE(hash.ok());
  EXPECT_EQ(*hash, sha256_of_text(content));
  EXPECT_EQ(sha256_of_file(folder.path() / "none").code(), StatusCode::kNotFound);
}

TEST(FileHashCache, ServesFromDiskAndSeesChanges) {
  TemporaryFolder folder;
  const fs::path file = folder.path() / "model", cache = folder.path() / "cache";
  std::ofstream(file) << "one";
  const FileHashCache hashes(cache);
  EXPECT_EQ(*hashes.sha256(file), sha256_of_text("one"));
  EXPECT_FALSE(fs::exists(cache)) << "a file that changed just now may change again within one tick";
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_EQ(*hashes.sha256(file), sha256_of_text("one"));
  ASSERT_EQ(count_files(cache), 1u);
  // A planted entry shows that the second answer comes from the cache.
  std::ofstream(fs::directory_iterator(cache)->path()) << std::string(64, 'a') << "\n";
  EXPECT_EQ(*hashes.sha256(file), std::string(64, 'a'));
  std::ofstream(fs::directory_iterator(cache)->path()) << "garbage";
  EXPECT_EQ(*hashes.sha256(file), sha256_of_text("one"));
  std::ofstream(file) << "four";
  EXPECT_EQ(*hashes.sha256(file), sha256_of_text("four"));
}

TEST(FileHashCache, WorksWithoutAFolder) {
  TemporaryFolder folder;
  std::ofstream(folder.path() / "m") << "x";
  EXPECT_EQ(*FileHashCache({}).sha256(folder.path() / "m"), sha256_of_text("x"));
  EXPECT_EQ(*FileHashCache("/proc/weft-none").sha256(folder.path() / "m"), sha256_of_text("x"));
}

TEST(FileHashCache, TreeHashSeesNamesAndContents) {
  TemporaryFolder folder;
  const fs::path tree = folder.path() / "model";
  fs::create_directories(tree / "unet");
  std::ofstream(tree / "config.json") << "{}";
  std::ofstream(tree / "unet/w") << "1";
  const FileHashCache hashes({});
  const std::string first = *hashes.sha256_of_tree(tree);
  EXPECT_EQ(first, *hashes.sha256_of_tree(tree));
  fs::rename(tree / "unet/w", tree / "unet/v");
  EXPECT_NE(first, *hashes.sha256_of_tree(tree));
  fs::rename(tree / "unet/v", tree / "unet/w");
  EXPECT_EQ(first, *hashes.sha256_of_tree(tree));
  std::ofstream(tree / "unet/w") << "2";
  EXPECT_NE(first, *hashes.sha256_of_tree(tree));
}

TEST(Folders, FollowTheXdgSpecification) {
  ::setenv("XDG_CACHE_HOME", "/c", 1);
  ::setenv("XDG_DATA_HOME", "relative-is-ignored", 1);
  ::setenv("HOME", "/h", 1);
  ::setenv("WEFT_MODELS", "/m1::/m2", 1);
  EXPECT_EQ(cache_folder(), "/c/weft");
  EXPECT_EQ(data_folder(), "/h/.local/share/weft");
  const fs::path shipped = program_prefix() / "share/weft/models";
  EXPECT_EQ(model_folders(), (std::vector<fs::path>{"/m1", "/m2", "/h/.local/share/weft/models", shipped}));
  ::unsetenv("HOME");
  ::unsetenv("XDG_CACHE_HOME");
  ::unsetenv("XDG_DATA_HOME");
  ::unsetenv("WEFT_MODELS");
  EXPECT_TRUE(cache_folder().empty());
  EXPECT_EQ(model_folders(), std::vector<fs::path>{shipped});
}

}  // namespace
}  // namespace weft
