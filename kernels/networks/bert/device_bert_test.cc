// BERT and RoBERTa on a device, against transformers' numbers on the reduced random models of scripts/make_golden/bert.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/networks/bert/bert.h"
#include "kernels/networks/bert/bert_checkpoint.h"
#include "kernels/networks/testing/golden.h"
#include "kernels/networks/testing/on_device.h"

namespace weft::testing {
namespace {

// A golden folder's model on the device, and what transformers computed.
struct Golden {
  struct Part {
    BertConfig config;
    WeightSource source;
  };

  explicit Golden(const std::string& name, DType compute = DType::kF32, BertHead head = BertHead::kNone)
      : folder("assets/golden/bert/" + name),
        file(take(WeightFile::open(folder))),
        expected(folder),
        bert(part(file, head), compute) {
    const std::span<const int32_t> places = expected.span<int32_t>("starts");
    starts.assign(places.begin(), places.end());
  }
  static Part part(const WeightFile& file, BertHead head) {
    Part part{take(read_bert_config(file.metadata())), bert_source(file, head)};
    part.config.head = head;
    return part;
  }

  BertInputs inputs() const {
    return {.tokens = expected.span<int32_t>("tokens"),
            .starts = starts,
            .types = expected.span<int32_t>("types")};
  }
  size_t width() const { return static_cast<size_t>(bert.network.config().width); }
  DeviceBuffer workspace(const BertInputs& in) const {
    return bert.workspace(bert.network.device_workspace_bytes(static_cast<int64_t>(in.tokens.size()),
                                                              static_cast<int64_t>(in.starts.size()) - 1));
  }

  void encode(const BertInputs& in, const BertOutputs& out) {
    const DeviceBuffer memory = workspace(in);
    demand(bert.network.forward_on(bert.passes, in, out, all_of(memory)));
  }
  std::vector<float> encode(const BertInputs& in) {
    std::vector<float> states(in.tokens.size() * width(), NAN);
    encode(in, {.hidden = states.data()});
    return states;
  }

  std::string folder;
  WeightFile file;
  GoldenTensors expected;
  OnDevice<Bert> bert;
  std::vector<int64_t> starts;
};

class DeviceBert : public ::testing::TestWithParam<const char*> {};

TEST_P(DeviceBert, AgreesWithTransformers) {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    Golden golden(GetParam(), compute);
    EXPECT_LT(error(golden.encode(golden.inputs()), golden.expected.span<float>("hidden")), allowed(compute));
  }
}

// Sequences of one length side by side, of which the second is the first's again, and one of another length behind them.
TEST_P(DeviceBert, TakesSequencesOfOneLengthTogether) {
  Golden golden(GetParam());
  const std::vector<int32_t> tokens = {5, 9, 7, 5, 9, 7, 11, 3, 60, 8};
  const std::vector<int64_t> starts = {0, 3, 6, 10};
  const std::vector<float> together = golden.encode({.tokens = tokens, .starts = starts});
  for (size_t s = 0; s + 1 < starts.size(); ++s) {
    const auto first = static_cast<size_t>(starts[s]), count = static_cast<size_t>(starts[s + 1]) - first;
    const std::vector<int64_t> own = {0, static_cast<int64_t>(count)};
    const std::vector<float> alone =
        golden.encode({.tokens = std::span(tokens).subspan(first, count), .starts = own});
    EXPECT_LT(error(std::span(together).subspan(first * golden.width(), alone.size()), alone), 1e-5) << s;
  }
}

TEST_P(DeviceBert, PoolsItsHiddenStates) {
  Golden golden(GetParam());
  const BertInputs in = golden.inputs();
  const size_t width = golden.width(), n = in.starts.size() - 1;
  const std::vector<float> hidden = golden.encode(in);
  for (const Pooling pooling : {Pooling::kFirst, Pooling::kLast, Pooling::kMean, Pooling::kMax}) {
    std::vector<float> pooled(n * width, NAN), want(n * width);
    golden.encode(in, {.pooled = pooled.data(), .pooling = pooling});
    for (size_t s = 0; s < n; ++s)
      for (size_t i = 0; i < width; ++i) {
        const auto begin = static_cast<size_t>(in.starts[s]), end = static_cast<size_t>(in.starts[s + 1]);
        std::vector<float> column;
        for (size_t r = begin; r < end; ++r) column.push_back(hidden[r * width + i]);
        const float mean =
            std::accumulate(column.begin(), column.end(), 0.0f) / static_cast<float>(column.size());
        want[s * width + i] = pooling == Pooling::kFirst  ? column.front()
                              : pooling == Pooling::kLast ? column.back()
                              : pooling == Pooling::kMax  ? *std::max_element(column.begin(), column.end())
                                                          : mean;
      }
    EXPECT_LT(error(pooled, want), 1e-6) << static_cast<int>(pooling);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, DeviceBert, ::testing::Values("bert", "roberta"),
                         [](const auto& model) { return std::string(model.param); });

TEST(DeviceBertWords, AgreeWithTransformers) {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    Golden golden("bert", compute, BertHead::kWords);
    const std::span<const float> want = golden.expected.span<float>("words");
    std::vector<float> words(want.size(), NAN);
    golden.encode(golden.inputs(), {.words = words.data()});
    EXPECT_LT(error(words, want), allowed(compute));
  }
}

// The second pass of a shape is captured, further ones are launched.
TEST(DeviceBertPasses, ThatComeAgainReadTheirOwnInputs) {
  Golden golden("bert");
  const BertInputs in = golden.inputs();
  std::vector<int32_t> reversed(in.tokens.rbegin(), in.tokens.rend());
  BertInputs other = in;
  other.tokens = reversed;
  const std::vector<float> first = golden.encode(in), second = golden.encode(other);
  ASSERT_NE(first, second);
  const DeviceBuffer memory = golden.workspace(in);
  golden.bert.passes = DevicePasses(golden.bert.stream);
  for (int i = 0; i < 3; ++i)
    for (const auto& [inputs, want] : {std::pair(in, first), std::pair(other, second)}) {
      std::vector<float> states(want.size(), NAN);
      demand(golden.bert.network.forward_on(golden.bert.passes, inputs, {.hidden = states.data()},
                                            all_of(memory)));
      EXPECT_EQ(states, want) << i;
    }
}

TEST(DeviceBertPasses, RefuseWhatTheyCannotDo) {
  Golden golden("bert");
  const BertInputs in = golden.inputs();
  std::vector<float> pooled(in.starts.size() * golden.width());
  const BertOutputs out{.pooled = pooled.data()};
  const DeviceBuffer memory = golden.workspace(in);
  Bert& bert = golden.bert.network;
  const auto code = [&](std::span<std::byte> workspace, const StopRequest& stop = {}) {
    return bert.forward_on(golden.bert.passes, in, out, workspace, stop).code();
  };
  EXPECT_EQ(code(all_of(memory).first(64)), StatusCode::kOutOfMemory);
  EXPECT_EQ(code(all_of(memory), {[](void*) { return true; }, nullptr}), StatusCode::kCancelled);
  EXPECT_EQ(code(all_of(memory)), StatusCode::kOk);
  // On the host its weights are not.
  EXPECT_EQ(bert.forward(in, out, {}, golden.bert.threads.executor()).code(), StatusCode::kInvalidArgument);
  const std::vector<int32_t> outside(in.tokens.size(), 70);
  EXPECT_EQ(bert.forward_on(golden.bert.passes, {.tokens = outside, .starts = in.starts}, out, all_of(memory))
                .code(),
            StatusCode::kInvalidArgument);
  bert.unload();
  EXPECT_EQ(code(all_of(memory)), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft::testing
