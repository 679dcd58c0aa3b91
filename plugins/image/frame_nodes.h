/// Nodes that change what part of the plane a picture shows: image.crop, image.pad.
#ifndef WEFT_PLUGINS_IMAGE_FRAME_NODES_H
#define WEFT_PLUGINS_IMAGE_FRAME_NODES_H

#include <weft/sdk/plugin.h>

#include "modalities/image/image.h"

namespace weft::image {

/// Where something smaller lies in something larger: at an edge, a corner or the centre.
struct Anchor {
  int horizontal = 0, vertical = 0;  // 0: left, top; 1: centre; 2: right, bottom
  static Anchor parse(std::string_view name);
  /// The offset that puts `inner` into `outer`; rounds towards the left and the top, also if inner is the larger one.
  int64_t x(int64_t outer, int64_t inner) const { return place(horizontal, outer - inner); }
  int64_t y(int64_t outer, int64_t inner) const { return place(vertical, outer - inner); }

 private:
  static int64_t place(int third, int64_t room) { return third == 0 ? 0 : third == 1 ? room >> 1 : room; }
};
extern const char* const kAnchors[10];  // for "choice" parameters

/// Cuts a rectangle out.
class CropNode {
 public:
  explicit CropNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

/// Adds a border: one colour, the edge's pixels, or the picture mirrored.
class PadNode {
 public:
  static Result<std::unique_ptr<PadNode>> create(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  enum class Mode : uint8_t { kColor, kEdge, kMirror };
  int64_t source_index(int64_t position, int64_t extent) const;

  int64_t left_ = 0, top_ = 0, right_ = 0, bottom_ = 0;
  Mode mode_ = Mode::kColor;
  Rgba color_{};
};

extern const weft_node_type kCropNode, kPadNode;

}  // namespace weft::image
#endif
