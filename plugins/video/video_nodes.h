/// video.load, video.save: frames are a batch of pictures.
#ifndef WEFT_PLUGINS_VIDEO_VIDEO_NODES_H
#define WEFT_PLUGINS_VIDEO_VIDEO_NODES_H

#include <weft/sdk/plugin.h>

#include "modalities/video/video_file.h"

namespace weft::video {

/// The frames of a video file.
class LoadNode {
 public:
  explicit LoadNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  VideoLimits limits_;
  int64_t max_bytes_ = 0;
};

/// Pictures of one size as a video file below the output folder.
class SaveNode {
 public:
  explicit SaveNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

extern const weft_node_type kLoadNode, kSaveNode;

}  // namespace weft::video
#endif
