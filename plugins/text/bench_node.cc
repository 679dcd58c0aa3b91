#include "plugins/text/bench_node.h"

#include <weft/sdk/measure.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "plugins/text/reading_node.h"

namespace weft::text {
namespace {

constexpr weft_port kOutputs[] = {
    sdk::port("report", "json",
              "prefill_tps, decode_tps: tokens a second over all sequences, medians; load_ms; "
              "first_token_monotonic_ns: CLOCK_MONOTONIC when the first token was there.")};
constexpr weft_parameter kParameters[] = {
    kModelParameter,
    kKvTypeParameter,
    sdk::parameter({.name = "prompt_tokens",
                    .type = "int",
                    .default_json = "512",
                    .minimum = 1,
                    .maximum = 1 << 20,
                    .unit = "tokens",
                    .help = "Length of each prompt."}),
    sdk::parameter({.name = "gen_tokens",
                    .type = "int",
                    .default_json = "64",
                    .minimum = 1,
                    .maximum = 1 << 20,
                    .unit = "tokens",
                    .help = "Tokens that each sequence writes."}),
    sdk::parameter({.name = "batch",
                    .type = "int",
                    .default_json = "1",
                    .minimum = 1,
                    .maximum = 1024,
                    .help = "Sequences at once, with different prompts."}),
    sdk::parameter({.name = "depth",
                    .type = "int",
                    .default_json = "0",
                    .minimum = 0,
                    .maximum = 1 << 20,
                    .unit = "tokens",
                    .help = "Context that writing starts from."}),
    sdk::repetitions_parameter("3")};

}  // namespace

TokenId some_token(const Tokenizer& tokenizer, int64_t sequence, int64_t position) {
  return static_cast<TokenId>(
      philox(static_cast<uint64_t>(sequence), static_cast<uint64_t>(position), 0).word[0] %
      static_cast<uint32_t>(tokenizer.vocabulary_size()));
}

/// The decoder with memory for `batch` sequences.
struct BenchNode::Machine {
  const BenchNode& node;
  const sdk::Request& request;
  DecoderPass& pass;
  std::vector<KvSequence> sequences;
  std::vector<TokenId> last;         // of each sequence
  std::vector<RankedValue> largest;  // of each row of the last pass

  Status forward(std::span<const DecoderChunk> chunks, std::span<const int32_t> rows) {
    const StopRequest stop{[](void* self) { return static_cast<Machine*>(self)->request.cancelled(); }, this};
    largest.resize(rows.size());
    return pass.forward({.chunks = chunks, .logits_rows = rows, .hidden_rows = {}, .adapters = {}},
                        {.logits = nullptr, .largest = largest.data(), .hidden = nullptr}, stop);
  }

  /// New sequences that hold `tokens` tokens each; draws the token that follows in each.
  Status read(int64_t count, int64_t tokens) {
    sequences.clear();
    last.assign(count, 0);
    std::vector<TokenId> prompt(tokens);
    for (int64_t s = 0; s < count; ++s) {
      for (int64_t i = 0; i < tokens; ++i) prompt[i] = some_token(node.model_->tokenizer(), s, i);
      sequences.push_back(pass.cache().new_sequence());
      for (int64_t begin = 0; begin < tokens; begin += node.limits_.max_step_tokens) {
        const int64_t size = std::min(node.limits_.max_step_tokens, tokens - begin);
        const DecoderChunk chunk{&sequences.back(), std::span(prompt).subspan(begin, size)};
        const auto row = static_cast<int32_t>(size - 1);
        const bool is_end = begin + size == tokens;
        if (Status status = forward({&chunk, 1}, {&row, is_end ? size_t{1} : 0}); !status.ok()) return status;
      }
      if (tokens == 0) continue;
      last[s] = largest.front().place;
    }
    return {};
  }

  /// One more token in every sequence.
  Status step() {
    std::vector<DecoderChunk> chunks;
    std::vector<int32_t> rows;
    for (size_t s = 0; s < sequences.size(); ++s) {
      chunks.push_back({&sequences[s], {&last[s], 1}});
      rows.push_back(static_cast<int32_t>(s));
    }
    if (Status status = forward(chunks, rows); !status.ok()) return status;
    for (size_t i = 0; i < last.size(); ++i) last[i] = largest[i].place;
    return {};
  }
};

Result<std::unique_ptr<BenchNode>> BenchNode::create(const sdk::NodeConfig& config) {
  return create_on_decoder<BenchNode>(config);
}

BenchNode::BenchNode(const sdk::NodeConfig& config)
    : model_(config.model<LanguageModel>("model")),
      kv_layout_(model_->kv_layout(kv_format(config.parameters().get_text("kv_type")))),
      prompt_tokens_(config.parameters().get_int("prompt_tokens")),
      gen_tokens_(config.parameters().get_int("gen_tokens")),
      batch_(config.parameters().get_int("batch")),
      depth_(config.parameters().get_int("depth")),
      repetitions_(config.parameters().get_int("repetitions")),
      limits_{.max_sequences = batch_, .max_step_tokens = std::max<int64_t>(batch_, 512)} {}

Status BenchNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::bytes_spec(4096));
  plan_pass(*model_, kv_layout_, pass_limits(), plan);
  return {};
}

PassLimits BenchNode::pass_limits() const {
  return Engine::pass_limits(limits_, batch_ * kv_pages(std::max(prompt_tokens_, depth_ + gen_tokens_)));
}

Status BenchNode::run(sdk::Request& request, const sdk::Execution& execution) {
  Result<std::unique_ptr<DecoderPass>> pass =
      begin_pass(*model_, kv_layout_, pass_limits(), request.host(), execution);
  if (!pass.ok()) return pass.status();
  Machine machine{
      .node = *this, .request = request, .pass = **pass, .sequences = {}, .last = {}, .largest = {}};

  if (Status status = machine.read(1, prompt_tokens_); !status.ok()) return status;
  const int64_t first_token_ns =
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
  std::vector<double> prefill_tps, decode_tps;
  for (int64_t i = 0; i < repetitions_; ++i) {
    const sdk::Stopwatch reading;
    if (Status status = machine.read(batch_, prompt_tokens_); !status.ok()) return status;
    prefill_tps.push_back(static_cast<double>(batch_ * prompt_tokens_) / reading.seconds());
    if (Status status = machine.read(batch_, depth_); !status.ok()) return status;
    const sdk::Stopwatch writing;
    for (int64_t k = 0; k < gen_tokens_; ++k) {
      if (Status status = machine.step(); !status.ok()) return status;
    }
    decode_tps.push_back(static_cast<double>(batch_ * gen_tokens_) / writing.seconds());
    request.progress(i + 1, repetitions_, "repetitions");
  }
  const nlohmann::ordered_json report = {{"prefill_tps", sdk::median(std::move(prefill_tps))},
                                         {"decode_tps", sdk::median(std::move(decode_tps))},
                                         {"load_ms", model_->load_seconds() * 1e3},
                                         {"first_token_monotonic_ns", first_token_ns},
                                         {"prompt_tokens", prompt_tokens_},
                                         {"gen_tokens", gen_tokens_},
                                         {"batch", batch_},
                                         {"depth", depth_},
                                         {"repetitions", repetitions_}};
  return request.set_output(0, request.host().make_json(report.dump()));
}

constexpr weft_node_type kBenchNode =
    sdk::node<BenchNode>({.name = "text.bench",
                          .help = "Measures how fast a model reads and writes here.",
                          .flags = WEFT_NODE_NONDETERMINISTIC,
                          .outputs = kOutputs,
                          .parameters = kParameters});

}  // namespace weft::text
