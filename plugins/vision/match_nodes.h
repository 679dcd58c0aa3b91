/// Pictures and texts compared: vision.similarity, vision.classify, vision.rank.
#ifndef WEFT_PLUGINS_VISION_MATCH_NODES_H
#define WEFT_PLUGINS_VISION_MATCH_NODES_H

#include <memory>

#include "plugins/vision/encoding_node.h"

namespace weft::vision {

/// How near each picture is to each text.
class SimilarityNode : public EncodingNode {
 public:
  static Result<std::unique_ptr<SimilarityNode>> create(const sdk::NodeConfig& config);
  explicit SimilarityNode(const sdk::NodeConfig& config) : EncodingNode(config) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status execute(std::span<sdk::Request> requests, const sdk::Execution& execution);
};

/// Which of several labels fits a picture, by their texts ("zero-shot"); or which class of a classifier.
class ClassifyNode : public EncodingNode {
 public:
  static Result<std::unique_ptr<ClassifyNode>> create(const sdk::NodeConfig& config);
  ClassifyNode(const sdk::NodeConfig& config, std::vector<std::string> templates)
      : EncodingNode(config), templates_(std::move(templates)) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status execute(std::span<sdk::Request> requests, const sdk::Execution& execution);

 private:
  Result<std::vector<float>> label_vectors(EncodedRequest& one, const std::vector<std::string>& labels) const;
  Status answer_with(EncodedRequest& one, const sdk::Execution& execution,
                     const std::vector<std::string>& labels, std::span<const double> logits) const;

  std::vector<std::string> templates_;  // "{}" stands for the label
};

/// The best of several pictures for a text.
class RankNode : public EncodingNode {
 public:
  static Result<std::unique_ptr<RankNode>> create(const sdk::NodeConfig& config);
  explicit RankNode(const sdk::NodeConfig& config)
      : EncodingNode(config), most_(config.parameters().get_int("top")) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status execute(std::span<sdk::Request> requests, const sdk::Execution& execution);

 private:
  int64_t most_;
};

extern const weft_node_type kSimilarityNode, kClassifyNode, kRankNode;

}  // namespace weft::vision
#endif
