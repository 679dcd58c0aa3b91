#include <algorithm>
#include <cstring>
#include <utility>

#include "modalities/video/libav.h"
#include "modalities/video/video_file.h"

namespace weft {
namespace {

using libav::error_text;
using libav::Owned;

// What is let near a file from outside: well-tested parsers only.
constexpr char kContainers[] = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif";
constexpr char kDecoders[] = "h264,hevc,vp8,vp9,gif,libvpx-vp9,libdav1d,libaom-av1,av1";
constexpr int kBufferBytes = 1 << 16;
constexpr int64_t kProbeBytes = 5 << 20;

/// A file in memory, as FFmpeg reads one.
struct MemoryFile {
  std::span<const std::byte> bytes;
  int64_t position = 0;

  static int read(void* self, uint8_t* to, int size) {
    auto& file = *static_cast<MemoryFile*>(self);
    const int64_t left = static_cast<int64_t>(file.bytes.size()) - file.position;
    if (left <= 0) return AVERROR_EOF;
    const int64_t count = std::min<int64_t>(size, left);
    std::memcpy(to, file.bytes.data() + file.position, static_cast<size_t>(count));
    file.position += count;
    return static_cast<int>(count);
  }
  static int64_t seek(void* self, int64_t offset, int whence) {
    auto& file = *static_cast<MemoryFile*>(self);
    const auto size = static_cast<int64_t>(file.bytes.size());
    if ((whence & AVSEEK_SIZE) != 0) return size;
    whence &= ~AVSEEK_FORCE;
    const int64_t base = whence == SEEK_CUR ? file.position : whence == SEEK_END ? size : 0;
    int64_t target = 0;
    if (__builtin_add_overflow(base, offset, &target) || target < 0 || target > size) return AVERROR(EINVAL);
    return file.position = target;
  }
};

Status corrupt(const std::string& message, int code) {
  if (code == AVERROR(ENOMEM)) return {StatusCode::kOutOfMemory, "out of memory"};
  return {StatusCode::kCorruptData, message + ": " + error_text(code)};
}

}  // namespace

struct VideoReader::State {
  MemoryFile file;
  VideoLimits limits;
  VideoCancelled cancelled;
  AVIOContext* io = nullptr;
  AVFormatContext* format = nullptr;
  int stream = -1;
  Owned<AVCodecContext> decoder;
  Owned<AVFrame> frame;
  Owned<AVPacket> packet;
  Owned<SwsContext> converter;
  int64_t width = 0, height = 0;
  int64_t read_frames = 0;
  int64_t first_time = AV_NOPTS_VALUE, last_time = AV_NOPTS_VALUE;  // of frames, in the stream's time base
  bool at_end = false;                                              // all packets were sent

  ~State() {
    avformat_close_input(&format);
    if (io != nullptr) av_freep(&io->buffer);
    avio_context_free(&io);
  }

  bool is_cancelled() const { return cancelled && cancelled(); }

  Status open() {
    libav::keep_quiet();
    auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferBytes));
    io = buffer == nullptr ? nullptr
                           : avio_alloc_context(buffer, kBufferBytes, 0, &file, MemoryFile::read, nullptr,
                                                MemoryFile::seek);
    format = avformat_alloc_context();
    packet.reset(av_packet_alloc());
    frame.reset(av_frame_alloc());
    if (io == nullptr || format == nullptr || !packet || !frame)
      return {StatusCode::kOutOfMemory, "out of memory"};
    format->pb = io;
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    format->format_whitelist = av_strdup(kContainers);
    format->codec_whitelist = av_strdup(kDecoders);
    format->protocol_whitelist = av_strdup("");  // references to other files lead nowhere
    format->probesize = kProbeBytes;
    format->interrupt_callback.callback = [](void* self) -> int {
      return static_cast<State*>(self)->is_cancelled();
    };
    format->interrupt_callback.opaque = this;
    if (const int code = avformat_open_input(&format, nullptr, nullptr, nullptr); code < 0) {
      if (code == AVERROR_EXIT) return {StatusCode::kCancelled, "cancelled"};
      return Status(StatusCode::kUnsupported, "this is no video of a known format: " + error_text(code))
          .expected("MP4, MOV, WebM, Matroska or GIF");
    }
    if (const int code = avformat_find_stream_info(format, nullptr); code < 0) {
      if (code == AVERROR_EXIT) return {StatusCode::kCancelled, "cancelled"};
      return corrupt("the video file is damaged", code);
    }
    return open_decoder();
  }

  Status open_decoder() {
    const AVCodec* codec = nullptr;
    stream = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (stream < 0) return {StatusCode::kUnsupported, "the file holds no pictures that can be decoded"};
    const AVCodecParameters* parameters = format->streams[stream]->codecpar;
    if (Status status = check_size(parameters->width, parameters->height); !status.ok()) return status;
    width = parameters->width;
    height = parameters->height;
    decoder.reset(avcodec_alloc_context3(codec));
    if (!decoder || avcodec_parameters_to_context(decoder.get(), parameters) < 0) {
      return {StatusCode::kOutOfMemory, "out of memory"};
    }
    decoder->thread_count = 1;
    decoder->max_pixels = limits.max_side * limits.max_side;
    decoder->codec_whitelist = av_strdup(kDecoders);
    decoder->err_recognition = AV_EF_CAREFUL;
    if (const int code = avcodec_open2(decoder.get(), codec, nullptr); code < 0) {
      return Status(StatusCode::kUnsupported, "the video cannot be decoded: " + error_text(code))
          .got(avcodec_get_name(parameters->codec_id));
    }
    return {};
  }

  Status check_size(int64_t w, int64_t h) const {
    if (w >= 1 && h >= 1 && w <= limits.max_side && h <= limits.max_side) return {};
    return Status(StatusCode::kOutOfRange, "the video is larger than allowed")
        .expected("sides of 1 to " + std::to_string(limits.max_side) + " pixels")
        .got(std::to_string(w) + " x " + std::to_string(h));
  }

  Status at_frame(Status status) const {
    return std::move(status).at("frame " + std::to_string(read_frames + 1));
  }

  /// Sends the next packet of the stream, or the end.
  Status send_packet() {
    while (true) {
      if (is_cancelled()) return {StatusCode::kCancelled, "cancelled"};
      const int code = av_read_frame(format, packet.get());
      if (code == AVERROR_EXIT) return {StatusCode::kCancelled, "cancelled"};
      if (code < 0 && code != AVERROR_EOF) return at_frame(corrupt("the video file is damaged", code));
      if (code == AVERROR_EOF && io->error < 0)
        return at_frame(corrupt("the video file is damaged", io->error));
      at_end = code == AVERROR_EOF;
      if (!at_end && packet->stream_index != stream) {
        av_packet_unref(packet.get());
        continue;
      }
      const int sent = avcodec_send_packet(decoder.get(), at_end ? nullptr : packet.get());
      av_packet_unref(packet.get());
      return sent < 0 && sent != AVERROR_EOF ? at_frame(corrupt("the frame is damaged", sent)) : Status();
    }
  }

  Status convert(uint8_t* rgb) {
    if (frame->width != width || frame->height != height) {
      return at_frame(Status(StatusCode::kCorruptData, "the frames have different sizes")
                          .expected(std::to_string(width) + " x " + std::to_string(height))
                          .got(std::to_string(frame->width) + " x " + std::to_string(frame->height)));
    }
    SwsContext* old = converter.release();
    converter.reset(sws_getCachedContext(
        old, frame->width, frame->height, static_cast<AVPixelFormat>(frame->format), frame->width,
        frame->height, AV_PIX_FMT_RGB24, SWS_BILINEAR | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT,
        nullptr, nullptr, nullptr));
    if (!converter)
      return at_frame({StatusCode::kUnsupported, "the frame has a pixel format that is not read"});
    const int matrix = frame->colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_ITU601;
    sws_setColorspaceDetails(converter.get(), sws_getCoefficients(matrix),
                             frame->color_range == AVCOL_RANGE_JPEG, sws_getCoefficients(SWS_CS_ITU709), 1, 0,
                             1 << 16, 1 << 16);
    uint8_t* const planes[] = {rgb};
    const int strides[] = {static_cast<int>(width * 3)};
    sws_scale(converter.get(), frame->data, frame->linesize, 0, frame->height, planes, strides);
    return {};
  }
};

VideoReader::VideoReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
VideoReader::VideoReader(VideoReader&&) noexcept = default;
VideoReader& VideoReader::operator=(VideoReader&&) noexcept = default;
VideoReader::~VideoReader() = default;

Result<VideoReader> VideoReader::open(std::span<const std::byte> file, const VideoLimits& limits,
                                      VideoCancelled cancelled) {
  auto state = std::make_unique<State>();
  state->file.bytes = file;
  state->limits = limits;
  state->cancelled = std::move(cancelled);
  if (Status status = state->open(); !status.ok()) return status;
  return VideoReader(std::move(state));
}

int64_t VideoReader::width() const { return state_->width; }
int64_t VideoReader::height() const { return state_->height; }

double VideoReader::frames_per_second() const {
  const State& state = *state_;
  const AVStream& stream = *state.format->streams[state.stream];
  if (state.first_time != AV_NOPTS_VALUE && state.last_time != AV_NOPTS_VALUE &&
      state.last_time > state.first_time) {
    const double seconds = (static_cast<double>(state.last_time) - static_cast<double>(state.first_time)) *
                           av_q2d(stream.time_base);
    return static_cast<double>(state.read_frames - 1) / seconds;
  }
  const AVRational rate = stream.avg_frame_rate.num > 0 ? stream.avg_frame_rate : stream.r_frame_rate;
  return rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
}

std::string VideoReader::description() const {
  return std::string(avcodec_get_name(state_->decoder->codec_id)) + " in " + state_->format->iformat->name;
}

Result<bool> VideoReader::read(uint8_t* rgb) {
  State& state = *state_;
  while (true) {
    const int code = avcodec_receive_frame(state.decoder.get(), state.frame.get());
    if (code == 0) break;
    if (code == AVERROR_EOF) return false;
    if (code != AVERROR(EAGAIN)) return state.at_frame(corrupt("the frame is damaged", code));
    if (state.at_end) return false;
    if (Status status = state.send_packet(); !status.ok()) return status;
  }
  if (state.read_frames == state.limits.max_frames) {
    return Status(StatusCode::kOutOfRange, "the video has more frames than allowed")
        .expected("at most " + std::to_string(state.limits.max_frames));
  }
  if ((state.frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || state.frame->decode_error_flags != 0) {
    return state.at_frame({StatusCode::kCorruptData, "the frame is damaged"});
  }
  if (rgb != nullptr) {
    if (Status status = state.convert(rgb); !status.ok()) return status;
  }
  ++state.read_frames;
  if (state.first_time == AV_NOPTS_VALUE) state.first_time = state.frame->best_effort_timestamp;
  state.last_time = state.frame->best_effort_timestamp;
  av_frame_unref(state.frame.get());
  return true;
}

}  // namespace weft
