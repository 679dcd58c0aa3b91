#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "modalities/video/libav.h"
#include "modalities/video/video_file.h"

namespace weft {
namespace {

using libav::error_text;
using libav::Owned;

struct FormatFacts {
  VideoFormat format;
  const char* ending;
  const char* muxer;
  const char* encoder;
  const char* name;
  AVPixelFormat pixels;
  int64_t max_side;
  bool even_sides;
};
constexpr std::array<FormatFacts, 3> kFormats = {{
    {VideoFormat::kMp4, "mp4", "mp4", "libx264", "H.264 in MP4", AV_PIX_FMT_YUV420P, 16384, true},
    {VideoFormat::kWebm, "webm", "webm", "libvpx-vp9", "VP9 in WebM", AV_PIX_FMT_YUV420P, 16384, true},
    {VideoFormat::kGif, "gif", "gif", "gif", "GIF", AV_PIX_FMT_RGB8, 65535, false},
}};

const FormatFacts& facts_of(VideoFormat format) { return kFormats[static_cast<size_t>(format)]; }

Status failure(int code) {
  if (code == AVERROR(ENOMEM)) return {StatusCode::kOutOfMemory, "out of memory"};
  return {StatusCode::kInternal, "the video cannot be encoded: " + error_text(code)};
}

// x264 takes 0 (best) to 51, VP9 0 to 63.
int constant_quality(const VideoOptions& options) {
  const int worst = options.format == VideoFormat::kMp4 ? 51 : 63;
  return ((100 - options.quality) * worst + 50) / 100;
}

}  // namespace

const char* to_string(VideoFormat format) { return facts_of(format).name; }

std::optional<VideoFormat> video_format_of_name(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  std::string ending(name.substr(dot + 1));
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (const FormatFacts& facts : kFormats) {
    if (ending == facts.ending) return facts.format;
  }
  return std::nullopt;
}

struct VideoWriter::State {
  VideoOptions options;
  AVFormatContext* format = nullptr;
  AVStream* stream = nullptr;
  Owned<AVCodecContext> encoder;
  Owned<AVFrame> frame;
  Owned<AVPacket> packet;
  Owned<SwsContext> converter;
  int64_t frames = 0;

  ~State() {
    if (format != nullptr) drop_file();
    avformat_free_context(format);
  }

  /// Ends the file in memory; whatever it holds is in the caller's hands.
  std::string drop_file() {
    if (format->pb == nullptr) return {};
    uint8_t* bytes = nullptr;
    const int size = avio_close_dyn_buf(format->pb, &bytes);
    format->pb = nullptr;
    std::string file;
    if (bytes != nullptr)
      file.assign(reinterpret_cast<const char*>(bytes), static_cast<size_t>(std::max(size, 0)));
    av_free(bytes);
    return file;
  }

  Status open_encoder(const FormatFacts& facts) {
    const AVCodec* codec = avcodec_find_encoder_by_name(facts.encoder);
    if (codec == nullptr) {
      return Status(StatusCode::kUnsupported, std::string("this FFmpeg cannot write ") + facts.name)
          .expected(std::string("the encoder ") + facts.encoder);
    }
    encoder.reset(avcodec_alloc_context3(codec));
    frame.reset(av_frame_alloc());
    packet.reset(av_packet_alloc());
    if (!encoder || !frame || !packet) return {StatusCode::kOutOfMemory, "out of memory"};
    encoder->width = static_cast<int>(options.width);
    encoder->height = static_cast<int>(options.height);
    encoder->pix_fmt = facts.pixels;
    encoder->framerate = av_d2q(options.frames_per_second, 100'000);
    encoder->time_base = av_inv_q(encoder->framerate);
    encoder->thread_count = 1;  // the file must not depend on it
    encoder->flags |= AV_CODEC_FLAG_BITEXACT;
    if ((format->oformat->flags & AVFMT_GLOBALHEADER) != 0) encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if (facts.pixels == AV_PIX_FMT_YUV420P) {
      encoder->color_range = AVCOL_RANGE_MPEG;
      encoder->colorspace = AVCOL_SPC_BT709;
      encoder->color_primaries = AVCOL_PRI_BT709;
      encoder->color_trc = AVCOL_TRC_BT709;
      av_opt_set_int(encoder->priv_data, "crf", constant_quality(options), 0);
      av_opt_set(encoder->priv_data, "preset", "medium", 0);  // x264
      av_opt_set(encoder->priv_data, "x264-params", "threads=1:lookahead-threads=1", 0);
      av_opt_set_int(encoder->priv_data, "cpu-used", 4, 0);  // VP9: of 0 (slow) to 8
    }
    if (const int code = avcodec_open2(encoder.get(), codec, nullptr); code < 0) {
      return Status(StatusCode::kUnsupported,
                    std::string("the encoder of ") + facts.name + " refuses: " + error_text(code));
    }
    return {};
  }

  Status open() {
    libav::keep_quiet();
    const FormatFacts& facts = facts_of(options.format);
    const bool odd = facts.even_sides && (options.width % 2 != 0 || options.height % 2 != 0);
    if (odd || options.width < 1 || options.height < 1 || options.width > facts.max_side ||
        options.height > facts.max_side) {
      return Status(StatusCode::kInvalidShape,
                    std::string("frames of that size cannot be written as ") + facts.name)
          .expected(std::string(facts.even_sides ? "even " : "") + "sides of at most " +
                    std::to_string(facts.max_side))
          .got(std::to_string(options.width) + " x " + std::to_string(options.height))
          .hint(odd ? "image.pad or image.crop makes sides even" : "");
    }
    if (avformat_alloc_output_context2(&format, nullptr, facts.muxer, nullptr) < 0) {
      return Status(StatusCode::kUnsupported, std::string("this FFmpeg cannot write ") + facts.name);
    }
    format->flags |= AVFMT_FLAG_BITEXACT;  // no version, no time, no random identifier
    if (Status status = open_encoder(facts); !status.ok()) return status;
    stream = avformat_new_stream(format, nullptr);
    if (stream == nullptr) return {StatusCode::kOutOfMemory, "out of memory"};
    stream->time_base = encoder->time_base;
    stream->avg_frame_rate = encoder->framerate;
    avcodec_parameters_from_context(stream->codecpar, encoder.get());
    if (const int code = avio_open_dyn_buf(&format->pb); code < 0) return failure(code);
    if (const int code = avformat_write_header(format, nullptr); code < 0) return failure(code);
    return make_frame();
  }

  Status make_frame() {
    frame->format = encoder->pix_fmt;
    frame->width = encoder->width;
    frame->height = encoder->height;
    converter.reset(sws_getContext(frame->width, frame->height, AV_PIX_FMT_RGB24, frame->width, frame->height,
                                   encoder->pix_fmt, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT, nullptr,
                                   nullptr, nullptr));
    if (av_frame_get_buffer(frame.get(), 0) < 0 || !converter)
      return {StatusCode::kOutOfMemory, "out of memory"};
    sws_setColorspaceDetails(converter.get(), sws_getCoefficients(SWS_CS_ITU709), 1,
                             sws_getCoefficients(SWS_CS_ITU709), 0, 0, 1 << 16, 1 << 16);
    return {};
  }

  // Sends a frame, or null for the end, and writes what comes out.
  Status encode(const AVFrame* next) {
    if (const int code = avcodec_send_frame(encoder.get(), next); code < 0) return failure(code);
    while (true) {
      const int code = avcodec_receive_packet(encoder.get(), packet.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return {};
      if (code < 0) return failure(code);
      packet->stream_index = stream->index;
      if (packet->duration == 0) packet->duration = 1;  // else MP4 loses the last frame
      av_packet_rescale_ts(packet.get(), encoder->time_base, stream->time_base);
      if (const int written = av_interleaved_write_frame(format, packet.get()); written < 0)
        return failure(written);
    }
  }
};

VideoWriter::VideoWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
VideoWriter::VideoWriter(VideoWriter&&) noexcept = default;
VideoWriter& VideoWriter::operator=(VideoWriter&&) noexcept = default;
VideoWriter::~VideoWriter() = default;

Result<VideoWriter> VideoWriter::open(const VideoOptions& options) {
  auto state = std::make_unique<State>();
  state->options = options;
  if (Status status = state->open(); !status.ok()) return status;
  return VideoWriter(std::move(state));
}

Status VideoWriter::write(const uint8_t* rgb) {
  State& state = *state_;
  if (av_frame_make_writable(state.frame.get()) < 0) return {StatusCode::kOutOfMemory, "out of memory"};
  const uint8_t* const planes[] = {rgb};
  const int strides[] = {static_cast<int>(state.options.width * 3)};
  sws_scale(state.converter.get(), planes, strides, 0, state.frame->height, state.frame->data,
            state.frame->linesize);
  state.frame->pts = state.frames++;
  return state.encode(state.frame.get());
}

Result<std::string> VideoWriter::finish() {
  State& state = *state_;
  if (Status status = state.encode(nullptr); !status.ok()) return status;
  if (const int code = av_write_trailer(state.format); code < 0) return failure(code);
  return state.drop_file();
}

}  // namespace weft
