// Real models against a float32 forward pass of the same dequantised weights: per-token log-probabilities of a mixed
// English, Chinese and code text (scripts/make_golden/decoder_logprobs.py). Models are found as `weft` finds them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/networks/decoder/decoder.h"
#include "kernels/ops/softmax/softmax.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/workspace.h"
#include "modalities/weights/testing/fetched_model.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

struct Case {
  const char* name;
  const char* file;  // of the model
  const char* golden;
  double mean_absolute;  // nats; llama.cpp's on the same tokens
};

const Case kCases[] = {
    {"SmolLM2", "SmolLM2-135M-Instruct.Q4_1.gguf", "assets/golden/decoder/smollm2_logprobs.safetensors",
     0.062},
    {"Gemma3", "gemma-3-270m-Q4_K_M.gguf", "assets/golden/decoder/gemma3_270m_logprobs.safetensors", 0.095},
};

template <typename T>
std::vector<T> read(const WeightFile& file, const char* name) {
  const WeightTensor* tensor = file.find(name);
  if (!tensor) return {};
  std::vector<T> values(static_cast<size_t>(tensor->count()));
  std::memcpy(values.data(), tensor->data, values.size() * sizeof(T));
  return values;
}

class DecoderModel : public ::testing::TestWithParam<Case> {};

TEST_P(DecoderModel, LogProbabilitiesAreAsNearToFloat32AsThePeers) {
  const std::string path = testing::fetched_model(GetParam().file);
  if (path.empty()) GTEST_SKIP() << "skipped: no " << GetParam().file << " in WEFT_MODELS or the data folder";
  Result<WeightFile> golden = WeightFile::open(GetParam().golden);
  ASSERT_TRUE(golden.ok()) << to_string(golden.error());
  const std::vector<int32_t> tokens = read<int32_t>(*golden, "tokens");
  const std::vector<float> want = read<float>(*golden, "logprobs");
  ASSERT_GT(tokens.size(), 300u);
  ASSERT_EQ(want.size(), tokens.size() - 1);

  testing::Threads threads(2);
  Result<WeightFile> file = WeightFile::open(path);
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  Result<Decoder> decoder = Decoder::open(*file);
  ASSERT_TRUE(decoder.ok()) << to_string(decoder.error());
  HeapWeightStore store;
  ASSERT_TRUE(decoder->load(store, "test", threads.executor()).ok());
  for (KvFormat format : {KvFormat::kF32, KvFormat::kF16}) {
    Result<KvCache> cache = KvCache::create(decoder->kv_layout(format), int64_t{1} << 30);
    ASSERT_TRUE(cache.ok()) << to_string(cache.error());
    KvSequence sequence = cache->new_sequence();
    constexpr size_t kChunk = 32;
    testing::Workspace workspace(decoder->workspace_bytes(kChunk));
    const size_t vocabulary = static_cast<size_t>(decoder->config().vocabulary);
    std::vector<float> logits(kChunk * vocabulary);
    double difference = 0;
    for (size_t at = 0; at < want.size(); at += kChunk) {
      const size_t count = std::min(kChunk, want.size() - at);
      const DecoderChunk chunk{&sequence, {tokens.data() + at, count}};
      std::vector<int32_t> rows(count);
      for (size_t i = 0; i < count; ++i) rows[i] = static_cast<int32_t>(i);
      Status done = decoder->forward({.chunks = {&chunk, 1}, .logits_rows = rows}, {.logits = logits.data()},
                                     workspace.span(), threads.executor());
      ASSERT_TRUE(done.ok()) << to_string(done.error());
      for (size_t i = 0; i < count; ++i) {
        const std::span<const float> row(logits.data() + i * vocabulary, vocabulary);
        const double logprob = row[static_cast<size_t>(tokens[at + i + 1])] - log_sum_exp(row);
        difference += std::abs(logprob - want[at + i]);
      }
    }
    difference /= static_cast<double>(want.size());
    std::printf("%s, KV cache %s: mean absolute difference %.4f nats\n", GetParam().name, to_string(format),
                difference);
    EXPECT_LE(difference, GetParam().mean_absolute);
  }
}

INSTANTIATE_TEST_SUITE_P(Real, DecoderModel, ::testing::ValuesIn(kCases),
                         [](const auto& model) { return std::string(model.param.name); });

}  // namespace
}  // namespace weft
