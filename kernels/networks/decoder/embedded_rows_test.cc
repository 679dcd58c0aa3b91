// Rows in the place of tokens' embeddings: the same bits as tokens where a row is a token's, a picture's tokens see each other where
// the architecture says so, and however a prompt is cut or batched its bits stay.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/networks/decoder/decoder.h"
#include "kernels/networks/decoder/testing/reduced_models.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/workspace.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kTokens = 40, kPicture = 5,
                  kRows = 24;  // the picture's place; longer than gemma3's window of 9

struct Model {
  explicit Model(const std::string& name, uint32_t n_threads = 2)
      : threads(n_threads),
        file(testing::take(WeightFile::open(testing::golden_decoder(name)))),
        decoder(testing::take(Decoder::open(file))) {
    testing::demand(decoder.load(store, "golden", threads.executor()));
    for (int32_t i = 0; i < kTokens; ++i) tokens.push_back((i * 29 + 3) % 64);
  }
  // The rows that the picture's tokens would have.
  std::vector<float> rows_of_tokens() const {
    const WeightTensor& table = *testing::take(file.tensor("model.embed_tokens.weight"));
    const auto width = static_cast<size_t>(decoder.config().width);
    std::vector<float> rows(kRows * width);
    for (size_t i = 0; i < kRows; ++i)
      std::memcpy(rows.data() + i * width, table.data + static_cast<size_t>(tokens[kPicture + i]) * width * 4,
                  width * 4);
    for (float& value : rows) value *= decoder.config().embedding_scale;
    return rows;
  }
  std::vector<float> random_rows(uint64_t seed = 5) const {
    return testing::random_normal(kRows * decoder.config().width, seed);
  }

  testing::Threads threads;
  WeightFile file;
  Decoder decoder;
  HeapWeightStore store;
  std::vector<int32_t> tokens;
};

// Logits of all tokens, the prompt cut at the given places. rows: the picture's, or none.
std::vector<float> logits(const Model& model, const std::vector<float>& rows,
                          std::vector<int64_t> cuts = {}) {
  const KvLayout layout = model.decoder.kv_layout(KvFormat::kF32);
  KvCache cache = testing::take(KvCache::create(layout, 8 * layout.page_bytes()));
  KvSequence sequence = cache.new_sequence();
  const int64_t vocabulary = model.decoder.config().vocabulary, width = model.decoder.config().width;
  std::vector<float> all(static_cast<size_t>(kTokens * vocabulary));
  testing::Workspace workspace(model.decoder.workspace_bytes(kTokens));
  cuts.push_back(kTokens);
  int64_t begin = 0;
  for (const int64_t end : cuts) {
    const int64_t first = std::max(begin, kPicture), last = std::min(end, kPicture + kRows);
    const EmbeddedRows picture{first - begin, last - first, rows.data() + (first - kPicture) * width};
    DecoderChunk chunk{
        &sequence,
        std::span(model.tokens).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin))};
    if (!rows.empty() && first < last) chunk.embedded = {&picture, 1};
    std::vector<int32_t> wanted;
    for (int64_t i = begin; i < end; ++i) wanted.push_back(static_cast<int32_t>(i - begin));
    testing::demand(model.decoder.forward({.chunks = {&chunk, 1}, .logits_rows = wanted},
                                          {.logits = all.data() + begin * vocabulary}, workspace.span(),
                                          model.threads.executor()));
    begin = end;
  }
  return all;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * 4) == 0;
}

TEST(EmbeddedRows, OfATokensEmbeddingGiveTheTokensBits) {
  for (const char* name : {"llama", "mistral", "qwen2"}) {
    const Model model(name);
    EXPECT_TRUE(same_bits(logits(model, model.rows_of_tokens()), logits(model, {}))) << name;
  }
  const Model gemma("gemma3");  // whose pictures see themselves
  EXPECT_FALSE(same_bits(logits(gemma, gemma.rows_of_tokens()), logits(gemma, {})));
}

TEST(EmbeddedRows, BitsDoNotDependOnChunksOrThreads) {
  for (const bool whole : {false, true}) {
    const char* name = whole ? "gemma3" : "llama";
    const Model model(name);
    const std::vector<float> rows = model.random_rows(), want = logits(model, rows);
    for (float value : want) ASSERT_TRUE(std::isfinite(value));
    EXPECT_TRUE(same_bits(logits(model, rows, {kPicture, kPicture + kRows, 33}), want)) << name;
    EXPECT_TRUE(same_bits(logits(model, rows, {2, 32}), want)) << name;
    if (!whole) {
      EXPECT_TRUE(same_bits(logits(model, rows, {7, 8, 28, 30}), want)) << name;
    }
    EXPECT_TRUE(same_bits(logits(Model(name, 1), rows), want)) << name;
    EXPECT_TRUE(same_bits(logits(Model(name, 3), rows, {kPicture}), want)) << name;
  }
}

TEST(EmbeddedRows, ReachWhatComesBehindThemAndInAPictureAllOfIt) {
  for (const bool whole : {false, true}) {
    const Model model(whole ? "gemma3" : "llama");
    std::vector<float> rows = model.random_rows();
    const std::vector<float> before = logits(model, rows);
    rows.back() += 1;  // of the picture's last token
    const std::vector<float> after = logits(model, rows);
    const auto vocabulary = static_cast<size_t>(model.decoder.config().vocabulary);
    for (size_t t = 0; t < kTokens; ++t) {
      const bool reached = static_cast<int64_t>(t) >= (whole ? kPicture : kPicture + kRows - 1);
      EXPECT_EQ(
          std::memcmp(before.data() + t * vocabulary, after.data() + t * vocabulary, vocabulary * 4) != 0,
          reached)
          << t;
    }
  }
}

TEST(EmbeddedRows, BitsDoNotDependOnTheBatch) {
  for (const char* name : {"llama", "gemma3"}) {
    const Model model(name);
    const std::vector<float> rows = model.random_rows(), other_rows = model.random_rows(6);
    const std::vector<float> alone = logits(model, rows);
    const KvLayout layout = model.decoder.kv_layout(KvFormat::kF32);
    KvCache cache = testing::take(KvCache::create(layout, 8 * layout.page_bytes()));
    KvSequence first = cache.new_sequence(), sequence = cache.new_sequence(), last = cache.new_sequence();
    const EmbeddedRows picture{kPicture, kRows, rows.data()},
        two[] = {{1, 3, other_rows.data()}, {5, 2, rows.data()}};
    const std::span<const int32_t> tokens(model.tokens);
    const DecoderChunk chunks[] = {
        {&first, tokens.first(9), two}, {&sequence, tokens, {&picture, 1}}, {&last, tokens.first(4)}};
    std::vector<int32_t> wanted;
    for (int32_t i = 0; i < kTokens; ++i) wanted.push_back(9 + i);
    std::vector<float> together(alone.size());
    testing::Workspace workspace(model.decoder.workspace_bytes(kTokens + 13));
    testing::demand(model.decoder.forward({.chunks = chunks, .logits_rows = wanted},
                                          {.logits = together.data()}, workspace.span(),
                                          model.threads.executor()));
    EXPECT_TRUE(same_bits(together, alone)) << name;
  }
}

TEST(EmbeddedRows, OutOfTheirChunkAreRefused) {
  const Model model("llama");
  const std::vector<float> rows = model.random_rows();
  const KvLayout layout = model.decoder.kv_layout(KvFormat::kF32);
  KvCache cache = testing::take(KvCache::create(layout, 8 * layout.page_bytes()));
  testing::Workspace workspace(model.decoder.workspace_bytes(kTokens));
  std::vector<int32_t> tokens = model.tokens;
  const auto refusal = [&](std::vector<EmbeddedRows> embedded) {
    KvSequence sequence = cache.new_sequence();
    const DecoderChunk chunk{&sequence, tokens, embedded};
    const Status status =
        model.decoder.forward({.chunks = {&chunk, 1}}, {}, workspace.span(), model.threads.executor());
    EXPECT_EQ(sequence.length(), status.ok() ? kTokens : 0);
    return status.ok() ? std::string("accepted") : to_string(status.error());
  };
  const char* kApart = "embedded rows must ascend within their chunk";
  EXPECT_EQ(refusal({{kTokens - kRows, kRows, rows.data()}}), "accepted");
  EXPECT_THAT(refusal({{kTokens - kRows + 1, kRows, rows.data()}}), HasSubstr(kApart));
  EXPECT_THAT(refusal({{-1, 2, rows.data()}}), HasSubstr(kApart));
  EXPECT_THAT(refusal({{INT64_MAX, 2, rows.data()}}), HasSubstr(kApart));
  EXPECT_THAT(refusal({{1, INT64_MAX, rows.data()}}), HasSubstr(kApart));
  EXPECT_THAT(refusal({{1, 0, rows.data()}}), HasSubstr(kApart));
  EXPECT_THAT(refusal({{1, 2, nullptr}}), HasSubstr(kApart));
  EXPECT_THAT(refusal({{1, 3, rows.data()}, {3, 2, rows.data()}}), HasSubstr(kApart));
  tokens[7] = -200;  // a placeholder that is no token: read where no row stands
  EXPECT_THAT(refusal({}), HasSubstr("a token id is out of range"));
  EXPECT_EQ(refusal({{6, 3, rows.data()}}), "accepted");
  EXPECT_THAT(refusal({{8, 3, rows.data()}}), HasSubstr("a token id is out of range"));
}

}  // namespace
}  // namespace weft
