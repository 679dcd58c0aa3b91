/// FFmpeg's objects with owners, and its errors as values. Internal to modalities/video.
#ifndef WEFT_MODALITIES_VIDEO_LIBAV_H
#define WEFT_MODALITIES_VIDEO_LIBAV_H

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include <weft/sdk/status.h>

#include <memory>
#include <string>

namespace weft::libav {

struct Delete {
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};
template <typename T>
using Owned = std::unique_ptr<T, Delete>;

inline std::string error_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = "";
  av_strerror(code, text, sizeof text);
  return text;
}

/// FFmpeg prints to standard error by itself; what matters comes back as an error.
inline void keep_quiet() { av_log_set_level(AV_LOG_QUIET); }

}  // namespace weft::libav
#endif
