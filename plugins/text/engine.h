/// Continuous batching: many generation jobs share one decoder and one paged KV cache.
///
/// Each step runs the decoder once over one token of every decoding job and a chunk of the prompts that still wait; jobs
/// join when pages for their whole length are free and leave as they finish. Jobs whose prompts begin alike share those
/// pages, pictures included. A job's result depends on itself alone: the decoder gives the same bits in every batch, and the random stream
/// is the job's own.
///
/// Ownership: the engine borrows pass and tokenizer for the length of run(); jobs belong to the caller.
/// Thread safety: one thread; the pass uses the executor's threads.
///
///   Engine engine(pass, tokenizer, executor, limits);
///   Status status = engine.run(jobs);   // on_text and on_finished of each job are called meanwhile
///   Status status = engine.run({}, more);   // the same with jobs that come while others are at work
#ifndef WEFT_PLUGINS_TEXT_ENGINE_H
#define WEFT_PLUGINS_TEXT_ENGINE_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/ops/sampling/sampling.h"
#include "modalities/text/constraint/constraint.h"
#include "modalities/text/tokenizer/tokenizer.h"
#include "plugins/text/decoder_pass.h"

namespace weft::text {

enum class FinishReason : uint8_t {
  kStop,    // an end-of-generation token, a stop text, or a complete constrained text
  kLength,  // max_tokens
};
const char* to_string(FinishReason reason);  // "stop", "length"

/// One generated token and, if asked for, the likeliest ones in its place. Natural logarithms, before any sampler.
struct TokenRecord {
  TokenId token = 0;
  float logprob = 0;
  std::vector<TokenLogprob> top;
};

struct JobResult {
  std::string text;  // UTF-8; what on_text was given, joined; without the stop text
  std::vector<TokenId> tokens;
  std::vector<TokenRecord> logprobs;  // one a token, if asked for
  FinishReason reason = FinishReason::kStop;
};

/// A picture in a prompt: `count` tokens from `begin` on stand for its rows. Pictures are equal where their rows are at one place: who
/// makes them encodes equal pixels once.
struct PromptPicture {
  int64_t begin = 0, count = 0;
  const float* rows = nullptr;  // [count, width of the embeddings]; the caller's, until the job is over
  RowsMemory memory = RowsMemory::kHost;

  friend bool operator==(const PromptPicture&, const PromptPicture&) = default;
};

struct Job {
  std::vector<TokenId> prompt;          // at least one
  std::vector<PromptPicture> pictures;  // ascending, apart
  SamplingParameters sampling;
  int64_t max_tokens = 0;  // at least 1; prompt.size() + max_tokens fits the cache
  std::vector<std::string> stop;
  std::optional<Matcher> constraint;
  int32_t top_logprobs = -1;  // -1: none; 0: of the drawn tokens; n: of the n likeliest too

  std::function<void(std::string_view)> on_text;  // a part of the text, whole UTF-8 characters; may be empty
  std::function<bool()> cancelled;                // polled often, from run()'s threads; may be empty
  /// Called once, as soon as the job is over: its result, or why there is none.
  std::function<void(Result<JobResult>)> on_finished;
};

/// Bounds of one step; they size the workspace and never change results.
struct EngineLimits {
  int64_t max_sequences = 1;  // that decode together
  /// Prompt and decode tokens of one step. Where the decoder's pictures see themselves: at least max_sequences and a picture's.
  int64_t max_step_tokens = 512;

  friend bool operator==(const EngineLimits&, const EngineLimits&) = default;
};

/// At most `room` further jobs, none if there are none now; asked between steps while there is room, when no job that has
/// finished is referred to any more. They live until they have finished.
using MoreJobs = std::function<std::vector<Job*>(int64_t room)>;

class Engine {
 public:
  /// Of the pass, with a cache of so many pages.
  static PassLimits pass_limits(const EngineLimits& limits, int64_t pages) {
    return {.tokens = limits.max_step_tokens,
            .logits_rows = limits.max_sequences,
            .pages = pages,
            .draws = limits.max_sequences};
  }

  /// pass: of pass_limits(). executor: draws the tokens of several jobs at once, those that the pass does not draw where the logits
  /// are: of jobs that want log-probabilities, and what DeviceDraws leaves to the host.
  Engine(DecoderPass& pass, const Tokenizer& tokenizer, Executor executor, const EngineLimits& limits)
      : pass_(pass), tokenizer_(tokenizer), executor_(executor), limits_(limits) {}

  /// Runs all jobs to their end. A job that fails or is cancelled ends alone, through on_finished; the status is an error
  /// only if the engine itself cannot go on, and then every job that is left has ended with it.
  Status run(std::span<Job> jobs, const MoreJobs& more = {});

 private:
  struct Active;
  struct Step;
  class Schedule;

  DecoderPass& pass_;
  const Tokenizer& tokenizer_;
  Executor executor_;
  EngineLimits limits_;
};

}  // namespace weft::text
#endif
