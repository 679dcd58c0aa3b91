/// vision.bench: how many pictures an encoder turns into vectors on this machine; what `weft bench vision` runs.
///
/// `batch` pictures that are resized and normalised already, in one pass. Repeated; the median is reported.
#ifndef WEFT_PLUGINS_VISION_BENCH_NODE_H
#define WEFT_PLUGINS_VISION_BENCH_NODE_H

#include <weft/sdk/plugin.h>

#include <cstdint>

#include "plugins/vision/vision_model.h"

namespace weft::vision {

class BenchNode {
 public:
  explicit BenchNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  sdk::Host host_;
  const VisionModel& model_;
  int64_t batch_, repetitions_;
};

extern const weft_node_type kBenchNode;

}  // namespace weft::vision
#endif
