/// vision.encode: pictures to vectors, of the whole or of each patch. vision.encode_text: texts to vectors that those of
/// pictures can be compared with.
#ifndef WEFT_PLUGINS_VISION_ENCODE_NODES_H
#define WEFT_PLUGINS_VISION_ENCODE_NODES_H

#include <memory>

#include "plugins/vision/encoding_node.h"

namespace weft::vision {

class EncodeNode : public EncodingNode {
 public:
  static Result<std::unique_ptr<EncodeNode>> create(const sdk::NodeConfig& config);
  explicit EncodeNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status execute(std::span<sdk::Request> requests, const sdk::Execution& execution);

 private:
  std::vector<int64_t> shape(int64_t pictures, const PatchGrid& grid) const;
  /// The one grid of all pictures. Errors: kInvalidShape.
  Result<PatchGrid> grid_of(const PictureJob& job) const;

  bool patches_, normalizes_;
};

class EncodeTextNode : public EncodingNode {
 public:
  static Result<std::unique_ptr<EncodeTextNode>> create(const sdk::NodeConfig& config);
  explicit EncodeTextNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  bool is_list_, normalizes_;
};

extern const weft_node_type kEncodeNode, kEncodeTextNode;

}  // namespace weft::vision
#endif
