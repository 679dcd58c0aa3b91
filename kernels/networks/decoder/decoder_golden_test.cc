// Every architecture against transformers, on the reduced random models of scripts/make_golden/decoder.py, from
// safetensors and from GGUF (scripts/make_golden/decoder_gguf.py); and the promise that a row's bits do not depend on the batch, the chunking or the threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/networks/decoder/decoder.h"
#include "kernels/networks/decoder/lora.h"
#include "kernels/networks/decoder/testing/reduced_models.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"
#include "kernels/testing/workspace.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

using testing::Workspace;

constexpr double kTolerance = 1e-4;  // relative, f32 weights and KV cache

using testing::golden_decoder;

WeightFile open_file(const std::string& path) { return testing::take(WeightFile::open(path)); }

template <typename T>
std::vector<T> read(const WeightFile& file, const char* name) {
  const WeightTensor& tensor = *testing::take(file.tensor(name));
  std::vector<T> values(static_cast<size_t>(tensor.count()));
  std::memcpy(values.data(), tensor.data, values.size() * sizeof(T));
  return values;
}

struct Loaded {
  explicit Loaded(const std::string& path, uint32_t n_threads = 2)
      : threads(n_threads), file(open_file(path)), decoder(testing::take(Decoder::open(file))) {
    testing::demand(decoder.load(store, "golden", threads.executor()));
  }
  KvCache cache(KvFormat format = KvFormat::kF32) {
    return std::move(
        *KvCache::create(decoder.kv_layout(format), 64 * decoder.kv_layout(format).page_bytes()));
  }

  testing::Threads threads;
  WeightFile file;
  Decoder decoder;
  HeapWeightStore store;
};

// The logits of all tokens of one sequence, fed in chunks of the given size.
std::vector<float> all_logits(Loaded& model, const std::vector<int32_t>& tokens, size_t chunk_size,
                              std::span<const LoraTerm> adapters = {}, KvFormat format = KvFormat::kF32) {
  KvCache cache = model.cache(format);
  KvSequence sequence = cache.new_sequence();
  const size_t vocabulary = static_cast<size_t>(model.decoder.config().vocabulary);
  std::vector<float> logits(tokens.size() * vocabulary);
  for (size_t at = 0; at < tokens.size(); at += chunk_size) {
    const size_t count = std::min(chunk_size, tokens.size() - at);
    const DecoderChunk chunk{&sequence, {tokens.data() + at, count}};
    std::vector<int32_t> rows(count);
    for (size_t i = 0; i < count; ++i) rows[i] = static_cast<int32_t>(i);
    int64_t rank = 0;
    for (const LoraTerm& term : adapters) rank += term.adapter->rank();
    Workspace workspace(model.decoder.workspace_bytes(static_cast<int64_t>(count), rank));
    Status done = model.decoder.forward({.chunks = {&chunk, 1}, .logits_rows = rows, .adapters = adapters},
                                        {.logits = logits.data() + at * vocabulary}, workspace.span(),
                                        model.threads.executor());
    EXPECT_TRUE(done.ok()) << (done.ok() ? "" : to_string(done.error()));
  }
  return logits;
}

class DecoderGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(DecoderGolden, AgreesWithTransformers) {
  Loaded model(golden_decoder(GetParam()));
  const WeightFile expected = open_file(golden_decoder(GetParam()) + "/expected.safetensors");
  const std::vector<int32_t> tokens = read<int32_t>(expected, "tokens");
  const std::vector<float> want = read<float>(expected, "logits");
  const std::vector<float> got = all_logits(model, tokens, tokens.size());
  ASSERT_EQ(got.size(), want.size());
  EXPECT_LT(testing::relative_error(got.data(), want.data(), static_cast<int64_t>(got.size())), kTolerance);
}

class DecoderGguf : public ::testing::TestWithParam<const char*> {};

TEST_P(DecoderGguf, AgreesWithTransformers) {
  Loaded model(golden_decoder(GetParam()) + ".gguf");
  const WeightFile expected = open_file(golden_decoder(GetParam()) + "/expected.safetensors");
  const std::vector<int32_t> tokens = read<int32_t>(expected, "tokens");
  const std::vector<float> want = read<float>(expected, "logits");
  const std::vector<float> got = all_logits(model, tokens, tokens.size());
  ASSERT_EQ(got.size(), want.size());
  EXPECT_LT(testing::relative_error(got.data(), want.data(), static_cast<int64_t>(got.size())), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, DecoderGguf, ::testing::ValuesIn(testing::kGoldenDecoders),
                         [](const auto& model) { return std::string(model.param); });

// What each format of the KV cache costs in accuracy: about its number of bits.
TEST(DecoderKvFormats, StayNearFloat32) {
  Loaded model(golden_decoder("gemma3"));
  const WeightFile expected = open_file(golden_decoder("gemma3") + "/expected.safetensors");
  const std::vector<int32_t> tokens = read<int32_t>(expected, "tokens");
  const std::vector<float> want = read<float>(expected, "logits");
  const int64_t count = static_cast<int64_t>(want.size());
  const std::vector<float> half = all_logits(model, tokens, 9, {}, KvFormat::kF16);
  EXPECT_LT(testing::relative_error(half.data(), want.data(), count), 2e-3);
  const std::vector<float> brain = all_logits(model, tokens, 9, {}, KvFormat::kBF16);
  EXPECT_LT(testing::relative_error(brain.data(), want.data(), count), 2e-2);
  EXPECT_EQ(
      std::memcmp(half.data(), all_logits(model, tokens, 40, {}, KvFormat::kF16).data(), half.size() * 4), 0);
}

TEST_P(DecoderGolden, BitsDoNotDependOnChunksOrThreads) {
  Loaded model(golden_decoder(GetParam()));
  const WeightFile expected = open_file(golden_decoder(GetParam()) + "/expected.safetensors");
  const std::vector<int32_t> tokens = read<int32_t>(expected, "tokens");
  const std::vector<float> whole = all_logits(model, tokens, tokens.size());
  for (size_t chunk : {1, 7, 33})
    EXPECT_EQ(std::memcmp(whole.data(), all_logits(model, tokens, chunk).data(), whole.size() * 4), 0)
        << chunk;
  for (uint32_t threads : {1, 3}) {
    Loaded other(golden_decoder(GetParam()), threads);
    EXPECT_EQ(std::memcmp(whole.data(), all_logits(other, tokens, 40).data(), whole.size() * 4), 0)
        << threads;
  }
}

TEST_P(DecoderGolden, BitsDoNotDependOnTheBatch) {
  Loaded model(golden_decoder(GetParam()));
  const WeightFile expected = open_file(golden_decoder(GetParam()) + "/expected.safetensors");
  const std::vector<int32_t> tokens = read<int32_t>(expected, "tokens");
  const std::vector<float> alone = all_logits(model, tokens, tokens.size());
  const size_t vocabulary = static_cast<size_t>(model.decoder.config().vocabulary);
  const size_t width = static_cast<size_t>(model.decoder.config().width);

  // The same sequence between two others, in two steps, its last part as a fork.
  KvCache cache = model.cache();
  KvSequence first = cache.new_sequence(), other = cache.new_sequence(), third = cache.new_sequence();
  const std::span<const int32_t> all(tokens);
  Workspace workspace(model.decoder.workspace_bytes(64));
  const DecoderChunk start[] = {
      {&other, all.subspan(5, 9)}, {&first, all.first(21)}, {&third, all.subspan(30, 1)}};
  std::vector<float> logits(vocabulary * 3), hidden(width);
  const std::vector<int32_t> rows = {9 + 20};
  ASSERT_TRUE(model.decoder
                  .forward({.chunks = start, .logits_rows = rows, .hidden_rows = rows},
                           {.logits = logits.data(), .hidden = hidden.data()}, workspace.span(),
                           model.threads.executor())
                  .ok());
  EXPECT_EQ(std::memcmp(logits.data(), alone.data() + 20 * vocabulary, vocabulary * 4), 0);
  for (float h : hidden) EXPECT_TRUE(std::isfinite(h));

  KvSequence fork = first.fork();
  const DecoderChunk next[] = {{&first, all.first(4)}, {&fork, all.subspan(21)}, {&other, all.first(1)}};
  const int32_t n = static_cast<int32_t>(tokens.size()) - 21;
  const std::vector<int32_t> ends = {4, 4 + n - 1};
  ASSERT_TRUE(model.decoder
                  .forward({.chunks = next, .logits_rows = ends}, {.logits = logits.data()}, workspace.span(),
                           model.threads.executor())
                  .ok());
  EXPECT_EQ(std::memcmp(logits.data(), alone.data() + 21 * vocabulary, vocabulary * 4), 0);
  EXPECT_EQ(std::memcmp(logits.data() + vocabulary, alone.data() + (tokens.size() - 1) * vocabulary,
                        vocabulary * 4),
            0);
  EXPECT_EQ(fork.length(), static_cast<int64_t>(tokens.size()));
}

TEST(DecoderQuantised, BitsDoNotDependOnChunksOrThreads) {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 40; ++i) tokens.push_back(i * 37 % 64);
  for (WeightFormat format :
       {WeightFormat::kQ4_1, WeightFormat::kQ8_0, WeightFormat::kQ4_K, WeightFormat::kQ6_K}) {
    const std::string path =
        testing::write_random_llama(std::string("decoder_") + block_layout(format).name, format, format)
            .string();
    Loaded model(path);
    for (KvFormat kv : {KvFormat::kF16, KvFormat::kQ8_0}) {
      const std::vector<float> whole = all_logits(model, tokens, tokens.size(), {}, kv);
      for (float logit : whole) ASSERT_TRUE(std::isfinite(logit));
      for (size_t chunk : {1, 3, 17, 33})
        EXPECT_EQ(
            std::memcmp(whole.data(), all_logits(model, tokens, chunk, {}, kv).data(), whole.size() * 4), 0)
            << block_layout(format).name << " " << to_string(kv) << " chunk " << chunk;
      Loaded alone(path, 1), many(path, 3);
      for (Loaded* other : {&alone, &many})
        EXPECT_EQ(std::memcmp(whole.data(), all_logits(*other, tokens, 13, {}, kv).data(), whole.size() * 4),
                  0)
            << block_layout(format).name << " " << to_string(kv);
    }
  }
}

TEST(DecoderLora, AgreesWithMergedWeights) {
  Loaded model(golden_decoder("llama"));
  const WeightFile file = open_file(golden_decoder("llama/adapter"));
  Result<LoraAdapter> adapter = LoraAdapter::load(model.decoder, file, model.threads.executor());
  ASSERT_TRUE(adapter.ok()) << to_string(adapter.error());
  EXPECT_EQ(adapter->rank(), 3);
  const WeightFile plain = open_file(golden_decoder("llama/expected.safetensors"));
  const WeightFile adapted = open_file(golden_decoder("llama/adapter/expected.safetensors"));
  const std::vector<int32_t> tokens = read<int32_t>(plain, "tokens");
  const std::vector<float> want = read<float>(adapted, "logits"), without = read<float>(plain, "logits");
  const LoraTerm full{&*adapter, 1}, none{&*adapter, 0};
  const std::vector<float> got = all_logits(model, tokens, 40, {&full, 1});
  const int64_t count = static_cast<int64_t>(got.size());
  EXPECT_LT(testing::relative_error(got.data(), want.data(), count), kTolerance);
  EXPECT_GT(testing::relative_error(got.data(), without.data(), count), 0.05) << "the adapter does nothing";
  const std::vector<float> off = all_logits(model, tokens, 40, {&none, 1});
  EXPECT_LT(testing::relative_error(off.data(), without.data(), count), kTolerance);
  EXPECT_EQ(std::memcmp(got.data(), all_logits(model, tokens, 1, {&full, 1}).data(), got.size() * 4), 0);
}

// The same adapter, in Hugging Face's order of rows, on the model in GGUF's.
TEST(DecoderLora, FitsAModelFromTheOtherContainer) {
  Loaded model(golden_decoder("llama") + ".gguf");
  const WeightFile file = open_file(golden_decoder("llama/adapter"));
  Result<LoraAdapter> adapter = LoraAdapter::load(model.decoder, file, model.threads.executor());
  ASSERT_TRUE(adapter.ok()) << to_string(adapter.error());
  const WeightFile plain = open_file(golden_decoder("llama/expected.safetensors"));
  const WeightFile adapted = open_file(golden_decoder("llama/adapter/expected.safetensors"));
  const std::vector<float> want = read<float>(adapted, "logits");
  const LoraTerm full{&*adapter, 1};
  const std::vector<float> got = all_logits(model, read<int32_t>(plain, "tokens"), 40, {&full, 1});
  EXPECT_LT(testing::relative_error(got.data(), want.data(), static_cast<int64_t>(got.size())), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, DecoderGolden, ::testing::ValuesIn(testing::kGoldenDecoders),
                         [](const auto& model) { return std::string(model.param); });

}  // namespace
}  // namespace weft
