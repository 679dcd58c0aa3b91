/// image.bench: how long a diffusion model takes on this machine; what `weft bench image` runs.
///
/// Text encoding: two prompts of one chunk. A step: one call of the UNet for n pictures with guidance (a batch of 2 n), from
/// noise. Decoding: one picture. Each is repeated and the median taken. Memory is that of one such generation.
#ifndef WEFT_PLUGINS_IMAGE_BENCH_NODE_H
#define WEFT_PLUGINS_IMAGE_BENCH_NODE_H

#include <weft/sdk/plugin.h>

#include <cstdint>

#include "plugins/image/denoising.h"
#include "plugins/image/diffusion_model.h"

namespace weft::image {

class BenchNode {
 public:
  explicit BenchNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  sdk::Host host_;
  const DiffusionModel* model_;
  int64_t size_, steps_, images_, repetitions_;
  DenoisingShape shape_;
  uint64_t host_bytes_ = 0;
};

extern const weft_node_type kBenchNode;

}  // namespace weft::image
#endif
