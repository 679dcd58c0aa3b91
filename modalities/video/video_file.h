/// Video files through FFmpeg's libraries: H.264 in MP4, VP9 in WebM, GIF; read frame by frame, written frame by frame.
///
/// A file comes from outside: it is read from memory, never through FFmpeg's protocols, so that no playlist or reference
/// in it opens anything else; only a few containers and decoders are let near it; width, height and the number of frames are
/// limited. One stream is read, the best one of pictures; sound is left out. Frames are RGB bytes as the file holds them:
/// without rotation, in sRGB.
/// Ownership: a reader refers to the bytes that it was opened on; both sides own all that FFmpeg allocates. FFmpeg's memory
/// is its own: about ten frames. Thread safety: one thread at a time; no threads are started, so that equal frames and
/// options give equal bytes.
///
///   Result<VideoReader> reader = VideoReader::open(bytes, {}, {});
///   std::vector<uint8_t> frame(reader->width() * reader->height() * 3);
///   for (Result<bool> more = reader->read(frame.data()); more.ok() && *more; more = reader->read(frame.data())) use(frame);
#ifndef WEFT_MODALITIES_VIDEO_VIDEO_FILE_H
#define WEFT_MODALITIES_VIDEO_VIDEO_FILE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weft {

struct VideoLimits {
  int64_t max_side = 4096;    // pixels
  int64_t max_frames = 1000;  // of those that are read
};

/// Asked at every packet; true makes the call return kCancelled. May be empty.
using VideoCancelled = std::function<bool()>;

class VideoReader {
 public:
  /// Reads headers, and the first frames as far as needed to know their size. Errors: kUnsupported (no container or codec
  /// that is let in, no pictures), kCorruptData, kOutOfRange (beyond the limits), kCancelled, kOutOfMemory.
  static Result<VideoReader> open(std::span<const std::byte> file, const VideoLimits& limits,
                                  VideoCancelled cancelled);
  VideoReader(VideoReader&&) noexcept;
  VideoReader& operator=(VideoReader&&) noexcept;
  ~VideoReader();

  int64_t width() const;
  int64_t height() const;
  /// On average: of the frames that were read, else as the file says; 0 if it says nothing.
  double frames_per_second() const;
  std::string description() const;  // "h264 in mov,mp4": for messages

  /// Decodes the next frame into rgb [height, width, 3]; null: decodes it and drops it. false: there is none left.
  /// Errors: kCorruptData (with the number of the frame; also a frame of another size), kOutOfRange (more than max_frames),
  /// kCancelled.
  Result<bool> read(uint8_t* rgb);

 private:
  struct State;
  explicit VideoReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

enum class VideoFormat : uint8_t { kMp4, kWebm, kGif };
const char* to_string(VideoFormat format);  // "H.264 in MP4"
/// From a file name's ending: .mp4, .webm, .gif in any case.
std::optional<VideoFormat> video_format_of_name(std::string_view name);

struct VideoOptions {
  VideoFormat format = VideoFormat::kMp4;
  int64_t width = 0, height = 0;  // even for MP4 and WebM, which store colours at half size
  double frames_per_second = 24;  // 0.01 to 1000; GIF counts hundredths of a second
  int quality = 75;               // 1 to 100, of MP4 and WebM
};

class VideoWriter {
 public:
  /// The file grows in memory. Errors: kUnsupported (FFmpeg was built without the encoder), kInvalidShape (odd sides, or
  /// larger than the format has), kOutOfMemory.
  static Result<VideoWriter> open(const VideoOptions& options);
  VideoWriter(VideoWriter&&) noexcept;
  VideoWriter& operator=(VideoWriter&&) noexcept;
  ~VideoWriter();

  /// rgb: [height, width, 3]. Errors: kOutOfMemory, kInternal.
  Status write(const uint8_t* rgb);
  /// The whole file; the last call. Errors: as write.
  Result<std::string> finish();

 private:
  struct State;
  explicit VideoWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
