#include "plugins/text/engine.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <utility>

#include "kernels/ops/softmax/softmax.h"
#include "plugins/text/stop_text.h"

namespace weft::text {
namespace {

/// Shorter common beginnings are computed again: forking would copy a page to save less than one.
constexpr int64_t kLeastSharedTokens = kPageTokens;

/// Tokens that both begin with, at most `most`. A picture belongs to them whole, or not at all.
int64_t common_beginning(const Job& a, std::span<const TokenId> b, std::span<const PromptPicture> of_b,
                         int64_t most) {
  const int64_t alike =
      std::mismatch(a.prompt.begin(), a.prompt.end(), b.begin(), b.end()).first - a.prompt.begin();
  const int64_t common = std::min(most, alike);
  for (size_t i = 0; i < std::max(a.pictures.size(), of_b.size()); ++i) {
    const PromptPicture* first = i < a.pictures.size() ? &a.pictures[i] : nullptr;
    const PromptPicture* second = i < of_b.size() ? &of_b[i] : nullptr;
    const bool equal = first && second && *first == *second;
    if (equal && first->begin + first->count <= common) continue;
    int64_t end = common;
    for (const PromptPicture* picture : {first, second})
      if (picture) end = std::min(end, picture->begin);
    return end;
  }
  return common;
}

}  // namespace

const char* to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
  }
  return "unknown";
}

/// A job that has a sequence in the cache.
struct Engine::Active {
  Active(Job& owner, KvSequence stored, const Tokenizer& tokenizer)
      : job(&owner),
        sequence(std::move(stored)),
        history(owner.prompt),
        decoder(tokenizer, {.invalid_utf8 = InvalidUtf8::kReplace, .position = DecodePosition::kWithinText}),
        stop(owner.stop) {}

  int64_t total_tokens() const { return static_cast<int64_t>(job->prompt.size()) + job->max_tokens; }
  /// Tokens that are known and not yet in the cache: the rest of the prompt, or the one drawn last.
  std::span<const TokenId> pending() const { return std::span(history).subspan(sequence.length()); }
  /// So many of them, or fewer where that would cut a picture.
  int64_t without_cut_picture(int64_t n) const {
    const int64_t end = sequence.length() + n;
    for (const PromptPicture& picture : job->pictures)
      if (picture.begin < end && end < picture.begin + picture.count)
        return std::max<int64_t>(picture.begin - sequence.length(), 0);
    return n;
  }
  /// The rows among the next n of them, until asked again.
  std::span<const EmbeddedRows> embedded_rows(int64_t n, int64_t width) {
    const int64_t begin = sequence.length();
    embedded.clear();
    for (const PromptPicture& picture : job->pictures) {
      const int64_t first = std::max(begin, picture.begin),
                    last = std::min(begin + n, picture.begin + picture.count);
      if (first < last)
        embedded.push_back(
            {first - begin, last - first, picture.rows + (first - picture.begin) * width, picture.memory});
    }
    return embedded;
  }
  /// Free pages that this job may still take until its end.
  int64_t pages_to_come() const { return sequence.pages_to_append(total_tokens() - sequence.length()); }

  Job* job;
  KvSequence sequence;
  std::vector<TokenId> history;  // prompt and drawn tokens
  std::vector<EmbeddedRows> embedded;
  StreamDecoder decoder;
  StopText stop;
  JobResult result;
  std::vector<std::byte> sampling_workspace;
};

/// One pass of the decoder, and what is drawn from it.
struct Engine::Step {
  struct Row {
    Active* active = nullptr;
    std::span<const float> logits;
    std::shared_ptr<const TokenMask> mask = nullptr;  // null: all tokens are allowed
    int64_t draw = -1;  // of Step::draws; -1: the token is drawn here, of the logits
    TokenRecord drawn;
    Status status;

    SamplingInput input() const {
      SamplingInput input;
      input.logits = logits;
      input.history = active->history;
      if (mask) input.allowed = mask->words();
      input.step = active->result.tokens.size();
      return input;
    }
  };
  std::vector<DecoderChunk> chunks;
  std::vector<int32_t> logits_rows;
  std::vector<Row> rows;
  std::vector<RankedValue> largest;  // of each row, where no row needs more
  std::optional<DeviceDraws> draws;  // of the rows that the pass draws
  std::vector<TokenId> tokens;       // of the draws
};

class Engine::Schedule {
 public:
  Schedule(Engine& engine, std::span<Job> jobs, const MoreJobs& more) : engine_(engine), more_(more) {
    for (Job& job : jobs) waiting_.push_back(&job);
  }

  Status run() {
    while (true) {
      drop_cancelled();
      join();
      admit();
      if (active_.empty()) break;
      build_step();
      Status status = forward();
      if (status.code() == StatusCode::kCancelled) continue;  // somebody left: try again without
      if (!status.ok()) return fail_all(status);
      draw();
      advance();
    }
    return {};
  }

 private:
  static bool is_cancelled(const Job& job) { return job.cancelled && job.cancelled(); }
  static Status cancelled() { return Status(StatusCode::kCancelled, "cancelled"); }

  void drop_cancelled() {
    std::erase_if(waiting_, [](Job* job) {
      if (!is_cancelled(*job)) return false;
      job->on_finished(cancelled());
      return true;
    });
    std::erase_if(active_, [](const std::unique_ptr<Active>& active) {
      if (!is_cancelled(*active->job)) return false;
      active->job->on_finished(cancelled());
      return true;
    });
  }

  void join() {
    const auto n = static_cast<int64_t>(active_.size() + waiting_.size());
    if (!more_ || n >= engine_.limits_.max_sequences) return;
    for (Job* job : more_(engine_.limits_.max_sequences - n)) waiting_.push_back(job);
  }

  /// Gives waiting jobs a sequence while there are places and pages, in order; one that could share the prompt of a job
  /// that is still being read waits for it.
  void admit() {
    for (auto next = waiting_.begin(); next != waiting_.end();) {
      if (static_cast<int64_t>(active_.size()) >= engine_.limits_.max_sequences) return;
      Job& job = **next;
      Result<KvSequence> sequence = beginning_of(job);
      if (!sequence.ok()) {  // worth waiting for
        ++next;
        continue;
      }
      auto candidate = std::make_unique<Active>(job, *std::move(sequence), engine_.tokenizer_);
      int64_t pages = candidate->pages_to_come();
      for (const auto& active : active_) pages += active->pages_to_come();
      if (pages > engine_.pass_.cache().n_free_pages()) {
        if (!active_.empty()) return;  // pages come free when a job leaves
        next = waiting_.erase(next);
        job.on_finished(does_not_fit(job));
        continue;
      }
      active_.push_back(std::move(candidate));
      next = waiting_.erase(next);
    }
  }

  /// The longest stored beginning of the job's prompt, as a sequence. Error: wait, a longer one is being computed.
  Result<KvSequence> beginning_of(const Job& job) {
    const int64_t usable = static_cast<int64_t>(job.prompt.size()) - 1;  // the last token's logits are needed
    Active* donor = nullptr;
    int64_t best = kLeastSharedTokens - 1;
    for (const auto& active : active_) {
      const int64_t common = common_beginning(job, active->history, active->job->pictures, usable);
      if (common > best) {
        best = common;
        donor = active.get();
      }
    }
    if (donor == nullptr) return engine_.pass_.cache().new_sequence();
    if (donor->sequence.length() < best) return Status(StatusCode::kNotFound, "not computed yet");
    KvSequence shared = donor->sequence.fork();
    shared.truncate(best);
    return shared;
  }

  Status does_not_fit(const Job& job) const {
    const int64_t tokens = static_cast<int64_t>(job.prompt.size()) + job.max_tokens;
    return Status(StatusCode::kOutOfMemory, "the text does not fit into the KV cache")
        .expected("at most " + std::to_string(engine_.pass_.cache().n_pages() * kPageTokens) + " tokens")
        .got(std::to_string(job.prompt.size()) + " prompt tokens and max_tokens " +
             std::to_string(job.max_tokens) + ", together " + std::to_string(tokens))
        .hint("lower max_tokens, or shorten the prompt");
  }

  void build_step() {
    step_ = Step();
    int64_t budget = engine_.limits_.max_step_tokens;
    int64_t row = 0;
    const DecoderConfig& config = engine_.pass_.config();
    const auto add = [&](Active& active) {
      const std::span<const TokenId> pending = active.pending();
      int64_t n = std::min(static_cast<int64_t>(pending.size()), budget);
      if (config.pictures_see_themselves) n = active.without_cut_picture(n);
      if (n == 0) return;
      const std::span<const TokenId> tokens = pending.first(static_cast<size_t>(n));
      step_.chunks.push_back({&active.sequence, tokens, active.embedded_rows(n, config.width)});
      budget -= static_cast<int64_t>(tokens.size());
      row += static_cast<int64_t>(tokens.size());
      if (tokens.size() < pending.size()) return;
      step_.logits_rows.push_back(static_cast<int32_t>(row - 1));
      step_.rows.emplace_back().active = &active;
    };
    // Decoding jobs first: a long prompt must not keep the others waiting.
    for (const auto& active : active_) {
      if (active->pending().size() == 1) add(*active);
    }
    for (const auto& active : active_) {
      if (active->pending().size() > 1) add(*active);
    }
    const int64_t vocabulary = config.vocabulary;
    for (size_t i = 0; i < step_.rows.size(); ++i) {
      step_.rows[i].logits = {engine_.pass_.rows() + static_cast<int64_t>(i) * vocabulary,
                              static_cast<size_t>(vocabulary)};
    }
  }

  Status forward() {
    const StopRequest stop{[](void* self) { return static_cast<Schedule*>(self)->anybody_left(); }, this};
    PassOutputs outputs;
    if (std::ranges::all_of(step_.rows, [](const Step::Row& row) { return takes_largest(*row.active); })) {
      step_.largest.resize(step_.rows.size());
      outputs.largest = step_.largest.data();
    } else {
      read_masks();
      if (engine_.pass_.draws_tokens()) choose_draws();
      if (step_.draws && step_.draws->count() > 0) {
        outputs.draws = &*step_.draws;
        outputs.tokens = step_.tokens.data();
      }
      if (step_.tokens.size() < step_.rows.size()) outputs.logits = engine_.pass_.rows();
    }
    return engine_.pass_.forward(
        {.chunks = step_.chunks, .logits_rows = step_.logits_rows, .hidden_rows = {}, .adapters = {}},
        outputs, stop);
  }

  /// Which tokens may follow, for jobs that are constrained.
  void read_masks() {
    engine_.executor_.parallel_for(
        static_cast<int64_t>(step_.rows.size()), 1, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            Step::Row& row = step_.rows[i];
            if (!row.active->job->constraint) continue;
            Result<std::shared_ptr<const TokenMask>> allowed = row.active->job->constraint->allowed();
            if (allowed.ok()) row.mask = *std::move(allowed);
            else row.status = allowed.status();
          }
        });
  }

  /// The rows whose tokens the pass draws: of those that want nothing else of the logits.
  void choose_draws() {
    step_.draws.emplace(engine_.pass_.config().vocabulary);
    for (size_t i = 0; i < step_.rows.size(); ++i) {
      Step::Row& row = step_.rows[i];
      const Job& job = *row.active->job;
      if (!row.status.ok() || job.top_logprobs >= 0) continue;
      if (step_.draws->add(static_cast<int32_t>(i), job.sampling, row.input()))
        row.draw = step_.draws->count() - 1;
    }
    step_.tokens.resize(static_cast<size_t>(step_.draws->count()));
  }

  /// Whether a job's next token is the largest logit's, and nothing else is asked of the logits.
  static bool takes_largest(const Active& active) {
    const Job& job = *active.job;
    const SamplingInput input{.logits = {}, .history = active.history, .allowed = {}, .step = 0};
    return !job.constraint && job.top_logprobs < 0 && weft::takes_largest(job.sampling, input);
  }

  bool anybody_left() const {
    return std::ranges::any_of(active_, [](const auto& active) { return is_cancelled(*active->job); });
  }

  void draw() {
    engine_.executor_.parallel_for(
        static_cast<int64_t>(step_.rows.size()), 1, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            Step::Row& row = step_.rows[i];
            if (row.status.ok()) row.status = step_.largest.empty() ? draw(row) : take(step_.largest[i], row);
          }
        });
  }

  static Status take(const RankedValue& largest, Step::Row& row) {
    row.drawn.token = largest.place;
    return largest.value > -INFINITY ? Status() : impossible();
  }

  static Status impossible() {
    return Status(StatusCode::kInvalidArgument, "no token can be chosen")
        .expected("at least one allowed token with a logit above -infinity");
  }

  Status draw(Step::Row& row) const {
    Job& job = *row.active->job;
    if (row.draw >= 0) {
      row.drawn.token = step_.tokens[static_cast<size_t>(row.draw)];
      if (row.drawn.token < 0) return impossible();
    } else if (Status status = sample_here(row); !status.ok()) {
      return status;
    }
    return job.constraint ? job.constraint->accept(row.drawn.token) : Status();
  }

  static Status sample_here(Step::Row& row) {
    Active& active = *row.active;
    const Job& job = *active.job;
    const SamplingInput input = row.input();
    const auto vocabulary = static_cast<int64_t>(row.logits.size());
    const int64_t needed = sampling_workspace_bytes(vocabulary, static_cast<int64_t>(active.history.size()));
    if (static_cast<int64_t>(active.sampling_workspace.size()) < needed) {
      active.sampling_workspace.resize(sampling_workspace_bytes(vocabulary, active.total_tokens()));
    }
    Result<int32_t> token = sample(job.sampling, input, active.sampling_workspace);
    if (!token.ok()) return token.status();
    row.drawn.token = *token;
    if (job.top_logprobs >= 0) {
      const double log_sum = log_sum_exp(row.logits);
      row.drawn.logprob = static_cast<float>(row.logits[*token] - log_sum);
      row.drawn.top.resize(std::min<int64_t>(job.top_logprobs, vocabulary));
      row.drawn.top.resize(top_logprobs(row.logits, log_sum, row.drawn.top));
    }
    return {};
  }

  /// Appends what was drawn and lets go of the jobs that are done.
  void advance() {
    for (Step::Row& row : step_.rows) {
      Active& active = *row.active;
      if (!row.status.ok()) {
        active.job->on_finished(row.status);
        active.job = nullptr;
        continue;
      }
      const std::optional<FinishReason> reason = append(active, std::move(row.drawn));
      if (!reason) continue;
      give_out(active, active.stop.push(active.decoder.finish()));
      give_out(active, active.stop.finish());
      active.result.reason = *reason;
      active.job->on_finished(std::move(active.result));
      active.job = nullptr;
    }
    std::erase_if(active_, [](const auto& active) { return active->job == nullptr; });
  }

  std::optional<FinishReason> append(Active& active, TokenRecord drawn) {
    const TokenId token = drawn.token;
    if (engine_.tokenizer_.ends_generation(token)) return FinishReason::kStop;
    active.history.push_back(token);
    active.result.tokens.push_back(token);
    if (active.job->top_logprobs >= 0) active.result.logprobs.push_back(std::move(drawn));
    give_out(active, active.stop.push(active.decoder.push(token)));
    if (active.stop.found()) return FinishReason::kStop;
    if (active.job->constraint && active.job->constraint->is_finished()) return FinishReason::kStop;
    if (static_cast<int64_t>(active.result.tokens.size()) >= active.job->max_tokens)
      return FinishReason::kLength;
    return std::nullopt;
  }

  static void give_out(Active& active, const std::string& part) {
    if (part.empty()) return;
    active.result.text += part;
    if (active.job->on_text) active.job->on_text(part);
  }

  Status fail_all(const Status& status) {
    for (const auto& active : active_) active->job->on_finished(status);
    for (Job* job : waiting_) job->on_finished(status);
    return status;
  }

  Engine& engine_;
  const MoreJobs& more_;
  std::deque<Job*> waiting_;
  std::vector<std::unique_ptr<Active>> active_;
  Step step_;
};

Status Engine::run(std::span<Job> jobs, const MoreJobs& more) { return Schedule(*this, jobs, more).run(); }

}  // namespace weft::text
