/// Texts to vectors with a sentence encoder, as many at once as a pass is long: texts of different lengths lie behind one
/// another, without padding.
///
/// Jobs are taken in turn, and join between two passes. A text's vector depends on the text alone; on a device its last bits may
/// depend on what is in the pass. Texts that are longer than the model reads lose their end.
/// Ownership: borrows model, execution and jobs for the length of run(). Thread safety: one thread; the encoder uses the
/// executor's threads, or the model's device.
///
///   plan_embedding(model, limits, host, plan);                                                             // in prepare
///   TextEmbedder embedder(model, {.pooling = Pooling::kMean}, limits, host, execution);                    // in execute
///   Status status = embedder.run(jobs, more);
#ifndef WEFT_PLUGINS_TEXT_TEXT_EMBEDDER_H
#define WEFT_PLUGINS_TEXT_TEXT_EMBEDDER_H

#include <weft/sdk/plugin.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/layers/device_passes.h"
#include "modalities/text/tokenizer/tokenizer.h"
#include "plugins/text/language_model.h"

namespace weft::text {

struct EmbeddingJob {
  std::vector<std::string_view> texts = {};
  std::span<const std::vector<TokenId>> tokens = {};  // instead of texts, as they are
  AddSpecial add_special = AddSpecial::kAsModelDeclares;
  ControlText control_text = ControlText::kIsText;
  float* vectors = nullptr;  // [size(), width]

  std::function<bool()> cancelled;                // polled often, from run()'s threads
  std::function<void(int64_t done)> on_progress;  // texts so far; may be empty
  std::function<void(const Status& status)>
      on_finished;  // called once; run() does not refer to the job afterwards

  size_t size() const { return tokens.empty() ? texts.size() : tokens.size(); }

  // run()'s own.
  size_t next = 0;   // text to be read
  int64_t done = 0;  // vectors that are there
  Status failure;    // of a text that could not be read
};

struct EmbeddingOptions {
  Pooling pooling = Pooling::kMean;
  bool normalizes = true;  // to length 1
};

/// Bounds of one pass; they size the workspace and never change results.
struct EmbeddingLimits {
  int64_t tokens = 1;  // at least the longest text's
  int64_t texts = 1;

  /// For up to n texts of at most max_bytes each at a time; either may be unknown: -1.
  static EmbeddingLimits of(const LanguageModel& model, int64_t n, int64_t max_bytes);
  /// For up to n texts of at most `tokens` each.
  static EmbeddingLimits of_tokens(const LanguageModel& model, int64_t n, int64_t tokens);
};

/// Tells the plan of workspace and device. model: an encoder.
void plan_embedding(const LanguageModel& model, const EmbeddingLimits& limits, const sdk::Host& host,
                    const sdk::Plan& plan);

class TextEmbedder {
 public:
  /// Jobs that have come since; none if there are none now. May be empty.
  using MoreJobs = std::function<std::vector<EmbeddingJob*>()>;

  /// execution: of a node that called plan_embedding() with these limits.
  TextEmbedder(const LanguageModel& model, const EmbeddingOptions& options, const EmbeddingLimits& limits,
               const sdk::Host& host, const sdk::Execution& execution);

  /// Runs all jobs to their end. A job that fails or is cancelled ends alone, through on_finished; the status is an error only
  /// if nothing can go on, and then every job that is left has ended with it.
  Status run(std::vector<EmbeddingJob*> jobs, const MoreJobs& more);
  /// Texts so far that lost their end.
  int64_t n_cut() const { return n_cut_; }

 private:
  struct Read {  // a text that waits for its pass
    EmbeddingJob* job;
    size_t index;
    std::vector<TokenId> tokens;
  };
  class Pass;

  Result<std::vector<TokenId>> tokens_of(const EmbeddingJob& job, size_t index);
  std::optional<Read> read_next();
  void fill(Pass& pass);
  Status encode(Pass& pass);
  void settle();
  void finish(EmbeddingJob& job, const Status& status);

  const SentenceEncoder& encoder_;
  const Tokenizer& tokenizer_;
  EmbeddingOptions options_;
  EmbeddingLimits limits_;
  std::span<std::byte> workspace_;
  Executor executor_;
  SparePasses::Lease passes_;        // on a device
  std::vector<float> pooled_;        // [limits.texts, width]
  std::deque<EmbeddingJob*> jobs_;   // with texts that were not read
  std::vector<EmbeddingJob*> open_;  // not finished
  std::optional<Read> left_over_;    // of the last pass, for which it had no room
  int64_t n_cut_ = 0;
};

}  // namespace weft::text
#endif
