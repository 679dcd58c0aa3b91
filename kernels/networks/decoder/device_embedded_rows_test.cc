// Rows in the place of tokens' embeddings on a device, simt:0 unless WEFT_TEST_DEVICE names another, against the CPU: from either memory,
// however a prompt is cut or batched, with pictures that see themselves.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "kernels/networks/decoder/device_decoder.h"
#include "kernels/networks/decoder/testing/reduced_models.h"
#include "kernels/networks/testing/golden.h"
#include "kernels/testing/device_name.h"
#include "kernels/testing/random.h"
#include "kernels/testing/workspace.h"

namespace weft {
namespace {

using testing::demand;
using testing::error;
using testing::take;

constexpr int64_t kTokens = 40, kPicture = 5,
                  kRows = 24;  // the picture's place; longer than gemma3's window of 9
constexpr int64_t kPages = 8;
constexpr double kTolerance = 1e-4;

std::vector<int32_t> prompt() {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < kTokens; ++i) tokens.push_back((i * 29 + 3) % 64);
  return tokens;
}

/// Logits of all tokens of the prompt, cut at the given places, the picture's rows at `rows`. forward: of a batch into logits.
template <typename Forward>
std::vector<float> logits_of(KvSequence sequence, const DecoderConfig& c, const EmbeddedRows& rows,
                             std::vector<int64_t> cuts, const Forward& forward) {
  const std::vector<int32_t> tokens = prompt();
  std::vector<float> all(static_cast<size_t>(kTokens * c.vocabulary), NAN);
  cuts.push_back(kTokens);
  int64_t begin = 0;
  for (const int64_t end : cuts) {
    const int64_t first = std::max(begin, kPicture), last = std::min(end, kPicture + kRows);
    const EmbeddedRows part{first - begin, last - first, rows.rows + (first - kPicture) * c.width,
                            rows.memory};
    DecoderChunk chunk{
        &sequence, std::span(tokens).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin))};
    if (first < last) chunk.embedded = {&part, 1};
    std::vector<int32_t> wanted;
    for (int64_t i = begin; i < end; ++i) wanted.push_back(static_cast<int32_t>(i - begin));
    demand(forward({.chunks = {&chunk, 1}, .logits_rows = wanted}, all.data() + begin * c.vocabulary));
    begin = end;
  }
  return all;
}

struct Model {
  /// weights_bytes: of the device's memory, at most; 0: all that they take.
  explicit Model(const std::string& name, int64_t weights_bytes = 0)
      : file(take(WeightFile::open(testing::golden_decoder(name)))),
        stream(take(DeviceStream::create(take(ComputeDevice::open(testing::device_name()))))),
        decoder(take(DeviceDecoder::open(file))),
        rows(testing::random_normal(kRows * decoder.config().width, 5)) {
    if (weights_bytes > 0) demand(decoder.offload(weights_bytes));
    demand(decoder.load(stream));
    const KvLayout layout = decoder.kv_layout(KvFormat::kF32);
    pages = memory(kPages * layout.page_bytes());
    cache.emplace(take(device_kv_cache(layout, pages, stream)));
    scratch.emplace(take(decoder.make_scratch(
        stream, {.tokens = 2 * kTokens, .logits_rows = 2 * kTokens, .page_entries = kPages})));
    rows_on_device = memory(static_cast<int64_t>(rows.size()) * 4);
    demand(stream.copy_to_device(rows_on_device.data(), rows.data(), rows.size() * 4));
  }
  DeviceBuffer memory(int64_t bytes) const {
    return take(DeviceBuffer::allocate(stream, static_cast<uint64_t>(bytes), "test"));
  }
  EmbeddedRows picture(RowsMemory where) const {
    const float* on_device = reinterpret_cast<const float*>(rows_on_device.data());
    return {kPicture, kRows, where == RowsMemory::kHost ? rows.data() : on_device, where};
  }

  std::vector<float> logits(RowsMemory where, std::vector<int64_t> cuts = {}) {
    return logits_of(cache->new_sequence(), decoder.config(), picture(where), std::move(cuts),
                     [&](const DecoderBatch& batch, float* to) {
                       DeviceDecoderOutputs outputs;
                       outputs.logits = to;
                       return decoder.forward(batch, outputs, *scratch);
                     });
  }
  std::vector<float> logits_on_cpu() const {
    testing::Threads threads(2);
    HeapWeightStore store;
    Decoder on_cpu = take(Decoder::open(file));
    demand(on_cpu.load(store, "golden", threads.executor()));
    const KvLayout layout = on_cpu.kv_layout(KvFormat::kF32);
    KvCache own = take(KvCache::create(layout, kPages * layout.page_bytes()));
    testing::Workspace workspace(on_cpu.workspace_bytes(kTokens));
    return logits_of(own.new_sequence(), on_cpu.config(), picture(RowsMemory::kHost), {},
                     [&](const DecoderBatch& batch, float* to) {
                       return on_cpu.forward(batch, {.logits = to}, workspace.span(), threads.executor());
                     });
  }

  WeightFile file;
  DeviceStream stream;
  DeviceDecoder decoder;
  std::vector<float> rows;
  DeviceBuffer rows_on_device, pages;
  std::optional<KvCache> cache;
  std::optional<DeviceDecoder::Scratch> scratch;
};

// gpt2 adds learned positions to the rows too; gemma3's pictures see themselves, within windows and without.
class DeviceDecoderEmbeddedRows : public ::testing::TestWithParam<const char*> {};

TEST_P(DeviceDecoderEmbeddedRows, GiveWhatTheCpuGives) {
  Model model(GetParam());
  const std::vector<float> want = model.logits_on_cpu();
  const std::vector<float> whole = model.logits(RowsMemory::kDevice);
  EXPECT_LT(error(whole, want), kTolerance);
  EXPECT_EQ(model.logits(RowsMemory::kHost), whole);
  EXPECT_LT(error(model.logits(RowsMemory::kDevice, {2, kPicture + kRows, 33}), want), kTolerance);
  if (model.decoder.config().pictures_see_themselves) return;
  // In parts of few rows, which other kernels serve.
  EXPECT_LT(error(model.logits(RowsMemory::kHost, {7, 8, 20, 31}), want), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, DeviceDecoderEmbeddedRows, ::testing::Values("llama", "gemma3", "gpt2"),
                         [](const auto& model) { return std::string(model.param); });

TEST(DeviceDecoderEmbedded, RowsStandBesideOtherSequences) {
  for (const char* name : {"llama", "gemma3"}) {
    SCOPED_TRACE(name);
    Model model(name);
    const std::vector<float> want = model.logits_on_cpu();
    const std::vector<int32_t> tokens = prompt();
    KvSequence first = model.cache->new_sequence(), sequence = model.cache->new_sequence();
    const EmbeddedRows picture = model.picture(RowsMemory::kDevice),
                       two[] = {{1, 3, picture.rows, RowsMemory::kDevice}, {5, 2, model.rows.data()}};
    const DecoderChunk chunks[] = {{&first, std::span(tokens).first(9), two},
                                   {&sequence, tokens, {&picture, 1}}};
    std::vector<int32_t> wanted;
    for (int32_t i = 0; i < kTokens; ++i) wanted.push_back(9 + i);
    std::vector<float> together(want.size());
    DeviceDecoderOutputs outputs;
    outputs.logits = together.data();
    demand(model.decoder.forward({.chunks = chunks, .logits_rows = wanted}, outputs, *model.scratch));
    EXPECT_LT(error(together, want), kTolerance);
  }
}

// A pass of the same shape with other rows is no graph of the first one.
TEST(DeviceDecoderEmbedded, RowsAreReadAgainInEachPass) {
  Model model("llama");
  const std::vector<float> before = model.logits(RowsMemory::kHost);
  EXPECT_EQ(model.logits(RowsMemory::kHost), before);
  for (float& value : model.rows) value = -value;
  const std::vector<float> after = model.logits(RowsMemory::kHost);
  EXPECT_NE(after, before);
  EXPECT_LT(error(after, model.logits_on_cpu()), kTolerance);
}

TEST(DeviceDecoderEmbedded, RowsGoThroughLayersThatWaitOnTheCpu) {
  Model whole("gemma3");
  Model parts("gemma3", whole.decoder.weights_bytes() - 1);
  EXPECT_GT(parts.decoder.offloaded_bytes(), 0);
  EXPECT_EQ(parts.logits(RowsMemory::kDevice), whole.logits(RowsMemory::kDevice));
}

TEST(DeviceDecoderEmbedded, RowsOfADeviceAreNotForTheCpu) {
  const Model model("llama");
  testing::Threads threads(1);
  HeapWeightStore store;
  Decoder on_cpu = take(Decoder::open(model.file));
  demand(on_cpu.load(store, "golden", threads.executor()));
  const KvLayout layout = on_cpu.kv_layout(KvFormat::kF32);
  KvCache cache = take(KvCache::create(layout, kPages * layout.page_bytes()));
  KvSequence sequence = cache.new_sequence();
  const std::vector<int32_t> tokens = prompt();
  const EmbeddedRows picture = model.picture(RowsMemory::kDevice);
  const DecoderChunk chunk{&sequence, tokens, {&picture, 1}};
  testing::Workspace workspace(on_cpu.workspace_bytes(kTokens));
  const Status refused = on_cpu.forward({.chunks = {&chunk, 1}}, {}, workspace.span(), threads.executor());
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(sequence.length(), 0);
}

}  // namespace
}  // namespace weft
