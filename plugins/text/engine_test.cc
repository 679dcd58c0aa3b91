#include "plugins/text/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "kernels/testing/threads.h"
#include "kernels/testing/workspace.h"
#include "modalities/weights/weight_file.h"
#include "plugins/text/testing/smollm2.h"

namespace weft::text {
namespace {

/// The default model, loaded once for all tests. The decoder refers to the file where it lies.
struct LoadedModel {
  explicit LoadedModel(WeightFile opened)
      : file(std::move(opened)), decoder(Decoder::open(file)), tokenizer(Tokenizer::from_weights(file)) {}
  WeightFile file;
  HeapWeightStore store;
  Result<Decoder> decoder;
  Result<Tokenizer> tokenizer;
};

class EngineTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::string path = testing::smollm2_path();
    if (path.empty()) return;
    Result<WeightFile> file = WeightFile::open(path);
    ASSERT_TRUE(file.ok());
    model_ = new LoadedModel(*std::move(file));
    ASSERT_TRUE(model_->decoder.ok() && model_->tokenizer.ok());
    ASSERT_TRUE(model_->decoder->load(model_->store, "test", weft::testing::Threads(2).executor()).ok());
  }
  static void TearDownTestSuite() { delete model_; }
  void SetUp() override {
    if (model_ == nullptr)
      GTEST_SKIP() << "skipped: the model is not there; run scripts/fetch_models smollm2";
  }

  static Job job(const std::string& prompt, int64_t max_tokens, uint64_t seed = 7) {
    Job job;
    job.prompt = *model_->tokenizer->encode(prompt);
    job.max_tokens = max_tokens;
    job.sampling.seed = seed;
    return job;
  }

  struct Outcome {
    std::vector<Result<JobResult>> results;
    std::vector<std::string> streamed;
  };

  /// together: jobs that are there from the beginning; the others join, one each time that the engine asks.
  static Outcome run(std::vector<Job> jobs, const EngineLimits& limits, int64_t n_pages,
                     uint32_t n_threads = 2, size_t together = SIZE_MAX) {
    const weft::testing::Threads threads(n_threads);
    const KvLayout layout = model_->decoder->kv_layout(KvFormat::kF16);
    Result<KvCache> cache = KvCache::create(layout, n_pages * layout.page_bytes());
    EXPECT_TRUE(cache.ok());
    const PassLimits pass_limits = Engine::pass_limits(limits, n_pages);
    weft::testing::Workspace workspace(CpuPass::workspace_bytes(*model_->decoder, 0, pass_limits));
    CpuPass pass(*model_->decoder, {}, *std::move(cache), pass_limits, workspace.span(), threads.executor());
    Outcome outcome{
        std::vector<Result<JobResult>>(jobs.size(), Status(StatusCode::kInternal, "never finished")),
        std::vector<std::string>(jobs.size())};
    for (size_t i = 0; i < jobs.size(); ++i) {
      jobs[i].on_text = [&outcome, i](std::string_view part) { outcome.streamed[i] += part; };
      jobs[i].on_finished = [&outcome, i](Result<JobResult> result) {
        outcome.results[i] = std::move(result);
      };
    }
    Engine engine(pass, *model_->tokenizer, threads.executor(), limits);
    size_t next = std::min(together, jobs.size());
    const MoreJobs more = [&](int64_t room) {
      EXPECT_GT(room, 0);
      return next == jobs.size() ? std::vector<Job*>() : std::vector<Job*>{&jobs[next++]};
    };
    EXPECT_TRUE(engine.run(std::span(jobs).first(next), more).ok());
    EXPECT_EQ(pass.cache().n_free_pages(), pass.cache().n_pages());
    return outcome;
  }

  static LoadedModel* model_;
};
LoadedModel* EngineTest::model_ = nullptr;

const char* const kPrompts[] = {"The capital of France is",
                                "Once upon a time",
                                "def fibonacci(n):",
                                "1 2 3 4 5",
                                "The sea is",
                                "Der Hund",
                                "A list of fruits: apple,"};

TEST_F(EngineTest, StreamsWhatItReturns) {
  const Outcome outcome = run({job(kPrompts[0], 12)}, {}, 4);
  ASSERT_TRUE(outcome.results[0].ok());
  EXPECT_EQ(outcome.streamed[0], outcome.results[0]->text);
  EXPECT_FALSE(outcome.results[0]->text.empty());
  EXPECT_LE(outcome.results[0]->tokens.size(), 12u);
}

TEST_F(EngineTest, GivesEachJobTheTextThatItGetsAlone) {
  std::vector<Job> together;
  for (size_t i = 0; i < std::size(kPrompts); ++i) together.push_back(job(kPrompts[i], 8 + 3 * i, i));
  // Fewer places than jobs, and steps that cut prompts: jobs join and leave at different times.
  const Outcome batch = run(together, {.max_sequences = 3, .max_step_tokens = 5}, 64);
  for (size_t i = 0; i < std::size(kPrompts); ++i) {
    const Outcome alone = run({job(kPrompts[i], 8 + 3 * i, i)}, {}, 8, 1 + i % 3);
    ASSERT_TRUE(batch.results[i].ok() && alone.results[0].ok()) << kPrompts[i];
    EXPECT_EQ(batch.results[i]->tokens, alone.results[0]->tokens) << kPrompts[i];
    EXPECT_EQ(batch.results[i]->text, alone.results[0]->text) << kPrompts[i];
  }
}

TEST_F(EngineTest, GivesJobsThatJoinTheTextThatTheyGetAlone) {
  std::vector<Job> jobs;
  for (size_t i = 0; i < std::size(kPrompts); ++i) jobs.push_back(job(kPrompts[i], 4 + 5 * (i % 3), i));
  for (const size_t together : {size_t{0}, size_t{1}, size_t{4}}) {
    const Outcome batch = run(jobs, {.max_sequences = 3, .max_step_tokens = 6}, 24, 2, together);
    for (size_t i = 0; i < std::size(kPrompts); ++i) {
      const Outcome alone = run({jobs[i]}, {}, 8);
      ASSERT_TRUE(batch.results[i].ok() && alone.results[0].ok()) << kPrompts[i];
      EXPECT_EQ(batch.results[i]->tokens, alone.results[0]->tokens) << kPrompts[i];
    }
  }
}

TEST_F(EngineTest, SharesPagesOfCommonBeginningsWithoutChangingResults) {
  std::string beginning;
  for (int i = 0; i < 20; ++i) beginning += "Answer every question in one short sentence. ";
  std::vector<Job> jobs;
  const int64_t shared_tokens = static_cast<int64_t>(model_->tokenizer->encode(beginning)->size());
  for (const char* prompt : kPrompts) jobs.push_back(job(beginning + prompt, 6));
  // Too few pages for all of them without sharing.
  const int64_t n_pages = kv_pages(shared_tokens) + 4 * static_cast<int64_t>(std::size(kPrompts));
  const Outcome shared = run(jobs, {.max_sequences = 7, .max_step_tokens = 512}, n_pages);
  for (size_t i = 0; i < std::size(kPrompts); ++i) {
    const Outcome alone = run({job(beginning + kPrompts[i], 6)}, {}, n_pages);
    ASSERT_TRUE(shared.results[i].ok());
    EXPECT_EQ(shared.results[i]->tokens, alone.results[0]->tokens) << kPrompts[i];
  }
}

TEST_F(EngineTest, WaitsForPagesInsteadOfFailing) {
  std::vector<Job> jobs;
  for (const char* prompt : kPrompts) jobs.push_back(job(prompt, 20));
  const Outcome outcome = run(jobs, {.max_sequences = 7, .max_step_tokens = 64}, 2);
  for (const Result<JobResult>& result : outcome.results) EXPECT_TRUE(result.ok());
}

TEST_F(EngineTest, RefusesAJobThatCanNeverFitAndServesTheOthers) {
  const Outcome outcome = run({job(kPrompts[0], 1000), job(kPrompts[1], 4)}, {.max_sequences = 2}, 2);
  ASSERT_FALSE(outcome.results[0].ok());
  EXPECT_EQ(outcome.results[0].code(), StatusCode::kOutOfMemory);
  EXPECT_NE(outcome.results[0].error().got.find("max_tokens 1000"), std::string::npos);
  EXPECT_TRUE(outcome.results[1].ok());
}

TEST_F(EngineTest, CancelsOneJobAndServesTheOthers) {
  std::vector<Job> jobs = {job(kPrompts[0], 30), job(kPrompts[1], 10)};
  auto polls = std::make_shared<std::atomic<int>>(0);
  jobs[0].cancelled = [polls] { return ++*polls > 100; };
  const Outcome outcome = run(jobs, {.max_sequences = 2}, 8);
  EXPECT_EQ(outcome.results[0].code(), StatusCode::kCancelled);
  ASSERT_TRUE(outcome.results[1].ok());
  EXPECT_EQ(outcome.results[1]->tokens, run({job(kPrompts[1], 10)}, {}, 8).results[0]->tokens);
}

TEST_F(EngineTest, StopsBeforeAStopText) {
  Job greedy = job("1, 2, 3, 4, 5,", 20);
  greedy.sampling.temperature = 0;
  greedy.stop = {"8"};
  const Outcome outcome = run({greedy}, {}, 4);
  ASSERT_TRUE(outcome.results[0].ok());
  EXPECT_EQ(outcome.results[0]->reason, FinishReason::kStop);
  EXPECT_EQ(outcome.results[0]->text.find('8'), std::string::npos);
  EXPECT_NE(outcome.results[0]->text.find('7'), std::string::npos);
}

TEST_F(EngineTest, RecordsLogprobsOfDrawnAndLikeliestTokens) {
  Job greedy = job(kPrompts[0], 3);
  greedy.sampling.temperature = 0;
  greedy.top_logprobs = 2;
  const Outcome outcome = run({greedy}, {}, 4);
  ASSERT_TRUE(outcome.results[0].ok());
  ASSERT_EQ(outcome.results[0]->logprobs.size(), outcome.results[0]->tokens.size());
  for (const TokenRecord& record : outcome.results[0]->logprobs) {
    ASSERT_EQ(record.top.size(), 2u);
    EXPECT_EQ(record.top[0].token, record.token);  // greedy
    EXPECT_FLOAT_EQ(record.top[0].logprob, record.logprob);
    EXPECT_LE(record.top[1].logprob, record.top[0].logprob);
    EXPECT_LE(record.logprob, 0);
  }
}

TEST_F(EngineTest, KeepsToAGrammar) {
  std::vector<std::string_view> tokens(model_->tokenizer->vocabulary_size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (model_->tokenizer->token_type(static_cast<TokenId>(id)) != TokenType::kControl) {
      tokens[id] = model_->tokenizer->token_bytes(static_cast<TokenId>(id));
    }
  }
  Result<std::shared_ptr<const TokenTrie>> trie =
      TokenTrie::build(tokens, model_->tokenizer->special().end_of_generation);
  ASSERT_TRUE(trie.ok());
  Result<Grammar> grammar = compile_regex("(red|green|blue)( [0-9]{2})?");
  ASSERT_TRUE(grammar.ok());
  for (uint64_t seed = 0; seed < 5; ++seed) {
    Job constrained = job("My favourite colour is", 30, seed);
    constrained.sampling.temperature = 2;
    constrained.constraint.emplace(*grammar, *trie);
    const Outcome outcome = run({constrained}, {}, 4);
    ASSERT_TRUE(outcome.results[0].ok());
    EXPECT_EQ(*grammar->match(outcome.results[0]->text), GrammarMatch::kComplete) << outcome.results[0]->text;
    EXPECT_EQ(outcome.results[0]->reason, FinishReason::kStop);
  }
}

}  // namespace
}  // namespace weft::text
