#include "kernels/ops/sampling/sampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "kernels/ops/sampling/sampling_weights.h"
#include "kernels/ops/softmax/softmax.h"
#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Parameters with every sampler off.
SamplingParameters plain() {
  SamplingParameters p;
  p.temperature = 1;
  p.top_k = 0;
  p.top_p = 1;
  p.min_p = 0;
  return p;
}

int32_t choose(const SamplingParameters& p, const std::vector<float>& logits, uint64_t step = 0,
               const std::vector<int32_t>& history = {}, const std::vector<uint64_t>& allowed = {}) {
  EXPECT_TRUE(check(p, static_cast<int64_t>(logits.size())).ok());
  std::vector<std::byte> workspace(static_cast<size_t>(
      sampling_workspace_bytes(static_cast<int64_t>(logits.size()), static_cast<int64_t>(history.size()))));
  Result<int32_t> token = sample(p, {logits, history, allowed, step}, workspace);
  return token.ok() ? *token : -1;
}

// How often each token is drawn in `draws` steps.
std::map<int32_t, int> histogram(const SamplingParameters& p, const std::vector<float>& logits, int draws,
                                 const std::vector<int32_t>& history = {}) {
  std::map<int32_t, int> counts;
  for (int i = 0; i < draws; ++i) ++counts[choose(p, logits, static_cast<uint64_t>(i), history)];
  return counts;
}

std::vector<int32_t> drawn(const std::map<int32_t, int>& counts) {
  std::vector<int32_t> tokens;
  for (const auto& [token, count] : counts) tokens.push_back(token);
  return tokens;
}

std::vector<float> logs(std::vector<float> probabilities) {
  for (float& p : probabilities) p = std::log(p);
  return probabilities;
}

// Known-answer vectors of Random123 (kat_vectors, philox4x32 10).
TEST(Philox, MatchesKnownAnswers) {
  const PhiloxWords zero = philox(0, 0, 0);
  EXPECT_EQ(zero.word[0], 0x6627e8d5u);
  EXPECT_EQ(zero.word[1], 0xe169c58du);
  EXPECT_EQ(zero.word[2], 0xbc57ac4cu);
  EXPECT_EQ(zero.word[3], 0x9b00dbd8u);
  const PhiloxWords ones = philox(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0});
  EXPECT_EQ(ones.word[0], 0x408f276du);
  EXPECT_EQ(ones.word[1], 0x41c83b0eu);
  EXPECT_EQ(ones.word[2], 0xa20bc7c6u);
  EXPECT_EQ(ones.word[3], 0x6d5451fdu);
  const PhiloxWords pi = philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e);
  EXPECT_EQ(pi.word[0], 0xd16cfe09u);
  EXPECT_EQ(pi.word[1], 0x94fdccebu);
  EXPECT_EQ(pi.word[2], 0x5001e420u);
  EXPECT_EQ(pi.word[3], 0x24126ea1u);
}

TEST(Sampling, TemperatureZeroTakesTheLargestAndTheSmallestIdAmongEquals) {
  SamplingParameters p;
  p.temperature = 0;
  EXPECT_EQ(choose(p, {0.5f, 3, -1, 3}), 1);
  EXPECT_EQ(choose(p, {NAN, -kInfinity, -5}), 2);
}

// Rows of one vector, of more than f32 adds exactly, and of what is left over; all levels to the last bit.
TEST(SamplingWeights, AreTheRoundedExponentialsOnEveryLevel) {
  for (const int64_t n : {1, 15, 17, 511, 2048, 2049, 70001}) {
    std::vector<float> x = testing::random_normal(n, static_cast<uint64_t>(n));
    for (float& logit : x) logit = -std::abs(3 * logit);
    x[0] = 0;
    if (n > 2) x[1] = NAN, x[2] = -kInfinity;
    const float scale = 1.25f, largest = 0;
    const std::array<float, kWeightLimits> limits = {-1, -4, -9};
    std::vector<uint64_t> first;
    for (const IsaLevel level : testing::available_levels()) {
      std::vector<uint64_t> weights(x.size());
      weigh(x, scale, largest, weights, level);
      std::array<uint64_t, kWeightLimits + 1> want = {};
      for (size_t i = 0; i < x.size(); ++i) {
        const double exact = std::isnan(x[i]) ? 0 : std::exp(scale * double{x[i]}) * 0x1p33;
        ASSERT_NEAR(static_cast<double>(weights[i]), exact, 3e-6 * exact + 0.5) << x[i];
        for (size_t k = 0; k < limits.size(); ++k) want[k] += x[i] >= limits[k] ? weights[i] : 0;
        want.back() += weights[i];
      }
      EXPECT_EQ(sum_weights(x, scale, largest, limits, level), want) << to_string(level) << " " << n;
      if (first.empty()) first = weights;
      EXPECT_EQ(weights, first) << to_string(level);
    }
  }
}

// Many equal weights: their sum needs more bits than f32 has.
TEST(SamplingWeights, AddUpExactly) {
  const std::vector<float> x(262144, 0.0f);
  for (const IsaLevel level : testing::available_levels())
    for (const uint64_t sum : sum_weights(x, 1, 0, {0, 0, 0}, level))
      EXPECT_EQ(sum, uint64_t{1} << (33 + 18)) << to_string(level);
}

TEST(Sampling, DrawsFollowTheProbabilities) {
  const std::vector<float> want = {0.5f, 0.25f, 0.125f, 0.125f};
  const auto counts = histogram(plain(), logs(want), 20000);
  for (int32_t t = 0; t < 4; ++t)
    EXPECT_NEAR(counts.at(t) / 20000.0, want[static_cast<size_t>(t)], 0.015) << t;
}

TEST(Sampling, IsAFunctionOfSeedAndStep) {
  const std::vector<float> logits(1000, 0.0f);
  SamplingParameters p = plain();
  p.seed = 11;
  const int32_t token = choose(p, logits, 5);
  EXPECT_EQ(choose(p, logits, 5), token);
  EXPECT_NE(choose(p, logits, 6), token);
  p.seed = 12;
  EXPECT_NE(choose(p, logits, 5), token);
}

TEST(Sampling, TemperatureSharpens) {
  SamplingParameters p = plain();
  p.temperature = 0.5f;  // squares the odds: 4 : 1 becomes 16 : 1
  EXPECT_NEAR(histogram(p, logs({0.8f, 0.2f}), 20000).at(1) / 20000.0, 1 / 17.0, 0.01);
}

TEST(Sampling, EachTruncationKeepsItsSet) {
  const std::vector<float> logits = logs({0.05f, 0.4f, 0.1f, 0.3f, 0.15f});
  SamplingParameters p = plain();
  p.top_k = 2;
  EXPECT_EQ(drawn(histogram(p, logits, 500)), (std::vector<int32_t>{1, 3}));
  p = plain();
  p.top_p = 0.75f;
  EXPECT_EQ(drawn(histogram(p, logits, 500)), (std::vector<int32_t>{1, 3, 4}));
  p = plain();
  p.min_p = 0.3f;
  EXPECT_EQ(drawn(histogram(p, logits, 500)), (std::vector<int32_t>{1, 3, 4}));
  p = plain();
  p.top_k = 1;
  EXPECT_EQ(drawn(histogram(p, logits, 50)), (std::vector<int32_t>{1}));
}

// Each sampler alone and some together, with histories that repeat themselves.
TEST(Sampling, ChoosesWhatTheReferenceChooses) {
  constexpr int64_t kVocabulary = 1009;
  const std::vector<void (*)(SamplingParameters&)> changes = {
      [](SamplingParameters& p) { p.temperature = 0; },
      [](SamplingParameters& p) { p.top_k = 7; },
      [](SamplingParameters& p) { p.top_p = 0.6f; },
      [](SamplingParameters& p) { p.min_p = 0.1f; },
      [](SamplingParameters& p) { p.typical_p = 0.5f; },
      [](SamplingParameters& p) {
        p.repeat_penalty = 1.3f, p.presence_penalty = 0.2f, p.frequency_penalty = 0.1f;
      },
      [](SamplingParameters& p) { p.dry_multiplier = 2, p.dry_breakers = {3}, p.dry_penalty_last_n = 50; },
      [](SamplingParameters& p) {
        p.logit_bias = {{5, 4}, {6, -kInfinity}};
      },
  };
  std::vector<float> logits = testing::random_normal(kVocabulary, 5);
  for (float& logit : logits) logit *= 2;
  logits[17] = NAN;
  logits[18] = -kInfinity;
  std::vector<uint64_t> allowed(kVocabulary / 64 + 1, 0xf0f0f0f0ffff0000);
  testing::Random random(7);
  std::vector<int32_t> history(100);
  for (int32_t& token : history) token = static_cast<int32_t>(random.below(4));
  for (size_t set = 0; set < size_t{1} << changes.size(); ++set) {
    SamplingParameters p = plain();
    for (size_t i = 0; i < changes.size(); ++i)
      if (set >> i & 1) changes[i](p);
    for (uint64_t step = 0; step < 4; ++step) {
      const std::vector<uint64_t> mask = step % 2 ? allowed : std::vector<uint64_t>();
      const Result<int32_t> want = sample_reference(p, {logits, history, mask, step});
      ASSERT_TRUE(want.ok());
      ASSERT_EQ(choose(p, logits, step, history, mask), *want) << "set " << set << " step " << step;
    }
  }
}

// With top_k one below the vocabulary and one token impossible, the same candidates are found by another way: one by one.
TEST(Sampling, WithoutTopKDrawsWhatSortingAllCandidatesDraws) {
  constexpr int64_t kVocabulary = 5003;
  for (const float spread : {0.1f, 1.0f, 4.0f}) {
    std::vector<float> logits = testing::random_normal(kVocabulary, 9);
    for (float& logit : logits) logit *= spread;
    logits[100] = -kInfinity;
    for (const float temperature : {0.3f, 1.0f, 2.0f}) {
      for (const float top_p : {0.2f, 0.95f, 1.0f}) {
        for (const float min_p : {0.0f, 0.05f}) {
          SamplingParameters p = plain();
          p.temperature = temperature;
          p.top_p = top_p;
          p.min_p = min_p;
          SamplingParameters sorted = p;
          sorted.top_k = kVocabulary - 1;
          for (uint64_t step = 0; step < 40; ++step)
            ASSERT_EQ(choose(p, logits, step), choose(sorted, logits, step))
                << spread << " " << temperature << " " << top_p << " " << min_p << " " << step;
        }
      }
    }
  }
}

TEST(Sampling, TakesWhatIsInfinite) {
  std::vector<float> logits(100, 1.0f);
  logits[70] = logits[80] = kInfinity;
  EXPECT_EQ(choose(plain(), logits), 70);
  SamplingParameters greedy;
  greedy.temperature = 0;
  EXPECT_EQ(choose(greedy, logits), 70);
  EXPECT_EQ(choose(greedy, std::vector<float>(100, -kInfinity)), -1);
}

TEST(Sampling, TypicalLeavesOutTheTooExpected) {
  // Entropy 1.06 nats: information of 0.7 is 0.36, of 0.1 is 2.3, of each 0.05 is 3.0.
  SamplingParameters p = plain();
  p.typical_p = 0.75f;
  EXPECT_EQ(drawn(histogram(p, logs({0.1f, 0.7f, 0.05f, 0.05f, 0.1f}), 2000)), (std::vector<int32_t>{0, 1}));
}

TEST(Sampling, AllowedTokensAndBiasRestrict) {
  const std::vector<float> logits(130, 0.0f);
  std::vector<uint64_t> allowed(3, 0);
  allowed[2] = 2;  // token 129
  EXPECT_EQ(choose(plain(), logits, 0, {}, allowed), 129);
  SamplingParameters p = plain();
  p.logit_bias = {{129, -kInfinity}};
  EXPECT_EQ(choose(p, logits, 0, {}, allowed), -1);
  p.logit_bias = {{7, 100}};
  EXPECT_EQ(choose(p, logits), 7);
}

TEST(Sampling, SaysWhenNothingCanBeChosen) {
  std::vector<std::byte> workspace(static_cast<size_t>(sampling_workspace_bytes(2, 0)));
  const std::vector<float> logits = {NAN, -kInfinity};
  Result<int32_t> token = sample(plain(), {logits, {}, {}, 0}, workspace);
  ASSERT_FALSE(token.ok());
  EXPECT_THAT(to_string(token.error()), HasSubstr("no token can be chosen"));
}

TEST(Sampling, PenaltiesLowerSeenTokens) {
  SamplingParameters p = plain();
  p.temperature = 0;
  p.repeat_penalty = 2;
  EXPECT_EQ(choose(p, {1.5f, 1.0f, -1}, 0, {0}), 1);    // 0.75 < 1
  EXPECT_EQ(choose(p, {-1.5f, -2.5f, -9}, 0, {0}), 1);  // -3 < -2.5
  p.repeat_penalty = 1;
  p.presence_penalty = 0.6f;
  EXPECT_EQ(choose(p, {1.5f, 1.0f}, 0, {0}), 1);
  EXPECT_EQ(choose(p, {1.5f, 0.8f}, 0, {0, 0, 0}), 0);  // once, however often seen
  p.presence_penalty = 0;
  p.frequency_penalty = 0.3f;
  EXPECT_EQ(choose(p, {1.5f, 0.8f}, 0, {0, 0, 0}), 1);
  p.penalty_last_n = 2;
  EXPECT_EQ(choose(p, {1.5f, 0.8f}, 0, {0, 0, 0}), 0);
  p.penalty_last_n = 0;
  EXPECT_EQ(choose(p, {1.5f, 1.4f}, 0, {0, 0, 0}), 0);
}

// 1 2 3 4 ... 1 2 3: token 4 would make a repetition of length 3 longer.
TEST(Sampling, DryPenalizesWhatWouldExtendARepetition) {
  SamplingParameters p = plain();
  p.temperature = 0;
  p.dry_multiplier = 1;
  p.dry_base = 2;
  p.dry_allowed_length = 2;
  const std::vector<int32_t> history = {1, 2, 3, 4, 9, 1, 2, 3};
  const auto logits_with = [](float four) {
    std::vector<float> logits(10, 0.0f);
    logits[4] = four;
    return logits;
  };
  EXPECT_EQ(choose(p, logits_with(2.1f), 0, history), 4);  // the penalty is 2 ^ (3 - 2)
  EXPECT_EQ(choose(p, logits_with(1.9f), 0, history), 0);
  p.dry_breakers = {2};  // the match ends at 2: length 1 is allowed
  EXPECT_EQ(choose(p, logits_with(0.1f), 0, history), 4);
  p.dry_breakers = {};
  p.dry_penalty_last_n = 4;  // 9 1 2 3: no repetition
  EXPECT_EQ(choose(p, logits_with(0.1f), 0, history), 4);
}

TEST(Sampling, ChecksRangesByName) {
  struct Case {
    const char* name;
    void (*spoil)(SamplingParameters&);
  };
  const Case cases[] = {
      {"temperature", [](SamplingParameters& p) { p.temperature = -1; }},
      {"temperature", [](SamplingParameters& p) { p.temperature = NAN; }},
      {"top_p", [](SamplingParameters& p) { p.top_p = 1.5f; }},
      {"min_p", [](SamplingParameters& p) { p.min_p = 1.5f; }},
      {"typical_p", [](SamplingParameters& p) { p.typical_p = -1; }},
      {"repeat_penalty", [](SamplingParameters& p) { p.repeat_penalty = 0; }},
      {"penalty_last_n", [](SamplingParameters& p) { p.penalty_last_n = -2; }},
      {"dry_base", [](SamplingParameters& p) { p.dry_base = 0.5f; }},
      {"logit_bias",
       [](SamplingParameters& p) {
         p.logit_bias = {{100, 0}};
       }},
  };
  for (const Case& c : cases) {
    SamplingParameters p;
    c.spoil(p);
    const Status status = check(p, 100);
    ASSERT_FALSE(status.ok()) << c.name;
    EXPECT_THAT(to_string(status.error()), HasSubstr(c.name));
  }
  EXPECT_TRUE(check(SamplingParameters{}, 100).ok());
}

TEST(Logprobs, AreThoseOfTheSoftmaxBestFirst) {
  const std::vector<float> logits = {1, 3, 2, 3, -kInfinity};
  const double log_sum = log_sum_exp(logits);
  EXPECT_NEAR(log_sum, std::log(std::exp(1) + 2 * std::exp(3) + std::exp(2)), 1e-6);
  std::vector<TokenLogprob> top(3);
  ASSERT_EQ(top_logprobs(logits, log_sum, top), 3u);
  EXPECT_EQ(top[0].token, 1);
  EXPECT_EQ(top[1].token, 3);
  EXPECT_EQ(top[2].token, 2);
  EXPECT_NEAR(top[2].logprob, 2 - log_sum, 1e-6);
}

}  // namespace
}  // namespace weft
