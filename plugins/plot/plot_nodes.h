/// Nodes that draw: plot.line, plot.heatmap, plot.map.
#ifndef WEFT_PLUGINS_PLOT_PLOT_NODES_H
#define WEFT_PLUGINS_PLOT_PLOT_NODES_H

#include <weft/sdk/plugin.h>

#include <string>
#include <vector>

#include "plugins/plot/plotting.h"

namespace weft::plot {

/// Lines through fields, tensors and lists of numbers.
class LineNode {
 public:
  explicit LineNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  PlotSize size_;
  std::vector<std::string> inputs_;  // names, by port
};

/// A field or tensor of two dimensions as colours.
class HeatmapNode {
 public:
  explicit HeatmapNode(const sdk::NodeConfig& config) : size_(plot_size(config.parameters())) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  PlotSize size_;
};

/// A field over latitude and longitude as a map.
class MapNode {
 public:
  explicit MapNode(const sdk::NodeConfig& config) : size_(plot_size(config.parameters())) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  PlotSize size_;
};

extern const weft_node_type kLineNode, kHeatmapNode, kMapNode;

}  // namespace weft::plot
#endif
