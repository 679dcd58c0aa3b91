// BERT and RoBERTa against transformers, on the reduced random models of scripts/make_golden/bert.py; and the promise that a
// text's bits do not depend on the texts beside it or on the threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/networks/bert/bert.h"
#include "kernels/networks/bert/bert_checkpoint.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"
#include "kernels/testing/workspace.h"

namespace weft {
namespace {

using testing::demand;
using testing::take;
using testing::Workspace;

template <typename T>
std::vector<T> read(const WeightFile& file, const char* name) {
  const WeightTensor& tensor = *take(file.tensor(name));
  std::vector<T> values(static_cast<size_t>(tensor.count()));
  std::memcpy(values.data(), tensor.data, values.size() * sizeof(T));
  return values;
}

// A golden folder's model, opened and loaded, and what transformers computed.
struct Golden {
  explicit Golden(const std::string& name, DType compute = DType::kF32, uint32_t n_threads = 2)
      : threads(n_threads),
        file(take(WeightFile::open("assets/golden/bert/" + name))),
        bert(take(Bert::open(bert_source(file), take(read_bert_config(file.metadata())), compute))) {
    demand(bert.load(store, "golden", threads.executor()));
    const WeightFile expected =
        take(WeightFile::open("assets/golden/bert/" + name + "/expected.safetensors"));
    tokens = read<int32_t>(expected, "tokens");
    types = read<int32_t>(expected, "types");
    for (int32_t start : read<int32_t>(expected, "starts")) starts.push_back(start);
    hidden = read<float>(expected, "hidden");
  }
  BertInputs inputs() const { return {.tokens = tokens, .starts = starts, .types = types}; }
  int64_t width() const { return bert.config().width; }

  void encode(const BertInputs& in, const BertOutputs& out) const {
    Workspace workspace(
        bert.workspace_bytes(static_cast<int64_t>(in.tokens.size()), threads.executor().max_threads()));
    demand(bert.forward(in, out, workspace.span(), threads.executor()));
  }
  std::vector<float> encode(const BertInputs& in) const {
    std::vector<float> states(in.tokens.size() * static_cast<size_t>(width()), NAN);
    encode(in, {.hidden = states.data()});
    return states;
  }
  std::vector<float> pool(const BertInputs& in, Pooling pooling) const {
    std::vector<float> vectors((in.starts.size() - 1) * static_cast<size_t>(width()), NAN);
    encode(in, {.pooled = vectors.data(), .pooling = pooling});
    return vectors;
  }

  testing::Threads threads;
  WeightFile file;
  HeapWeightStore store;
  Bert bert;
  std::vector<int32_t> tokens, types;
  std::vector<int64_t> starts;
  std::vector<float> hidden;
};

double error(const std::vector<float>& got, const std::vector<float>& want) {
  if (got.size() != want.size()) return INFINITY;
  return testing::relative_error(got.data(), want.data(), static_cast<int64_t>(got.size()));
}

class BertGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(BertGolden, AgreesWithTransformers) {
  const Golden f32(GetParam()), bf16(GetParam(), DType::kBF16);
  EXPECT_LT(error(f32.encode(f32.inputs()), f32.hidden), 1e-4);
  const double of_bf16 = error(bf16.encode(bf16.inputs()), bf16.hidden);
  EXPECT_LT(of_bf16, 2e-2);
  EXPECT_GT(of_bf16, 1e-4) << "bf16 was asked for";
}

TEST(BertWords, AgreeWithTransformers) {
  const std::string folder = "assets/golden/bert/bert";
  const WeightFile file = take(WeightFile::open(folder));
  const WeightFile expected = take(WeightFile::open(folder + "/expected.safetensors"));
  const std::vector<float> want = read<float>(expected, "words");
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    const Golden golden("bert", compute);  // for its inputs
    BertConfig config = golden.bert.config();
    config.head = BertHead::kWords;
    Bert bert = take(Bert::open(bert_source(file, config.head), config, compute));
    HeapWeightStore store;
    demand(bert.load(store, "golden", golden.threads.executor()));
    std::vector<float> words(want.size(), NAN);
    Workspace workspace(bert.workspace_bytes(static_cast<int64_t>(golden.tokens.size()), 2));
    demand(
        bert.forward(golden.inputs(), {.words = words.data()}, workspace.span(), golden.threads.executor()));
    EXPECT_LT(error(words, want), compute == DType::kF32 ? 1e-4 : 2e-2);
  }
}

TEST(BertWords, AreRefusedWithoutTheirHead) {
  const Golden golden("bert");
  std::vector<float> words(golden.tokens.size() * 70);
  Workspace workspace(golden.bert.workspace_bytes(static_cast<int64_t>(golden.tokens.size()), 2));
  EXPECT_EQ(
      golden.bert
          .forward(golden.inputs(), {.words = words.data()}, workspace.span(), golden.threads.executor())
          .code(),
      StatusCode::kInvalidArgument);
}

TEST_P(BertGolden, BitsOfATextDoNotDependOnItsNeighboursOrTheThreads) {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    const Golden golden(GetParam(), compute);
    const std::vector<float> together = golden.encode(golden.inputs());
    for (uint32_t n_threads : {1, 3, 8}) {
      const Golden other(GetParam(), compute, n_threads);
      EXPECT_EQ(together, other.encode(other.inputs())) << n_threads;
    }
    const std::span<const int32_t> tokens(golden.tokens), types(golden.types);
    for (size_t s = 0; s + 1 < golden.starts.size(); ++s) {
      const auto first = static_cast<size_t>(golden.starts[s]);
      const auto count = static_cast<size_t>(golden.starts[s + 1]) - first;
      const std::vector<int64_t> starts = {0, static_cast<int64_t>(count)};
      const std::vector<float> alone = golden.encode(
          {.tokens = tokens.subspan(first, count), .starts = starts, .types = types.subspan(first, count)});
      const auto width = static_cast<size_t>(golden.width());
      EXPECT_EQ(std::memcmp(alone.data(), together.data() + first * width, alone.size() * 4), 0) << s;
    }
  }
}

TEST_P(BertGolden, PoolsItsHiddenStates) {
  const Golden golden(GetParam());
  const std::vector<float> hidden = golden.encode(golden.inputs());
  const std::vector<float> first = golden.pool(golden.inputs(), Pooling::kFirst),
                           last = golden.pool(golden.inputs(), Pooling::kLast),
                           mean = golden.pool(golden.inputs(), Pooling::kMean),
                           most = golden.pool(golden.inputs(), Pooling::kMax);
  const auto width = static_cast<size_t>(golden.width());
  for (size_t s = 0; s + 1 < golden.starts.size(); ++s) {
    const auto begin = static_cast<size_t>(golden.starts[s]), end = static_cast<size_t>(golden.starts[s + 1]);
    for (size_t i = 0; i < width; ++i) {
      double sum = 0;
      float largest = -INFINITY;
      for (size_t r = begin; r < end; ++r) {
        sum += hidden[r * width + i];
        largest = std::max(largest, hidden[r * width + i]);
      }
      ASSERT_EQ(first[s * width + i], hidden[begin * width + i]);
      ASSERT_EQ(last[s * width + i], hidden[(end - 1) * width + i]);
      ASSERT_NEAR(mean[s * width + i], sum / static_cast<double>(end - begin), 1e-5);
      ASSERT_EQ(most[s * width + i], largest);
    }
  }
}

TEST_P(BertGolden, TypesAreZeroUnlessGiven) {
  const Golden golden(GetParam());
  const std::vector<int32_t> zeros(golden.tokens.size(), 0);
  EXPECT_EQ(golden.encode({.tokens = golden.tokens, .starts = golden.starts}),
            golden.encode({.tokens = golden.tokens, .starts = golden.starts, .types = zeros}));
}

INSTANTIATE_TEST_SUITE_P(Models, BertGolden, ::testing::Values("bert", "roberta"),
                         [](const auto& model) { return std::string(model.param); });

TEST(BertForward, CanBeStopped) {
  const Golden golden("bert");
  std::vector<float> pooled(golden.starts.size() * static_cast<size_t>(golden.width()));
  Workspace workspace(golden.bert.workspace_bytes(static_cast<int64_t>(golden.tokens.size()), 2));
  const StopRequest stop{[](void*) { return true; }, nullptr};
  EXPECT_EQ(golden.bert
                .forward(golden.inputs(), {.pooled = pooled.data()}, workspace.span(),
                         golden.threads.executor(), stop)
                .code(),
            StatusCode::kCancelled);
}

TEST(BertForward, RefusesImpossibleInputs) {
  const Golden golden("bert");
  Workspace workspace(golden.bert.workspace_bytes(64, 2));
  std::vector<float> pooled(64 * 32);
  const std::vector<int32_t> tokens(40, 3), outside = {1, 70}, types = {0, 2};
  const std::vector<int64_t> two = {0, 2}, gap = {0, 1, 1, 2}, short_of = {0, 1}, all = {0, 40};
  const auto code = [&](const BertInputs& in) {
    return golden.bert.forward(in, {.pooled = pooled.data()}, workspace.span(), golden.threads.executor())
        .code();
  };
  const std::span<const int32_t> pair = std::span(tokens).first(2);
  EXPECT_EQ(code({.tokens = pair, .starts = two}), StatusCode::kOk);
  EXPECT_EQ(code({.tokens = outside, .starts = two}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.tokens = pair, .starts = two, .types = types}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.tokens = pair, .starts = two, .types = std::span(types).first(1)}),
            StatusCode::kInvalidShape);
  EXPECT_EQ(code({.tokens = pair, .starts = gap}), StatusCode::kInvalidShape);
  EXPECT_EQ(code({.tokens = pair, .starts = short_of}), StatusCode::kInvalidShape);
  EXPECT_EQ(code({.tokens = pair, .starts = {}}), StatusCode::kInvalidShape);
  EXPECT_EQ(code({.tokens = tokens, .starts = all}), StatusCode::kInvalidShape) << "32 positions";
}

}  // namespace
}  // namespace weft
