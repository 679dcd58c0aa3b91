#include "plugins/video/video_nodes.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "plugins/image/testing/picture_values.h"

namespace weft::video {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class VideoNodes : public image::testing::NodeTest {
 protected:
  VideoNodes() {
    std::string pattern = fs::temp_directory_path() / "weft-video-XXXXXX";
    in_folder_ = out_folder_ = ::mkdtemp(pattern.data());
  }
  ~VideoNodes() override { fs::remove_all(out_folder_); }
};

TEST_F(VideoNodes, SaveAndLoadKeepEveryFrame) {
  std::vector<uint8_t> pixels;
  for (int frame = 0; frame < 7; ++frame)
    pixels.insert(pixels.end(), 32 * 32 * 3, static_cast<uint8_t>(30 * frame));
  const Value frames = picture({7, 32, 32, 3}, pixels);
  for (const char* path : {"\"a.mp4\"", "\"a.webm\"", "\"a.gif\""}) {
    const NodeResult saved = run(kSaveNode, {frames}, {{"path", path}, {"frames_per_second", "12.5"}});
    ASSERT_TRUE(saved.status.ok()) << to_string(saved.status.error());
    EXPECT_EQ(number(saved.outputs[1]), 7);
    const NodeResult loaded = run(kLoadNode, {}, {{"path", path}});
    ASSERT_TRUE(loaded.status.ok()) << to_string(loaded.status.error());
    EXPECT_EQ(view(loaded.outputs[0]).shape, (ImageShape{7, 32, 32, 3}));
    EXPECT_EQ(number(loaded.outputs[1]), 7);
    EXPECT_NEAR(number(loaded.outputs[2]), 12.5, 0.01);
    const std::vector<uint8_t> again = image::testing::NodeTest::pixels<uint8_t>(loaded.outputs[0]);
    for (const size_t frame : {1, 3, 6})
      EXPECT_NEAR(again[frame * 32 * 32 * 3 + 500], 30 * frame, 40) << path;  // GIF has few colours
  }
}

TEST_F(VideoNodes, SaveTakesListsGrayAndFloats) {
  const auto list = Value::list(
      {picture<float>({1, 16, 16, 1}, std::vector<float>(256, 0.5f)), counting({2, 16, 16, 4})}, "image");
  const NodeResult saved = run(kSaveNode, {counting({1, 16, 16, 3}), *list}, {{"path", "\"x/y.gif\""}});
  ASSERT_TRUE(saved.status.ok()) << to_string(saved.status.error());
  EXPECT_EQ(number(saved.outputs[1]), 4);
}

TEST_F(VideoNodes, SaveRefusesWhatMakesNoVideo) {
  EXPECT_EQ(run(kSaveNode, {}, {{"path", "\"a.gif\""}}).status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(run(kSaveNode, {counting({1, 4, 4, 3})}, {{"path", "\"a.avi\""}}).status.code(),
            StatusCode::kInvalidArgument);
  const auto list = Value::list({counting({1, 4, 4, 3}), counting({1, 4, 6, 3})}, "image");
  const NodeResult sizes = run(kSaveNode, {Value(), *list}, {{"path", "\"a.gif\""}});
  EXPECT_EQ(sizes.status.code(), StatusCode::kInvalidShape);
  const NodeResult odd = run(kSaveNode, {counting({1, 5, 4, 3})}, {{"path", "\"a.mp4\""}});
  EXPECT_EQ(odd.status.code(), StatusCode::kInvalidShape);
  EXPECT_FALSE(fs::exists(out_folder_ / "a.mp4"));
}

TEST_F(VideoNodes, LoadKeepsToItsLimits) {
  ASSERT_TRUE(run(kSaveNode, {counting({5, 600, 600, 3})}, {{"path", "\"a.gif\""}}).status.ok());
  EXPECT_EQ(run(kLoadNode, {}, {{"path", "\"a.gif\""}, {"max_frames", "4"}}).status.code(),
            StatusCode::kOutOfRange);
  EXPECT_EQ(run(kLoadNode, {}, {{"path", "\"a.gif\""}, {"max_side", "599"}}).status.code(),
            StatusCode::kOutOfRange);
  const NodeResult memory = run(kLoadNode, {}, {{"path", "\"a.gif\""}, {"max_megabytes", "5"}});
  ASSERT_EQ(memory.status.code(), StatusCode::kOutOfRange);
  EXPECT_THAT(memory.status.error().hint, HasSubstr("max_megabytes"));
  EXPECT_THAT(memory.status.error().where, HasSubstr("a.gif"));
}

}  // namespace
}  // namespace weft::video
