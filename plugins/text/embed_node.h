/// text.embed: texts to vectors, with a sentence encoder or with the hidden states of a language model that writes.
///
/// An encoder takes the texts of a list, and of all requests of an execute, together; a decoder reads one at a time.
#ifndef WEFT_PLUGINS_TEXT_EMBED_NODE_H
#define WEFT_PLUGINS_TEXT_EMBED_NODE_H

#include <weft/sdk/plugin.h>

#include <memory>
#include <span>

namespace weft::text {

class EmbedNode {
 public:
  static Result<std::unique_ptr<EmbedNode>> create(const sdk::NodeConfig& config);
  ~EmbedNode();
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status execute(std::span<sdk::Request> requests, const sdk::Execution& execution);

 private:
  class OfDecoder;
  class OfEncoder;
  EmbedNode();

  std::unique_ptr<OfDecoder> decoder_;  // this or the next
  std::unique_ptr<OfEncoder> encoder_;
};

extern const weft_node_type kEmbedNode;

}  // namespace weft::text
#endif
