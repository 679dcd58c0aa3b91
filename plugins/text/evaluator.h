/// Runs known tokens through a decoder and hands out logits or hidden states row by row, in passes that bound memory.
///
/// What text.score, text.choose and text.embed are made of. The split into passes never changes results.
/// Ownership: borrows everything. Thread safety: one thread; the decoder uses the executor's threads.
#ifndef WEFT_PLUGINS_TEXT_EVALUATOR_H
#define WEFT_PLUGINS_TEXT_EVALUATOR_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <span>

#include "plugins/text/engine.h"

namespace weft::text {

class Evaluator {
 public:
  /// Bytes of the workspace.
  static int64_t workspace_bytes(const EngineModel& model);

  /// workspace: workspace_bytes(), aligned to 64. cancelled: polled by run()'s threads.
  Evaluator(const EngineModel& model, std::span<std::byte> workspace, Executor executor,
            std::function<bool()> cancelled);

  /// row: index into `tokens`; values: logits [vocabulary] or the hidden state [width], valid during the call.
  using RowVisitor = std::function<void(int64_t row, std::span<const float> values)>;

  /// Appends `tokens` to `sequence` and visits the logits of the rows from `first_row` on, ascending; first_row may be
  /// tokens.size(). Errors: kCancelled, the decoder's.
  Status logits(KvSequence& sequence, std::span<const TokenId> tokens, int64_t first_row,
                const RowVisitor& visit) const;
  /// The same with the final hidden states of all rows.
  Status hidden(KvSequence& sequence, std::span<const TokenId> tokens, const RowVisitor& visit) const;

 private:
  enum class Output : uint8_t { kLogits, kHidden };
  Status run(Output output, KvSequence& sequence, std::span<const TokenId> tokens, int64_t first_row,
             const RowVisitor& visit) const;

  EngineModel model_;
  std::span<std::byte> decoder_workspace_;
  float* rows_;
  Executor executor_;
  std::function<bool()> cancelled_;
};

}  // namespace weft::text
#endif
