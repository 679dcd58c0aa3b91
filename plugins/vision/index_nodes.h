/// vision.index: the vectors of all pictures of a folder as one file. vision.search: the pictures in such a file that lie
/// nearest to a text, or to a picture.
#ifndef WEFT_PLUGINS_VISION_INDEX_NODES_H
#define WEFT_PLUGINS_VISION_INDEX_NODES_H

#include <memory>

#include "plugins/vision/encoding_node.h"

namespace weft::vision {

class IndexNode : public EncodingNode {
 public:
  explicit IndexNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  struct Decoded;
  struct Made;
  Status encode_some(sdk::Request& request, Encoder& encoder, std::span<const std::string> names,
                     const std::string& folder, Made& made) const;
  Status decode(const sdk::Request& request, const std::string& path, Decoded& out) const;

  static constexpr int64_t kUsualGroups = -1;

  bool skips_unreadable_;
  int64_t max_side_;
  int64_t n_groups_;
};

class SearchNode : public EncodingNode {
 public:
  static Result<std::unique_ptr<SearchNode>> create(const sdk::NodeConfig& config);
  explicit SearchNode(const sdk::NodeConfig& config)
      : EncodingNode(config),
        most_(config.parameters().get_int("top")),
        probes_(config.parameters().is_set("probes") ? config.parameters().get_int("probes") : kUsualProbes) {
  }
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  Result<std::vector<float>> query_vector(sdk::Request& request, const sdk::Execution& execution) const;

  static constexpr int64_t kUsualProbes = -1;

  int64_t most_;
  int64_t probes_;
};

extern const weft_node_type kIndexNode, kSearchNode;

}  // namespace weft::vision
#endif
