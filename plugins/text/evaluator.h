/// Runs known tokens through a decoder and hands out logits or hidden states row by row, in passes that bound memory.
///
/// What text.score, text.choose and text.embed are made of. The split into passes never changes results.
/// Ownership: borrows the pass. Thread safety: one thread, as the pass.
#ifndef WEFT_PLUGINS_TEXT_EVALUATOR_H
#define WEFT_PLUGINS_TEXT_EVALUATOR_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include "modalities/text/tokenizer/tokenizer.h"
#include "plugins/text/decoder_pass.h"

namespace weft::text {

class Evaluator {
 public:
  /// Of the pass, with a cache of so many pages.
  static PassLimits limits(const DecoderConfig& config, int64_t pages);

  /// pass: of limits(). cancelled: polled by run()'s threads.
  Evaluator(DecoderPass& pass, std::function<bool()> cancelled)
      : pass_(pass), cancelled_(std::move(cancelled)) {}

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

  DecoderPass& pass_;
  std::function<bool()> cancelled_;
};

}  // namespace weft::text
#endif
