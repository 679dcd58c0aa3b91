/// What all pictures of a pipeline show: boxes with ports, and links between ports. Internal to the pictures.
#ifndef WEFT_PIPELINE_GRAPH_PICTURE_MODEL_H
#define WEFT_PIPELINE_GRAPH_PICTURE_MODEL_H

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/graph/graph.h"

namespace weft {

struct PictureBox {
  enum class Kind { kInput, kNode, kOutput } kind = Kind::kNode;
  std::string title, subtitle;         // a node's name and type; an input's name and type
  std::vector<std::string> tags;       // "for each", "when", the models: short words
  std::vector<std::string> ins, outs;  // ports that have a link, in order of first use
};

struct PictureLink {
  uint32_t from = 0, from_port = 0;  // box, index into its outs
  uint32_t to = 0, to_port = 0;      // box, index into its ins
  enum class Kind { kData, kCondition } kind = Kind::kData;
};

struct PictureModel {
  std::vector<PictureBox> boxes;  // inputs, nodes in topological order, outputs: links lead to larger numbers
  std::vector<PictureLink> links;
};

/// Inputs that nothing uses are left out.
PictureModel picture_model(const Graph& graph);

}  // namespace weft
#endif
