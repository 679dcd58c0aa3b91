#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "modalities/video/video_file.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class VideoFiles : public ::testing::Test {
 protected:
  VideoFiles() {
    std::string pattern = fs::temp_directory_path() / "weft-video-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~VideoFiles() override { fs::remove_all(folder_); }

  static std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

  /// A frame of one colour that moves with its number, so that frames can be told apart.
  static std::vector<uint8_t> frame(int64_t number, const VideoOptions& options) {
    std::vector<uint8_t> rgb;
    for (int64_t i = 0; i < options.width * options.height; ++i) {
      rgb.push_back(static_cast<uint8_t>(40 + 8 * number));
      rgb.push_back(200);
      rgb.push_back(static_cast<uint8_t>(220 - 8 * number));
    }
    return rgb;
  }

  std::string write(const VideoOptions& options, int64_t frames) {
    Result<VideoWriter> writer = VideoWriter::open(options);
    EXPECT_TRUE(writer.ok()) << to_string(writer.error());
    if (!writer.ok()) return {};
    for (int64_t i = 0; i < frames; ++i) EXPECT_TRUE(writer->write(frame(i, options).data()).ok());
    Result<std::string> file = writer->finish();
    EXPECT_TRUE(file.ok());
    return file.ok() ? *file : std::string();
  }

  struct Read {
    Status status;
    std::vector<std::vector<uint8_t>> frames;
    double rate = 0;
  };
  static Read read(const std::string& file, const VideoLimits& limits = {}) {
    Read result;
    Result<VideoReader> reader = VideoReader::open(bytes(file), limits, {});
    if (!reader.ok()) return {reader.status(), {}, 0};
    while (true) {
      std::vector<uint8_t> rgb(static_cast<size_t>(reader->width() * reader->height() * 3));
      const Result<bool> more = reader->read(rgb.data());
      result.status = more.status();
      result.rate = reader->frames_per_second();
      if (!more.ok() || !*more) return result;
      result.frames.push_back(std::move(rgb));
    }
  }

  static VideoOptions options(VideoFormat format) {
    VideoOptions options;
    options.format = format;
    options.width = 64;
    options.height = 48;
    options.frames_per_second = 10;
    options.quality = 90;
    return options;
  }

  fs::path folder_;
};

constexpr VideoFormat kAll[] = {VideoFormat::kMp4, VideoFormat::kWebm, VideoFormat::kGif};

TEST_F(VideoFiles, GiveBackEveryFrameThatWasWritten) {
  for (const VideoFormat format : kAll) {
    for (const int64_t count : {1, 2, 10, 17}) {
      const Read got = read(write(options(format), count));
      ASSERT_TRUE(got.status.ok()) << to_string(got.status.error());
      ASSERT_EQ(got.frames.size(), static_cast<size_t>(count)) << to_string(format);
      // GIF has 8 levels of red and green and 4 of blue, dithered: the mean is close.
      const int tolerance = format == VideoFormat::kGif ? 24 : 8;
      for (int64_t i = 0; i < count; ++i) {
        const std::vector<uint8_t> wrote = frame(i, options(format));
        int64_t difference = 0;
        for (size_t k = 0; k < wrote.size(); ++k)
          difference += wrote[k] - got.frames[static_cast<size_t>(i)][k];
        EXPECT_LE(std::abs(difference / static_cast<double>(wrote.size())), tolerance)
            << to_string(format) << ", frame " << i;
      }
      if (count > 1) {
        EXPECT_NEAR(got.rate, 10, 0.01) << to_string(format);
      }
    }
  }
}

TEST_F(VideoFiles, AreEqualForEqualFrames) {
  for (const VideoFormat format : kAll) {
    EXPECT_EQ(write(options(format), 5), write(options(format), 5)) << to_string(format);
  }
}

TEST_F(VideoFiles, HaveColoursWithinAFewLevels) {
  const Read got = read(write(options(VideoFormat::kMp4), 3));
  ASSERT_EQ(got.frames.size(), 3u);
  const std::vector<uint8_t> wrote = frame(1, options(VideoFormat::kMp4));
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(got.frames[1][300 + c], wrote[c], 4) << c;
}

TEST_F(VideoFiles, BeyondTheLimitsAreRefused) {
  const std::string file = write(options(VideoFormat::kMp4), 10);
  VideoLimits limits;
  limits.max_frames = 9;
  const Read frames = read(file, limits);
  EXPECT_EQ(frames.status.code(), StatusCode::kOutOfRange);
  EXPECT_EQ(frames.frames.size(), 9u);
  limits.max_frames = 10;
  EXPECT_TRUE(read(file, limits).status.ok());
  limits.max_side = 63;
  const Read side = read(file, limits);
  ASSERT_EQ(side.status.code(), StatusCode::kOutOfRange);
  EXPECT_THAT(side.status.error().got, HasSubstr("64 x 48"));
}

TEST_F(VideoFiles, ThatAreNoneOrReferToOthersAreRefused) {
  std::ofstream(folder_ / "secret.mp4") << write(options(VideoFormat::kMp4), 2);
  const std::string target = (folder_ / "secret.mp4").string();
  for (const std::string& file :
       {std::string(), std::string("hello"), "#EXTM3U\n#EXTINF:1,\n" + target + "\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '" + target + "'\n", std::string("RIFF\x10\0\0\0AVI LIST", 16)}) {
    EXPECT_EQ(read(file).status.code(), StatusCode::kUnsupported) << file.substr(0, 20);
  }
}

TEST_F(VideoFiles, CutShortAreRefusedOrEndEarly) {
  for (const VideoFormat format : kAll) {
    const std::string file = write(options(format), 6);
    for (size_t size = 0; size < file.size(); size += 1 + file.size() / 60) {
      const Read got = read(file.substr(0, size));
      EXPECT_LE(got.frames.size(), 6u);
      EXPECT_TRUE(got.status.ok() || !got.status.error().message.empty());
    }
  }
}

TEST_F(VideoFiles, WithChangedBytesNeverGiveMoreThanTheLimit) {
  VideoLimits limits;
  limits.max_frames = 50;
  limits.max_side = 256;
  for (const VideoFormat format : kAll) {
    const std::string file = write(options(format), 4);
    for (size_t i = 0; i < file.size(); i += 1 + file.size() / 200) {
      std::string changed = file;
      changed[i] = static_cast<char>(changed[i] ^ 0xFF);
      EXPECT_LE(read(changed, limits).frames.size(), 50u);
    }
  }
}

TEST_F(VideoFiles, RefuseSizesThatTheFormatDoesNotHave) {
  VideoOptions odd = options(VideoFormat::kMp4);
  odd.width = 63;
  const Result<VideoWriter> writer = VideoWriter::open(odd);
  ASSERT_EQ(writer.code(), StatusCode::kInvalidShape);
  EXPECT_THAT(writer.error().hint, HasSubstr("image.pad"));
  odd.format = VideoFormat::kGif;
  EXPECT_EQ(read(write(odd, 2)).frames.size(), 2u);
}

TEST_F(VideoFiles, StopWhenCancelled) {
  const std::string file = write(options(VideoFormat::kMp4), 10);
  int asked = 0;
  Result<VideoReader> reader = VideoReader::open(bytes(file), {}, [&] { return ++asked > 1000; });
  ASSERT_TRUE(reader.ok());
  asked = 1000;
  EXPECT_EQ(reader->read(nullptr).code(), StatusCode::kCancelled);
}

TEST(VideoFormat, FollowsFromTheEnding) {
  EXPECT_EQ(video_format_of_name("a/b.MP4"), VideoFormat::kMp4);
  EXPECT_EQ(video_format_of_name("x.webm"), VideoFormat::kWebm);
  EXPECT_EQ(video_format_of_name("gif"), std::nullopt);
}

}  // namespace
}  // namespace weft
