// The video plugin's descriptor and its one exported symbol. A plugin of its own: FFmpeg's libraries are many.
#include <weft/sdk/plugin.h>

#include "plugins/video/video_nodes.h"

namespace weft::video {
namespace {

const weft_node_type kNodes[] = {kLoadNode, kSaveNode};

const weft_plugin kPlugin = sdk::plugin({.name = "video",
                                         .version = "0.1.0",
                                         .license = "Apache-2.0",
                                         .help = "Videos: frames from and to H.264, VP9 and GIF.",
                                         .nodes = kNodes});

}  // namespace
}  // namespace weft::video

extern "C" const weft_plugin* weft_plugin_entry(uint32_t /*host_abi_version*/) {
  return &weft::video::kPlugin;
}
