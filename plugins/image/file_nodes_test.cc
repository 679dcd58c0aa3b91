#include "plugins/image/file_nodes.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>

#include "plugins/image/testing/picture_values.h"

namespace weft::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class FileNodes : public testing::NodeTest {
 protected:
  FileNodes() {
    std::string pattern = fs::temp_directory_path() / "weft-image-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    in_folder_ = fs::absolute("assets/golden/images/files");
    out_folder_ = folder_;
  }
  ~FileNodes() override { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_F(FileNodes, LoadGivesThePictureAsItIsStored) {
  const NodeResult result = run(kLoadNode, {}, {{"path", "\"turned_6.jpg\""}});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_EQ(view(result.outputs[0]).shape, (ImageShape{1, 20, 12, 3}));
  EXPECT_EQ(number(result.outputs[1]), 12);
  EXPECT_EQ(number(result.outputs[2]), 20);
}

TEST_F(FileNodes, LoadConvertsChannelsAndTypes) {
  const auto load = [&](const char* channels, const char* dtype) {
    return run(
        kLoadNode, {},
        {{"path", "\"rgba.png\""}, {"channels", channels}, {"dtype", dtype}, {"background", "\"#00f\""}});
  };
  const NodeResult gray = load("\"gray\"", "\"u8\"");
  ASSERT_TRUE(gray.status.ok()) << to_string(gray.status.error());
  EXPECT_EQ(view(gray.outputs[0]).shape.channels, 1);
  const NodeResult rgb = load("\"rgb\"", "\"f32\"");
  const std::vector<float> values = pixels<float>(rgb.outputs[0]);
  // The last column's alpha is 65/255: mostly blue shines through.
  EXPECT_GT(values[19 * 3 + 2], 0.7f);
  EXPECT_NEAR(values[0 + 2], 1.0f, 0.01f);
  EXPECT_EQ(view(load("\"rgba\"", "\"u8\"").outputs[0]).shape.channels, 4);
}

TEST_F(FileNodes, LoadSaysWhichFileAndWhatIsWrong) {
  const NodeResult missing = run(kLoadNode, {}, {{"path", "\"no.png\""}});
  EXPECT_EQ(missing.status.code(), StatusCode::kNotFound);
  std::ofstream(folder_ / "cut.png") << std::ifstream(in_folder_ / "rgb.png").rdbuf();
  fs::resize_file(folder_ / "cut.png", fs::file_size(folder_ / "cut.png") - 20);
  in_folder_ = folder_;
  const NodeResult cut = run(kLoadNode, {}, {{"path", "\"cut.png\""}});
  ASSERT_EQ(cut.status.code(), StatusCode::kCorruptData);
  EXPECT_THAT(cut.status.error().where, HasSubstr("cut.png, offset "));
}

TEST_F(FileNodes, LoadRefusesPicturesBeyondItsLimit) {
  const NodeResult result = run(kLoadNode, {}, {{"path", "\"rgb.png\""}, {"max_side", "19"}});
  ASSERT_EQ(result.status.code(), StatusCode::kOutOfRange);
  EXPECT_THAT(result.status.error().got, HasSubstr("20 x 12"));
  EXPECT_THAT(result.status.error().hint, HasSubstr("max_side"));
}

TEST_F(FileNodes, SaveWritesWhatLoadReads) {
  const Value source = counting({1, 6, 5, 3});
  for (const char* path : {"\"a/b.png\"", "\"b.webp\""}) {
    const NodeResult saved = run(kSaveNode, {source}, {{"path", path}, {"lossless", "true"}});
    ASSERT_TRUE(saved.status.ok()) << to_string(saved.status.error());
    const std::string written(saved.outputs[0].bytes_view());
    EXPECT_TRUE(fs::exists(written));
    const NodeResult loaded = run(kLoadNode, {}, {{"path", "\"" + written + "\""}});
    ASSERT_TRUE(loaded.status.ok()) << to_string(loaded.status.error());
    EXPECT_EQ(pixels<uint8_t>(loaded.outputs[0]), pixels<uint8_t>(source));
  }
}

// Beyond this size a write fails, as on a full disk: no half picture stays, and no temporary.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = SIG_DFL;
};

TEST_F(FileNodes, SaveLeavesNothingBehindWhereADiskIsFull) {
  const Value source = counting({1, 64, 64, 3});
  for (const char* path : {"\"full.png\"", "\"full.jpg\"", "\"full.webp\""}) {
    std::optional<NodeResult> saved;
    {
      const FileSizeLimit limit(100);
      saved = run(kSaveNode, {source}, {{"path", path}});
    }
    EXPECT_EQ(saved->status.code(), StatusCode::kIoError) << path << to_string(saved->status.error());
    EXPECT_TRUE(fs::is_empty(folder_)) << path;
  }
}

TEST_F(FileNodes, SaveNumbersSeveralPictures) {
  const auto list = Value::list({counting({1, 2, 2, 3}), counting({2, 3, 3, 1})}, "image");
  const NodeResult saved = run(kSaveNode, {counting({1, 4, 4, 4}), *list}, {{"path", "\"cat.png\""}});
  ASSERT_TRUE(saved.status.ok()) << to_string(saved.status.error());
  EXPECT_THAT(saved.files, ElementsAre("cat_1.png", "cat_2.png", "cat_3.png", "cat_4.png"));
  EXPECT_EQ(saved.outputs[1].size(), 4u);
}

TEST_F(FileNodes, SaveRefusesPathsOfNoFormatAndNoPictures) {
  const NodeResult name = run(kSaveNode, {counting({1, 2, 2, 3})}, {{"path", "\"cat.bmp\""}});
  EXPECT_EQ(name.status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(name.status.error().expected, HasSubstr(".png"));
  EXPECT_EQ(run(kSaveNode, {}, {{"path", "\"cat.png\""}}).status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(run(kSaveNode, {counting({1, 2, 2, 3})}, {{"path", "\"../cat.png\""}}).status.code(),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(run(kSaveNode, {counting({1, 2, 2, 4})}, {{"path", "\"cat.jpg\""}}).status.code(),
            StatusCode::kUnsupported);
}

}  // namespace
}  // namespace weft::image
