// Any bytes as a video: an error with a message, or at most as many frames as allowed, of the size that was said.
#include <cstdlib>
#include <vector>

#include "modalities/video/video_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  VideoLimits limits;
  limits.max_side = 128;
  limits.max_frames = 20;
  Result<VideoReader> reader =
      VideoReader::open({reinterpret_cast<const std::byte*>(data), size}, limits, {});
  if (!reader.ok()) {
    if (reader.error().message.empty()) std::abort();
    return 0;
  }
  if (reader->width() < 1 || reader->width() > 128 || reader->height() < 1 || reader->height() > 128)
    std::abort();
  std::vector<uint8_t> rgb(static_cast<size_t>(reader->width() * reader->height() * 3));
  for (int frame = 0;; ++frame) {
    const Result<bool> more = reader->read(rgb.data());
    if (!more.ok() && more.error().message.empty()) std::abort();
    if (!more.ok() || !*more) return 0;
    if (frame >= 20) std::abort();
  }
}
