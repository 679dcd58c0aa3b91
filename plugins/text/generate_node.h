/// text.generate and text.chat: a prompt or a conversation in, text out.
///
/// All requests of one execute run in one engine, so that a list of prompts is one batch; requests that come meanwhile join
/// it, and each leaves when its text ends. Each result is the same as if it had run alone. Thread safety: as every node: one
/// call at a time.
#ifndef WEFT_PLUGINS_TEXT_GENERATE_NODE_H
#define WEFT_PLUGINS_TEXT_GENERATE_NODE_H

#include <weft/sdk/plugin.h>

#include <memory>
#include <span>
#include <vector>

#include "plugins/text/engine.h"
#include "plugins/text/language_model.h"
#include "plugins/text/picture_reader.h"
#include "plugins/text/prompt.h"

namespace weft::text {

class GenerationNode {
 public:
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status execute(std::span<sdk::Request> requests, const sdk::Execution& execution);

 protected:
  explicit GenerationNode(const sdk::NodeConfig& config, PromptFormat format);

 private:
  struct Pending;
  class Batch;

  /// Most tokens that a prompt may have, and pictures, from the bounds of the inputs.
  int64_t prompt_bound(const sdk::Specs& inputs) const;
  int64_t pictures_bound(const sdk::Specs& inputs) const;
  Result<std::vector<TokenId>> prompt(const sdk::Request& request, int64_t n_pictures) const;
  Status read_pictures(Pending& pending, EncodedPictures* encoded) const;
  Status start(Pending& pending, EncodedPictures* encoded) const;
  void finish(Pending& pending) const;
  Status set_outputs(Pending& pending) const;

  sdk::Host host_;
  sdk::Parameters parameters_;  // those that are the same for all requests
  LanguageModel* model_;
  PromptFormat format_;
  KvLayout kv_layout_;
  int64_t context_;  // n_ctx: prompt and generated tokens of one text
  int64_t max_tokens_;
  int64_t n_;  // texts a request
  uint32_t max_requests_;
  Truncation truncation_;
  bool sees_;              // a port for pictures is connected, and the model has a vision tower
  int64_t today_seconds_;  // 0 where the chat template does not ask
  EngineLimits limits_;
  int64_t n_pages_ = 0;  // of the KV cache, at most
};

class GenerateNode : public GenerationNode {
 public:
  static Result<std::unique_ptr<GenerateNode>> create(const sdk::NodeConfig& config);
  explicit GenerateNode(const sdk::NodeConfig& config);
};

class ChatNode : public GenerationNode {
 public:
  static Result<std::unique_ptr<ChatNode>> create(const sdk::NodeConfig& config);
  explicit ChatNode(const sdk::NodeConfig& config) : GenerationNode(config, PromptFormat::kChat) {}
};

/// Parts of the descriptor.
std::span<const weft_port> generation_inputs();
std::span<const weft_port> generation_outputs();
std::span<const weft_parameter> generate_parameters();
std::span<const weft_parameter> chat_parameters();

}  // namespace weft::text
#endif
