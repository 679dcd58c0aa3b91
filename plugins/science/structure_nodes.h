/// science.load_structure: a PDB or mmCIF file as a structure. science.save_structure: a structure, perhaps with another sequence,
/// into a file.
#ifndef WEFT_PLUGINS_SCIENCE_STRUCTURE_NODES_H
#define WEFT_PLUGINS_SCIENCE_STRUCTURE_NODES_H

#include <weft/sdk/plugin.h>

namespace weft::science {

class LoadStructureNode {
 public:
  explicit LoadStructureNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

class SaveStructureNode {
 public:
  explicit SaveStructureNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

extern const weft_node_type kLoadStructureNode, kSaveStructureNode;

}  // namespace weft::science
#endif
