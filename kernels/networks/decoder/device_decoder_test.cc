// Reduced language models on a device, simt:0 unless WEFT_TEST_DEVICE names another, against the CPU and transformers.
#include "kernels/networks/decoder/device_decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/networks/decoder/lora.h"
#include "kernels/networks/decoder/testing/reduced_models.h"
#include "kernels/networks/testing/golden.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/device_name.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"
#include "kernels/testing/workspace.h"

namespace weft {
namespace {

using testing::demand;
using testing::golden_decoder;
using testing::GoldenTensors;
using testing::take;

constexpr double kTolerance = 1e-4;  // relative, f32 weights and KV cache
constexpr int64_t kPages = 8, kDraws = 3, kRank = 5;

struct OnDevice {
  /// weights_bytes: of the device's memory, at most; 0: all that they take.
  explicit OnDevice(const std::string& path, KvFormat format = KvFormat::kF32, int64_t tokens = 48,
                    int64_t weights_bytes = 0)
      : device(take(ComputeDevice::open(testing::device_name()))),
        stream(take(DeviceStream::create(device))),
        file(take(WeightFile::open(path))),
        decoder(take(DeviceDecoder::open(file))) {
    if (weights_bytes > 0) demand(decoder.offload(weights_bytes));
    demand(decoder.load(stream));
    const KvLayout layout = decoder.kv_layout(format);
    pages.emplace(take(
        DeviceBuffer::allocate(stream, static_cast<uint64_t>(kPages * layout.page_bytes()), "KV cache")));
    cache.emplace(take(device_kv_cache(layout, *pages, stream)));
    scratch.emplace(take(decoder.make_scratch(stream, {.tokens = tokens,
                                                       .logits_rows = tokens,
                                                       .page_entries = 2 * kPages,
                                                       .k = 2,
                                                       .draws = kDraws,
                                                       .total_rank = 2 * kRank})));
  }

  LoraAdapter adapter(const std::string& path) const {
    return take(LoraAdapter::load(decoder, take(WeightFile::open(path)), stream, {}));
  }

  /// The logits of all tokens of one sequence, fed in chunks of the given size.
  std::vector<float> all_logits(std::span<const int32_t> tokens, size_t chunk_size,
                                std::span<const LoraTerm> adapters = {}) {
    KvSequence sequence = cache->new_sequence();
    const auto vocabulary = static_cast<size_t>(decoder.config().vocabulary);
    std::vector<float> logits(tokens.size() * vocabulary);
    for (size_t at = 0; at < tokens.size(); at += chunk_size) {
      const size_t count = std::min(chunk_size, tokens.size() - at);
      const DecoderChunk chunk{&sequence, {tokens.data() + at, count}};
      std::vector<int32_t> rows(count);
      for (size_t i = 0; i < count; ++i) rows[i] = static_cast<int32_t>(i);
      DecoderBatch batch;
      batch.chunks = {&chunk, 1};
      batch.logits_rows = rows;
      batch.adapters = adapters;
      DeviceDecoderOutputs outputs;
      outputs.logits = logits.data() + at * vocabulary;
      Status done = decoder.forward(batch, outputs, *scratch);
      EXPECT_TRUE(done.ok()) << (done.ok() ? "" : to_string(done.error()));
      if (!done.ok()) break;
    }
    return logits;
  }

  /// The likeliest token again and again.
  std::vector<int32_t> generate(std::vector<int32_t> prompt, int n) {
    KvSequence sequence = cache->new_sequence();
    std::vector<int32_t> made;
    for (int i = 0; i < n; ++i) {
      const DecoderChunk chunk{&sequence, prompt};
      const auto last = static_cast<int32_t>(prompt.size() - 1);
      RankedValue best{};
      DecoderBatch batch;
      batch.chunks = {&chunk, 1};
      batch.logits_rows = {&last, 1};
      DeviceDecoderOutputs outputs;
      outputs.top = &best;
      outputs.k = 1;
      Status done = decoder.forward(batch, outputs, *scratch);
      EXPECT_TRUE(done.ok()) << (done.ok() ? "" : to_string(done.error()));
      if (!done.ok()) break;
      made.push_back(best.place);
      prompt = {best.place};
    }
    return made;
  }

  std::shared_ptr<ComputeDevice> device;
  DeviceStream stream;
  WeightFile file;
  DeviceDecoder decoder;
  std::optional<DeviceBuffer> pages;
  std::optional<KvCache> cache;
  std::optional<DeviceDecoder::Scratch> scratch;
};

/// The CPU's decoder on the same file.
struct OnCpu {
  explicit OnCpu(const std::string& path)
      : file(take(WeightFile::open(path))), decoder(take(Decoder::open(file))) {
    demand(decoder.load(store, "test", threads.executor()));
  }
  std::vector<float> logits(KvSequence& sequence, std::span<const int32_t> tokens,
                            std::span<const LoraTerm> adapters = {}) {
    const DecoderChunk chunk{&sequence, tokens};
    std::vector<int32_t> rows(tokens.size());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int32_t>(i);
    std::vector<float> logits(tokens.size() * static_cast<size_t>(decoder.config().vocabulary));
    testing::Workspace workspace(decoder.workspace_bytes(static_cast<int64_t>(tokens.size()),
                                                         static_cast<int64_t>(adapters.size()) * kRank));
    DecoderBatch batch;
    batch.chunks = {&chunk, 1};
    batch.logits_rows = rows;
    batch.adapters = adapters;
    DecoderOutputs outputs;
    outputs.logits = logits.data();
    EXPECT_TRUE(decoder.forward(batch, outputs, workspace.span(), threads.executor()).ok());
    return logits;
  }
  LoraAdapter adapter(const std::string& path) {
    return take(LoraAdapter::load(decoder, take(WeightFile::open(path)), threads.executor()));
  }
  KvCache cache(KvFormat format = KvFormat::kF32) {
    const KvLayout layout = decoder.kv_layout(format);
    return take(KvCache::create(layout, kPages * layout.page_bytes()));
  }
  std::vector<int32_t> generate(std::vector<int32_t> prompt, int n) {
    KvCache pages = cache();
    KvSequence sequence = pages.new_sequence();
    std::vector<int32_t> made;
    for (int i = 0; i < n; ++i) {
      const std::vector<float> all = logits(sequence, prompt);
      const auto last = all.end() - decoder.config().vocabulary;
      made.push_back(static_cast<int32_t>(std::max_element(last, all.end()) - last));
      prompt = {made.back()};
    }
    return made;
  }

  testing::Threads threads{1};
  WeightFile file;
  HeapWeightStore store;
  Decoder decoder;
};

class DeviceDecoderGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(DeviceDecoderGolden, AgreesWithTransformers) {
  OnDevice model(golden_decoder(GetParam()));
  const GoldenTensors expected(golden_decoder(GetParam()));
  const std::span<const int32_t> tokens = expected.span<int32_t>("tokens");
  const std::span<const float> want = expected.span<float>("logits");
  const auto error = [&](const std::vector<float>& got) {
    return testing::relative_error(got.data(), want.data(), static_cast<int64_t>(got.size()));
  };
  EXPECT_LT(error(model.all_logits(tokens, tokens.size())), kTolerance);
  // In chunks of few rows, which other kernels serve.
  EXPECT_LT(error(model.all_logits(tokens.first(8), 3)), kTolerance);
}

TEST_P(DeviceDecoderGolden, GeneratesWhatTheCpuGenerates) {
  const std::string path = golden_decoder(GetParam()) + ".gguf";
  const std::vector<int32_t> prompt = {3, 14, 15, 9, 26, 5};
  EXPECT_EQ(OnDevice(path).generate(prompt, 8), OnCpu(path).generate(prompt, 8));
}

INSTANTIATE_TEST_SUITE_P(Models, DeviceDecoderGolden, ::testing::ValuesIn(testing::kGoldenDecoders),
                         [](const auto& model) { return std::string(model.param); });

// The weights stay quantised on the device: the results are those of the same numbers in f32 on the CPU, but for x in 16 bits a
// run, and for the rounding to f16 where rows are many.
TEST(DeviceDecoderQuantised, ComputesWithTheNumbersThatTheFormatMeans) {
  const std::vector<int32_t> tokens = {1, 37, 12, 60, 33};
  for (const WeightFormat format : {WeightFormat::kQ8_0, WeightFormat::kQ4_K}) {
    SCOPED_TRACE(block_layout(format).name);
    const auto plain = testing::write_random_llama("device_decoder_plain", format, WeightFormat::kF32);
    OnCpu cpu(plain.string());
    KvCache pages = cpu.cache();
    KvSequence sequence = pages.new_sequence();
    const std::vector<float> want = cpu.logits(sequence, tokens);
    const auto quantised = testing::write_random_llama("device_decoder_quantised", format, format);
    OnDevice model(quantised.string());
    for (const size_t chunk : {tokens.size(), size_t{4}})
      EXPECT_LT(testing::relative_error(model.all_logits(tokens, chunk).data(), want.data(),
                                        static_cast<int64_t>(want.size())),
                kTolerance);
  }
}

// A prompt long enough for tensor cores: its products round weights and activations to f16.
TEST(DeviceDecoderQuantised, RoundsTheProductsOfLongPrompts) {
  std::vector<int32_t> tokens(24);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * 7 % 60 + 1);
  const auto plain =
      testing::write_random_llama("device_decoder_plain", WeightFormat::kQ4_K, WeightFormat::kF32);
  OnCpu cpu(plain.string());
  KvCache pages = cpu.cache();
  KvSequence sequence = pages.new_sequence();
  const std::vector<float> want = cpu.logits(sequence, tokens);
  const auto quantised =
      testing::write_random_llama("device_decoder_quantised", WeightFormat::kQ4_K, WeightFormat::kQ4_K);
  OnDevice model(quantised.string());
  const double error = testing::relative_error(model.all_logits(tokens, tokens.size()).data(), want.data(),
                                               static_cast<int64_t>(want.size()));
  EXPECT_LT(error, 3e-3);
  EXPECT_GT(error, kTolerance) << "they went another way";
}

// The pages' codes are the CPU's but where a key's last bit decides, so that only such a code's step is between the two.
TEST(DeviceDecoderCache, OfCodesGivesWhatTheCpuReadsOfTheSameCodes) {
  const std::vector<int32_t> tokens = {1, 37, 12, 60, 33, 8, 20, 2, 41, 5};
  const std::string path =
      testing::write_random_llama("device_decoder_codes", WeightFormat::kF32, WeightFormat::kF32).string();
  OnCpu cpu(path);
  const auto on_cpu = [&](KvFormat format) {
    KvCache pages = cpu.cache(format);
    KvSequence sequence = pages.new_sequence();
    return cpu.logits(sequence, tokens);
  };
  const std::vector<float> want = on_cpu(KvFormat::kQ8_0), exact = on_cpu(KvFormat::kF32);
  const auto count = static_cast<int64_t>(want.size());
  const double step = testing::relative_error(exact.data(), want.data(), count);
  OnDevice model(path, KvFormat::kQ8_0);
  for (const size_t chunk : {tokens.size(), size_t{3}}) {
    const double error = testing::relative_error(model.all_logits(tokens, chunk).data(), want.data(), count);
    EXPECT_LT(error, step / 10);
  }
}

// Two sequences in a batch, one of them a fork that must not write into the pages of the other.
TEST(DeviceDecoderBatch, KeepsSequencesApart) {
  OnDevice model(golden_decoder("llama"));
  const GoldenTensors expected(golden_decoder("llama"));
  const std::span<const int32_t> tokens = expected.span<int32_t>("tokens");
  const std::span<const float> want = expected.span<float>("logits");
  const auto vocabulary = model.decoder.config().vocabulary;
  KvSequence first = model.cache->new_sequence();
  std::vector<float> logits(static_cast<size_t>(2 * vocabulary)),
      hidden(static_cast<size_t>(model.decoder.config().width));
  const auto run = [&](std::span<const DecoderChunk> chunks, std::span<const int32_t> rows) {
    DecoderBatch batch;
    batch.chunks = chunks;
    batch.logits_rows = batch.hidden_rows = rows;
    DeviceDecoderOutputs outputs;
    outputs.logits = logits.data();
    hidden.resize(rows.size() * static_cast<size_t>(model.decoder.config().width));
    outputs.hidden = hidden.data();
    Status done = model.decoder.forward(batch, outputs, *model.scratch);
    EXPECT_TRUE(done.ok()) << (done.ok() ? "" : to_string(done.error()));
  };
  const DecoderChunk start{&first, tokens.first(10)};
  const int32_t ninth = 9;
  run({&start, 1}, {&ninth, 1});
  KvSequence fork = first.fork();
  const std::vector<int32_t> other = {5, 6, 7};
  const DecoderChunk next[] = {{&fork, other}, {&first, tokens.subspan(10, 5)}};
  const std::vector<int32_t> ends = {2, 7};
  run(next, ends);
  EXPECT_LT(testing::relative_error(logits.data() + vocabulary, want.data() + 14 * vocabulary, vocabulary),
            kTolerance);
  for (const float h : hidden) EXPECT_TRUE(std::isfinite(h));
  EXPECT_EQ(fork.length(), 13);
}

// Layers that wait in the host's memory and come over for each pass: the same launches over the same numbers.
TEST(DeviceDecoderOffload, GivesTheSameBitsWithLessOfTheDevice) {
  const std::vector<int32_t> tokens = {3, 14, 15};
  const std::string path = testing::write_random_llama("device_decoder_offload", WeightFormat::kQ8_0,
                                                       WeightFormat::kQ8_0, /*layers=*/4)
                               .string();
  OnDevice whole(path);
  const int64_t all = whole.decoder.weights_bytes();
  const Status refused = take(DeviceDecoder::open(whole.file)).offload(1000);
  EXPECT_EQ(refused.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(refused.error().expected, "at most 1000 bytes on the device");
  const int64_t least = std::stoll(refused.error().got);
  const std::vector<float> in_twos = whole.all_logits(tokens, 2);
  int64_t before = 0;
  for (const int64_t most : {all - 1, least}) {
    SCOPED_TRACE(most);
    OnDevice model(path, KvFormat::kF32, 48, most);
    EXPECT_LE(model.decoder.weights_bytes(), most);
    EXPECT_GT(model.decoder.offloaded_bytes(), before);
    before = model.decoder.offloaded_bytes();
    EXPECT_EQ(model.all_logits(tokens, 2), in_twos);
    demand(model.decoder.load(model.stream));
    EXPECT_EQ(model.all_logits(tokens, 2), in_twos) << "loaded again";  // as after an eviction
  }
}

// The passes of a shape are one graph from the second on: each adapter, at each strength, has its own.
TEST(DeviceDecoderLora, AgreesWithMergedWeights) {
  for (const char* container : {"", ".gguf"}) {  // PEFT's order of rows, and the other
    SCOPED_TRACE(container);
    OnDevice model(golden_decoder("llama") + container);
    const LoraAdapter adapter = model.adapter(golden_decoder("llama/adapter"));
    const GoldenTensors plain(golden_decoder("llama")), adapted(golden_decoder("llama/adapter"));
    const std::span<const int32_t> tokens = plain.span<int32_t>("tokens");
    const auto error = [&](size_t chunk, std::span<const LoraTerm> adapters, const GoldenTensors& of) {
      const std::vector<float> got =
          model.all_logits(tokens.first(chunk == 4 ? 16 : tokens.size()), chunk, adapters);
      return testing::relative_error(got.data(), of.span<float>("logits").data(),
                                     static_cast<int64_t>(got.size()));
    };
    const LoraTerm full{&adapter, 1}, none{&adapter, 0}, halves[] = {{&adapter, 0.5f}, {&adapter, 0.5f}};
    for (const size_t chunk : {tokens.size(), size_t{4}}) {
      EXPECT_LT(error(chunk, {&full, 1}, adapted), kTolerance);
      EXPECT_LT(error(chunk, {}, plain), kTolerance);
      EXPECT_LT(error(chunk, {&none, 1}, plain), kTolerance);
      EXPECT_LT(error(chunk, halves, adapted), kTolerance);
    }
    EXPECT_GT(error(4, {&full, 1}, plain), 0.05) << "the adapter does nothing";
  }
}

// Of every linear layer, the joint ones too.
TEST_P(DeviceDecoderGolden, AddsWhatAdaptersAddOnTheCpu) {
  const std::string path = golden_decoder(GetParam()) + ".gguf";
  OnCpu cpu(path);
  const std::string file =
      testing::write_random_adapter(std::string("device_decoder_adapter_") + GetParam(), cpu.decoder, kRank)
          .string();
  const LoraAdapter on_cpu = cpu.adapter(file);
  const GoldenTensors expected(golden_decoder(GetParam()));
  const std::span<const int32_t> tokens = expected.span<int32_t>("tokens").first(20);
  const LoraTerm there{&on_cpu, 0.7f};
  KvCache pages = cpu.cache();
  KvSequence sequence = pages.new_sequence();
  const std::vector<float> want = cpu.logits(sequence, tokens, {&there, 1});
  OnDevice model(path);
  const LoraAdapter adapter = model.adapter(file);
  EXPECT_EQ(adapter.size_bytes(),
            take(LoraAdapter::device_bytes(model.decoder, take(WeightFile::open(file)))));
  const LoraTerm here{&adapter, 0.7f};
  for (const size_t chunk : {tokens.size(), size_t{3}})
    EXPECT_LT(testing::relative_error(model.all_logits(tokens, chunk, {&here, 1}).data(), want.data(),
                                      static_cast<int64_t>(want.size())),
              kTolerance);
}

// On weights in blocks, with layers that wait on the CPU. Of 16 bits, so that A goes over tensor cores where rows are many.
TEST(DeviceDecoderLora, IsAsExactAsTheModelAndStaysWhereLayersDoNot) {
  std::vector<int32_t> tokens(18);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * 7 % 60 + 1);
  const auto write = [](const char* folder, WeightFormat stored) {
    return testing::write_random_llama(folder, WeightFormat::kQ8_0, stored, /*layers=*/3).string();
  };
  OnCpu cpu(write("device_decoder_lora_plain", WeightFormat::kF32));
  const auto on_cpu = [&](std::span<const LoraTerm> adapters) {
    KvCache pages = cpu.cache();
    KvSequence sequence = pages.new_sequence();
    return cpu.logits(sequence, tokens, adapters);
  };
  const auto error = [](const std::vector<float>& got, const std::vector<float>& want) {
    return testing::relative_error(got.data(), want.data(), static_cast<int64_t>(got.size()));
  };
  const std::string path = write("device_decoder_lora_quantised", WeightFormat::kQ8_0);
  OnDevice whole(path), parts(path, KvFormat::kF32, 48, whole.decoder.weights_bytes() - 1);
  EXPECT_GT(parts.decoder.offloaded_bytes(), 0);
  const std::string file =
      testing::write_random_adapter("device_decoder_lora_adapter", cpu.decoder, kRank, WeightFormat::kF16)
          .string();
  const LoraAdapter there = cpu.adapter(file), here = whole.adapter(file), beside = parts.adapter(file);
  const LoraTerm of_cpu{&there}, of_whole{&here}, of_parts{&beside};
  const std::vector<float> plain = on_cpu({}), adapted = on_cpu({&of_cpu, 1});
  for (const size_t chunk : {size_t{6}, tokens.size()}) {
    const std::vector<float> got = whole.all_logits(tokens, chunk, {&of_whole, 1});
    EXPECT_LT(error(got, adapted), 3 * error(whole.all_logits(tokens, chunk), plain));
    EXPECT_EQ(parts.all_logits(tokens, chunk, {&of_parts, 1}), got);
  }
}

TEST(DeviceDecoderLora, RefusesAdaptersOfElsewhere) {
  const std::string path = golden_decoder("llama"), file = golden_decoder("llama/adapter");
  OnDevice model(path);
  OnCpu cpu(path);
  const LoraAdapter on_cpu = cpu.adapter(file), adapter = model.adapter(file);
  KvSequence sequence = model.cache->new_sequence();
  const std::vector<int32_t> tokens = {1, 2, 3};
  const DecoderChunk chunk{&sequence, tokens};
  const auto refusal = [&](std::vector<LoraTerm> adapters) {
    DecoderBatch batch;
    batch.chunks = {&chunk, 1};
    batch.adapters = adapters;
    return model.decoder.forward(batch, {}, *model.scratch);
  };
  EXPECT_EQ(refusal({{nullptr, 1}}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(to_string(refusal({{&on_cpu, 1}}).error()),
            "an adapter is not where the decoder computes (expected " + model.device->facts().name +
                ", got the CPU)");
  EXPECT_EQ(refusal({{&adapter, 1}, {&adapter, 1}, {&adapter, 1}, {&adapter, 1}}).code(),
            StatusCode::kOutOfMemory)
      << "more than the scratch's rank";
  KvCache pages = cpu.cache();
  KvSequence other = pages.new_sequence();
  const DecoderChunk there{&other, tokens};
  const LoraTerm wrong{&adapter};
  DecoderBatch batch;
  batch.chunks = {&there, 1};
  batch.adapters = {&wrong, 1};
  EXPECT_EQ(cpu.decoder.forward(batch, {}, {}, cpu.threads.executor()).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(LoraAdapter::load(model.decoder, model.file, model.stream, {}).code(), StatusCode::kNotFound);
  DeviceBuffer little = take(DeviceBuffer::allocate(model.stream, 256, "little"));
  EXPECT_EQ(
      LoraAdapter::load(model.decoder, take(WeightFile::open(file)), model.stream, std::move(little)).code(),
      StatusCode::kOutOfMemory);
}

// Of the same batch twice: its logits, and the tokens of some rows beside the logits of the others.
TEST(DeviceDecoderDraws, WhatSampleDrawsOfTheLogits) {
  OnDevice model(golden_decoder("llama"));
  const auto vocabulary = static_cast<size_t>(model.decoder.config().vocabulary);
  const std::vector<int32_t> tokens = {3, 14, 15, 9}, rows = {0, 1, 2, 3};
  const auto run = [&](const DeviceDecoderOutputs& outputs) {
    KvSequence sequence = model.cache->new_sequence();
    const DecoderChunk chunk{&sequence, tokens};
    DecoderBatch batch;
    batch.chunks = {&chunk, 1};
    batch.logits_rows = rows;
    return model.decoder.forward(batch, outputs, *model.scratch);
  };
  std::vector<float> want(rows.size() * vocabulary), got(want.size(), -1.0f);
  DeviceDecoderOutputs outputs;
  outputs.logits = want.data();
  demand(run(outputs));
  DeviceDraws draws(static_cast<int64_t>(vocabulary));
  std::vector<int32_t> drawn(kDraws), sampled;
  for (const int32_t row : {0, 2, 3}) {
    SamplingParameters p;
    p.top_k = 20 * row;
    p.presence_penalty = 0.5f;
    p.logit_bias = {{row, 1.5f}};
    SamplingInput input;
    input.history = tokens;
    input.step = static_cast<uint64_t>(row);
    ASSERT_TRUE(draws.add(row, p, input));
    input.logits = std::span(want).subspan(static_cast<size_t>(row) * vocabulary, vocabulary);
    testing::Workspace workspace(
        sampling_workspace_bytes(static_cast<int64_t>(vocabulary), static_cast<int64_t>(tokens.size())));
    sampled.push_back(take(sample(p, input, workspace.span())));
  }
  outputs.logits = got.data();
  outputs.draws = &draws;
  outputs.tokens = drawn.data();
  demand(run(outputs));
  EXPECT_EQ(drawn, sampled);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], i / vocabulary == 1 ? want[i] : -1.0f) << i;
  ASSERT_TRUE(draws.add(1, {}, {}));
  EXPECT_EQ(run(outputs).code(), StatusCode::kOutOfMemory);
}

// A pass that is a graph does not ask between layers whether to stop.
TEST(DeviceDecoderGraphs, ServeTheNextScratchOverTheSameMemory) {
  const std::string path = golden_decoder("llama") + ".gguf";
  OnDevice model(path);
  const DeviceDecoder::Limits limits{.tokens = 4, .logits_rows = 1, .page_entries = 4};
  const auto bytes = static_cast<uint64_t>(model.decoder.scratch_bytes(limits));
  const DeviceBuffer memory = take(DeviceBuffer::allocate(model.stream, bytes, "scratch"));
  // The likeliest token after one, and how often its pass asked.
  const auto next = [&](DeviceDecoder::Scratch& scratch) {
    int asked = 0;
    const int32_t token = 5, row = 0;
    KvSequence sequence = model.cache->new_sequence();
    const DecoderChunk chunk{&sequence, {&token, 1}};
    RankedValue best{};
    DecoderBatch batch;
    batch.chunks = {&chunk, 1};
    batch.logits_rows = {&row, 1};
    DeviceDecoderOutputs outputs;
    outputs.top = &best, outputs.k = 1;
    demand(model.decoder.forward(batch, outputs, scratch,
                                 {[](void* count) {
                                    ++*static_cast<int*>(count);
                                    return false;
                                  },
                                  &asked}));
    return std::pair(best.place, asked);
  };
  const auto scratch_on = [&](const DeviceStream& stream) {
    return take(model.decoder.make_scratch(stream, limits, DeviceBuffer::borrow(memory.data(), bytes)));
  };
  std::pair<int32_t, int> first, graph;
  {
    DeviceDecoder::Scratch scratch = scratch_on(model.stream);
    first = next(scratch);
    next(scratch);
    graph = next(scratch);
  }
  EXPECT_EQ(graph.first, first.first);
  EXPECT_LT(graph.second, first.second);
  const DeviceStream other = take(DeviceStream::create(model.device));
  {
    DeviceDecoder::Scratch scratch = scratch_on(other);
    EXPECT_EQ(next(scratch), graph);
  }
  // Weights that come again may lie elsewhere.
  model.decoder.unload();
  demand(model.decoder.load(model.stream));
  DeviceDecoder::Scratch scratch = scratch_on(other);
  EXPECT_EQ(next(scratch), first);
}

TEST(DeviceDecoderRefuses, WhatItCannotDo) {
  OnDevice model(golden_decoder("llama"), KvFormat::kF32, 4);
  KvSequence sequence = model.cache->new_sequence();
  const std::vector<int32_t> tokens = {1, 2, 3, 4, 5};
  const DecoderChunk chunk{&sequence, tokens};
  DecoderBatch batch;
  batch.chunks = {&chunk, 1};
  const Status large = model.decoder.forward(batch, {}, *model.scratch);
  EXPECT_EQ(large.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(sequence.length(), 0);
  EXPECT_EQ(model.cache->n_free_pages(), kPages);
}

TEST(DeviceDecoderRefuses, ToGoOnWhenAskedToStop) {
  OnDevice model(golden_decoder("llama"));
  KvSequence sequence = model.cache->new_sequence();
  const std::vector<int32_t> tokens = {1, 2, 3};
  const DecoderChunk chunk{&sequence, tokens};
  DecoderBatch batch;
  batch.chunks = {&chunk, 1};
  const StopRequest stop{[](void*) { return true; }, nullptr};
  EXPECT_EQ(model.decoder.forward(batch, {}, *model.scratch, stop).code(), StatusCode::kCancelled);
  EXPECT_EQ(model.cache->n_free_pages(), kPages);
}

}  // namespace
}  // namespace weft
