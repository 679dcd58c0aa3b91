// The CUDA kernel on the CPU, in every order of threads and as nvcc's PTX: the tokens of sample(), all of them.

#include "kernels/ops/sampling/sampling_cuda.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/ops/sampling/device_draws.h"
#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

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

struct Row {
  SamplingParameters parameters;
  uint64_t step = 0;
  std::vector<int32_t> history = {};
  std::vector<uint64_t> allowed = {};
  SamplingInput input(std::span<const float> logits = {}) const { return {logits, history, allowed, step}; }
};

int32_t sampled(const Row& row, std::span<const float> logits) {
  std::vector<std::byte> workspace(static_cast<size_t>(sampling_workspace_bytes(
      static_cast<int64_t>(logits.size()), static_cast<int64_t>(row.history.size()))));
  const Result<int32_t> token = sample(row.parameters, row.input(logits), workspace);
  return token.ok() ? *token : -1;
}

/// Each row draws of the same logits. every: of the ways to run it, for what takes long.
void expect_tokens_of_sample(const std::vector<float>& logits, const std::vector<Row>& rows,
                             size_t every = 1) {
  const auto cols = static_cast<int64_t>(logits.size());
  DeviceDraws draws(cols);
  std::vector<float> all;
  std::vector<int32_t> want;
  bool scattered = false;
  for (const Row& row : rows) {
    ASSERT_TRUE(check(row.parameters, cols).ok());
    ASSERT_TRUE(draws.add(static_cast<int32_t>(want.size()), row.parameters, row.input()));
    want.push_back(sampled(row, logits));
    all.insert(all.end(), logits.begin(), logits.end());
    scattered = scattered || !row.history.empty() || !row.parameters.logit_bias.empty() ||
                row.parameters.typical_p < 1;
  }
  std::vector<std::byte> written(static_cast<size_t>(draws.size_bytes()));
  draws.write(written.data());
  const std::vector<simt::Target> targets = simt::targets("sampling");
  for (size_t at = 0; at < targets.size(); at += every) {
    SCOPED_TRACE(targets[at].name + ", " + std::to_string(cols) + " columns");
    simt::Device device(targets[at].options);
    simt::Buffer<float> scores(device, "logits", all);
    simt::Buffer<std::byte> told(device, "draws", written);
    simt::Buffer<int32_t> tokens(device, "tokens", std::vector<int32_t>(rows.size(), -2));
    ASSERT_TRUE(sampling_cuda(draws.at(told.data(), scores.data(), tokens.data()), &device).ok())
        << device.report().text();
    EXPECT_EQ(device.report().text(), "");
    EXPECT_EQ(tokens.values(), want);
    if (scattered) continue;
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 1, .extra_wavefronts_per_request = 1}),
              "");
  }
}

std::vector<float> spread_logits(int64_t n, float spread, uint64_t seed) {
  std::vector<float> logits = testing::random_normal(n, seed);
  for (float& logit : logits) logit *= spread;
  return logits;
}

// Each sampler alone and some together, with histories that repeat themselves.
TEST(SamplingCuda, DrawsWhatSampleDraws) {
  const std::vector<void (*)(Row&)> changes = {
      [](Row& r) { r.parameters.temperature = 0; },
      [](Row& r) { r.parameters.top_k = 7; },
      [](Row& r) { r.parameters.top_p = 0.6f; },
      [](Row& r) { r.parameters.min_p = 0.1f; },
      [](Row& r) { r.parameters.typical_p = 0.5f; },
      [](Row& r) {
        r.parameters.repeat_penalty = 1.3f, r.parameters.presence_penalty = 0.2f;
        r.parameters.frequency_penalty = 0.1f;
      },
      [](Row& r) { r.parameters.dry_multiplier = 2, r.parameters.dry_breakers = {3}; },
      [](Row& r) {
        r.parameters.logit_bias = {{5, 4}, {6, -kInfinity}, {2, 1}, {5, -1.7f}};
      },
  };
  std::vector<float> logits = spread_logits(257, 2, 5);
  logits[17] = NAN;
  logits[18] = -kInfinity;
  testing::Random random(7);
  std::vector<int32_t> history(100);
  for (int32_t& token : history) token = static_cast<int32_t>(random.below(4));
  std::vector<Row> rows;
  for (size_t set = 0; set < size_t{1} << changes.size(); ++set) {
    Row row = {.parameters = plain(), .step = set};
    for (size_t i = 0; i < changes.size(); ++i)
      if (set >> i & 1) changes[i](row);
    row.history = history;
    if (set % 3 == 1) row.allowed.assign(257 / 64 + 1, 0xf0f0f0f0ffff0000);
    rows.push_back(row);
    if (rows.size() < 16) continue;
    expect_tokens_of_sample(logits, rows, set < 16 ? 1 : set % 64 == 31 ? 9 : 10);
    rows.clear();
  }
}

// Temperatures, top-p and min-p over flat and steep rows: the tokens that are left are few, or more than are listed.
TEST(SamplingCuda, SearchesRowsOfManyTokens) {
  for (const float spread : {0.1f, 4.0f}) {
    std::vector<Row> rows;
    for (const float temperature : {0.3f, 2.0f}) {
      for (const float top_p : {0.0f, 0.9f, 1.0f}) {
        for (const float min_p : {0.0f, 0.05f}) {
          Row row = {.parameters = plain(), .step = rows.size()};
          row.parameters.temperature = temperature;
          row.parameters.top_p = top_p;
          row.parameters.min_p = min_p;
          rows.push_back(row);
        }
      }
    }
    rows.push_back({.parameters = plain(), .step = 1});
    rows.back().parameters.top_k = 2000;
    expect_tokens_of_sample(spread_logits(9001, spread, 9), rows, spread > 1 ? 4 : 9);
  }
}

// The limits that tokens are counted above leave more than are listed, and top-k no more.
TEST(SamplingCuda, ListsWhatTopKLeavesAmongMany) {
  std::vector<Row> rows;
  for (const int32_t top_k : {900, 1024}) {
    rows.push_back({.parameters = plain(), .step = rows.size()});
    rows.back().parameters.top_k = top_k;
    rows.back().parameters.typical_p = 0.8f;
  }
  expect_tokens_of_sample(spread_logits(4000, 1, 15), rows, 9);
}

TEST(SamplingCuda, OrdersEqualLogitsByToken) {
  std::vector<Row> rows;
  for (const int32_t top_k : {0, 3, 1500}) {
    for (const uint64_t step : {1, 2}) {
      rows.push_back({.parameters = plain(), .step = step});
      rows.back().parameters.top_k = top_k;
    }
  }
  expect_tokens_of_sample(std::vector<float>(3000, 1.0f), rows, 9);
  std::vector<float> two(3000, -0.0f);
  for (size_t i = 0; i < two.size(); i += 3) two[i] = 0, two[i + 1] = -2;
  expect_tokens_of_sample(two, rows, 9);
}

TEST(SamplingCuda, TakesWhatIsInfiniteAndSaysWhatIsImpossible) {
  std::vector<Row> rows = {{.parameters = plain()}, {.parameters = {}}, {.parameters = plain()}};
  rows[1].parameters.temperature = 0;
  rows[2].parameters.logit_bias = {{70, -kInfinity}};
  std::vector<float> logits(100, 1.0f);
  logits[70] = kInfinity;
  expect_tokens_of_sample(logits, rows);
  expect_tokens_of_sample(std::vector<float>(40, -kInfinity), {rows[0], rows[1]});
  expect_tokens_of_sample({NAN}, {rows[0], rows[1]});
  expect_tokens_of_sample({0.5f}, {rows[0], rows[1]});
  Row nothing = {.parameters = plain()};
  nothing.allowed.assign(2, 0);
  expect_tokens_of_sample(logits, {nothing});
}

// Temperatures at the ends of f32, and logits as far apart as it has them.
TEST(SamplingCuda, TakesExtremes) {
  std::vector<float> logits = spread_logits(300, 1, 11);
  std::vector<Row> rows;
  for (const float temperature : {1e-45f, 1e-6f, 3e38f}) {
    rows.push_back({.parameters = plain(), .step = rows.size()});
    rows.back().parameters.temperature = temperature;
  }
  expect_tokens_of_sample(logits, rows, 3);
  logits[3] = 3e38f, logits[4] = -3e38f, logits[5] = 2.9e38f;
  rows.push_back({.parameters = {}});
  expect_tokens_of_sample(logits, rows, 3);
}

// The drawn number against the weights of many tokens: where they differed in the last bit, a token here would.
TEST(SamplingCuda, DrawsTheSameForManySeeds) {
  std::vector<Row> rows;
  for (uint64_t seed = 0; seed < 96; ++seed) {
    SamplingParameters p = plain();
    p.seed = seed * 0x9e3779b97f4a7c15u;
    p.temperature = 0.5f + 0.01f * static_cast<float>(seed % 100);
    if (seed % 4 == 1) p.top_k = 200, p.top_p = 0.9f;
    if (seed % 4 == 2) p.top_k = 200, p.typical_p = 0.7f;
    rows.push_back({.parameters = p, .step = seed});
  }
  expect_tokens_of_sample(spread_logits(301, 1.5f, 13), rows, 9);
}

TEST(SamplingCuda, RefusesWhatItCannotDo) {
  float logits = 0;
  int32_t token = 0;
  const SamplingRow row;
  const auto call = [&](int64_t cols, int64_t stride, const SamplingRow* rows, int64_t count) {
    return sampling_cuda({.logits = &logits,
                          .cols = cols,
                          .logits_stride = stride,
                          .rows = rows,
                          .tokens = &token,
                          .count = count},
                         nullptr)
        .code();
  };
  EXPECT_EQ(call(1, 1, &row, 0), StatusCode::kOk);
  EXPECT_EQ(call(0, 1, &row, 1), StatusCode::kInvalidShape);
  EXPECT_EQ(call(2, 1, &row, 1), StatusCode::kInvalidShape);
  EXPECT_EQ(call(kMostSamplingCols + 1, kMostSamplingCols + 1, &row, 1), StatusCode::kInvalidShape);
  EXPECT_EQ(call(1, 1, nullptr, 1), StatusCode::kInvalidArgument);
}

TEST(DeviceDraws, LeaveToTheHostWhatADeviceDoesNotDraw) {
  DeviceDraws draws(100000);
  SamplingParameters p = plain();
  EXPECT_TRUE(draws.add(0, p, {}));
  p.typical_p = 0.5f;
  EXPECT_FALSE(draws.add(1, p, {}));
  p.top_k = static_cast<int32_t>(kMostTypicalCuda);
  EXPECT_TRUE(draws.add(2, p, {}));
  p.top_k = static_cast<int32_t>(kMostTypicalCuda) + 1;
  EXPECT_FALSE(draws.add(3, p, {}));
  p = plain();
  p.penalty_last_n = -1;
  p.presence_penalty = 1;
  std::vector<int32_t> history(static_cast<size_t>(kMostDeviceChanges));
  for (size_t i = 0; i < history.size(); ++i) history[i] = static_cast<int32_t>(i);
  SamplingInput input;
  input.history = history;
  EXPECT_TRUE(draws.add(4, p, input));
  p.logit_bias = {{5, 1}};
  EXPECT_FALSE(draws.add(5, p, input));
  EXPECT_EQ(draws.count(), 3);
  EXPECT_TRUE(draws.draws(4) && !draws.draws(5));
  EXPECT_LE(draws.size_bytes(), DeviceDraws::most_bytes(3, 100000));
  EXPECT_FALSE(DeviceDraws(kMostSamplingCols + 1).add(0, plain(), {}));
}

TEST(SamplingCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("sampling")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {{.kernel = "sample_rows", .registers = 64, .occupancy = 0.5}};
  EXPECT_EQ(simt::beyond_static_bounds("sampling", bounds), "");
}

}  // namespace
}  // namespace weft
