/// image.resize: a picture in another size.
#ifndef WEFT_PLUGINS_IMAGE_RESIZE_NODE_H
#define WEFT_PLUGINS_IMAGE_RESIZE_NODE_H

#include <weft/sdk/plugin.h>

#include <string_view>

#include "modalities/image/resize.h"
#include "plugins/image/frame_nodes.h"

namespace weft::image {

/// What a parameter "filter" may say, and what it means.
inline constexpr const char* kFilterChoices[] = {"nearest", "bilinear", "bicubic",
                                                 "lanczos", "area",     nullptr};
ResizeFilter filter_named(std::string_view name);

/// How a picture comes into a frame of another shape.
enum class Fit : uint8_t { kStretch, kContain, kCover, kPad };

/// What of the source goes where in the target.
struct Placement {
  ImageRegion region;             // of the source
  int64_t width = 0, height = 0;  // of what the region becomes
  int64_t left = 0, top = 0;      // where it lies in the frame
  int64_t frame_width = 0, frame_height = 0;
};
/// width, height: as asked for; 0 follows from the other one, or from `scale` if both are 0.
Placement place(int64_t source_width, int64_t source_height, int64_t width, int64_t height, double scale,
                Fit fit, const Anchor& anchor);

class ResizeNode {
 public:
  static Result<std::unique_ptr<ResizeNode>> create(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  /// Of a side, from what is given for it and the other one and the source's bound.
  int64_t side_bound(int64_t given, int64_t other, int64_t source) const;

  uint32_t max_threads_ = 1;
  int64_t width_ = 0, height_ = 0;
  double scale_ = 1;
  int64_t max_side_ = kMaxImageSide;
  Fit fit_ = Fit::kStretch;
  ResizeFilter filter_ = ResizeFilter::kBicubic;
  Anchor anchor_;
  Rgba color_{};
};

extern const weft_node_type kResizeNode;

}  // namespace weft::image
#endif
