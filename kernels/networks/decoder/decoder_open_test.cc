// What Decoder::open() and forward() refuse, and how they say it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "kernels/networks/decoder/decoder.h"
#include "kernels/networks/decoder/lora.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/workspace.h"
#include "modalities/weights/testing/model_file_writer.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using weft::testing::GgufWriter;

std::string floats(size_t count) { return std::string(count * 4, '\0'); }

// One layer of width 8, two heads, vocabulary 5; `change` may leave out or replace keys and tensors by name.
struct TinyLlama {
  std::string architecture = "llama";
  uint32_t heads = 2, kv_heads = 1, layers = 1, width = 8;
  float base = 10000;
  std::string left_out = {};  // a tensor
  std::string scaling = {};   // rope.scaling.type
  std::string extra = {};     // one more tensor
  std::vector<uint64_t> down = {8, 16};

  std::filesystem::path save(const std::string& name) const {
    GgufWriter writer;
    writer.add("general.architecture", architecture);
    const std::string p = architecture + ".";
    writer.add_u32(p + "block_count", layers).add_u32(p + "context_length", 64);
    writer.add_u32(p + "embedding_length", width).add_u32(p + "feed_forward_length", 16);
    writer.add_u32(p + "attention.head_count", heads).add_u32(p + "attention.head_count_kv", kv_heads);
    writer.add_f32(p + "attention.layer_norm_rms_epsilon", 1e-5f).add_f32(p + "rope.freq_base", base);
    if (!scaling.empty()) writer.add(p + "rope.scaling.type", scaling);
    const auto tensor = [&](const std::string& tensor_name, std::vector<uint64_t> shape) {
      if (tensor_name == left_out) return;
      size_t count = 1;
      for (uint64_t extent : shape) count *= extent;
      writer.add_tensor(tensor_name, WeightFormat::kF32, shape, floats(count));
    };
    tensor("token_embd.weight", {5, 8});
    tensor("output_norm.weight", {8});
    tensor("blk.0.attn_norm.weight", {8});
    tensor("blk.0.attn_q.weight", {8, 8});
    tensor("blk.0.attn_k.weight", {4, 8});
    tensor("blk.0.attn_v.weight", {4, 8});
    tensor("blk.0.attn_output.weight", {8, 8});
    tensor("blk.0.ffn_norm.weight", {8});
    tensor("blk.0.ffn_gate.weight", {16, 8});
    tensor("blk.0.ffn_up.weight", {16, 8});
    tensor("blk.0.ffn_down.weight", down);
    if (!extra.empty()) tensor(extra, {8});
    const std::filesystem::path path = weft::testing::fresh_folder("decoder_open_" + name) / "tiny.gguf";
    writer.save(path);
    return path;
  }
};

std::string refusal(const TinyLlama& model, const std::string& name, StatusCode code) {
  Result<WeightFile> file = WeightFile::open(model.save(name));
  if (!file.ok()) return "not opened: " + to_string(file.error());
  Result<Decoder> decoder = Decoder::open(*file);
  if (decoder.ok()) return "accepted";
  EXPECT_EQ(decoder.code(), code) << to_string(decoder.error());
  return to_string(decoder.error());
}

TEST(DecoderOpen, NamesWhatIsWrong) {
  EXPECT_THAT(refusal({.architecture = "frobnicator"}, "architecture", StatusCode::kUnsupported),
              AllOf(HasSubstr("tiny.gguf"), HasSubstr("frobnicator"), HasSubstr("gemma3")));
  EXPECT_THAT(refusal({.left_out = "blk.0.attn_k.weight"}, "missing", StatusCode::kNotFound),
              AllOf(HasSubstr("tiny.gguf"), HasSubstr("blk.0.attn_k.weight")));
  EXPECT_THAT(refusal({.left_out = "token_embd.weight"}, "embedding", StatusCode::kNotFound),
              HasSubstr("token_embd.weight"));
  EXPECT_THAT(refusal({.layers = 2}, "layers", StatusCode::kNotFound), HasSubstr("blk.1.attn_norm.weight"));
  EXPECT_THAT(refusal({.down = {16, 8}}, "shape", StatusCode::kInvalidShape),
              AllOf(HasSubstr("blk.0.ffn_down.weight"), HasSubstr("[8, 16]"), HasSubstr("[16, 8]")));
  EXPECT_THAT(refusal({.extra = "blk.0.attn_gate.weight"}, "extra", StatusCode::kUnsupported),
              HasSubstr("blk.0.attn_gate.weight"));
  EXPECT_THAT(refusal({.scaling = "longrope"}, "scaling", StatusCode::kUnsupported),
              AllOf(HasSubstr("rope.scaling.type"), HasSubstr("longrope")));
}

TEST(DecoderOpen, RefusesValuesOutOfRange) {
  EXPECT_THAT(refusal({.heads = 0}, "heads", StatusCode::kCorruptData),
              HasSubstr("llama.attention.head_count"));
  EXPECT_THAT(refusal({.heads = 2, .kv_heads = 3}, "kv", StatusCode::kUnsupported), HasSubstr("KV heads"));
  EXPECT_THAT(refusal({.heads = 9}, "head_dim", StatusCode::kUnsupported), HasSubstr("size of a head"));
  EXPECT_THAT(refusal({.layers = 4294967295u}, "block_count", StatusCode::kCorruptData),
              HasSubstr("llama.block_count"));
  EXPECT_THAT(refusal({.layers = 5000}, "too_many", StatusCode::kCorruptData),
              HasSubstr("llama.block_count"));
  EXPECT_THAT(refusal({.width = 2000000000u}, "width", StatusCode::kUnsupported), HasSubstr("out of range"));
  EXPECT_THAT(refusal({.base = 0}, "base", StatusCode::kCorruptData), HasSubstr("rope.freq_base"));
  EXPECT_THAT(refusal({.architecture = "qwen2"}, "biases", StatusCode::kNotFound), HasSubstr("attn_q.bias"));
}

class DecoderForward : public ::testing::Test {
 protected:
  DecoderForward()
      : threads_(2),
        file_(std::move(*WeightFile::open("assets/golden/decoder/gpt2"))),
        decoder_(std::move(*Decoder::open(file_))),
        cache_(std::move(*KvCache::create(decoder_.kv_layout(KvFormat::kF32),
                                          3 * decoder_.kv_layout(KvFormat::kF32).page_bytes()))) {
    EXPECT_TRUE(decoder_.load(store_, "test", threads_.executor()).ok());
    logits_.resize(64);
  }

  Status forward(KvSequence& sequence, std::vector<int32_t> tokens, std::vector<int32_t> rows,
                 const StopRequest& stop = {}) {
    const DecoderChunk chunk{&sequence, tokens};
    return decoder_.forward({.chunks = {&chunk, 1}, .logits_rows = rows}, {.logits = logits_.data()},
                            workspace_, threads_.executor(), stop);
  }

  weft::testing::Threads threads_;
  WeightFile file_;
  Decoder decoder_;
  HeapWeightStore store_;
  KvCache cache_;
  weft::testing::Workspace memory_{decoder_.workspace_bytes(64)};
  std::span<std::byte> workspace_ = memory_.span();
  std::vector<float> logits_;
};

TEST_F(DecoderForward, RefusesWithoutTouchingTheSequence) {
  KvSequence sequence = cache_.new_sequence();
  EXPECT_EQ(forward(sequence, {1, 64}, {0}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(forward(sequence, {-1}, {0}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(forward(sequence, {}, {}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(forward(sequence, {1, 2}, {2}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(forward(sequence, {1, 2}, {1, 1}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(forward(sequence, std::vector<int32_t>(65, 1), {0}).code(), StatusCode::kOutOfRange);
  workspace_ = workspace_.first(100);
  EXPECT_EQ(forward(sequence, {1}, {0}).code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(sequence.length(), 0);
  EXPECT_EQ(cache_.n_free_pages(), 3);
}

TEST_F(DecoderForward, GivesPagesBackWhenTheCacheIsFull) {
  KvSequence a = cache_.new_sequence(), b = cache_.new_sequence();
  const std::vector<int32_t> tokens(40, 3);
  ASSERT_TRUE(forward(a, tokens, {39}).ok());
  const DecoderChunk chunks[] = {{&a, std::span(tokens).first(2)}, {&b, tokens}};
  EXPECT_EQ(decoder_.forward({.chunks = chunks}, {}, workspace_, threads_.executor()).code(),
            StatusCode::kOutOfMemory);
  EXPECT_EQ(a.length(), 40);
  EXPECT_EQ(b.length(), 0);
  EXPECT_EQ(cache_.n_free_pages(), 1);
}

TEST_F(DecoderForward, StopsOnRequestAndKeepsTheSequence) {
  KvSequence sequence = cache_.new_sequence();
  ASSERT_TRUE(forward(sequence, {1, 2, 3}, {2}).ok());
  int polls = 0;
  const StopRequest stop{[](void* context) { return ++*static_cast<int*>(context) == 2; }, &polls};
  EXPECT_EQ(forward(sequence, {4, 5}, {1}, stop).code(), StatusCode::kCancelled);
  EXPECT_EQ(polls, 2);
  EXPECT_EQ(sequence.length(), 3);
  const std::vector<float> fresh = [&] {
    KvSequence other = cache_.new_sequence();
    EXPECT_TRUE(forward(other, {1, 2, 3, 4, 5}, {4}).ok());
    return logits_;
  }();
  ASSERT_TRUE(forward(sequence, {4, 5}, {1}).ok());
  EXPECT_EQ(logits_, fresh);
}

TEST_F(DecoderForward, RefusesSequencesOfAnotherLayoutAndTwiceTheSame) {
  KvCache other = std::move(*KvCache::create({3, 4, 8, KvFormat::kF32}, 1 << 20));
  KvSequence foreign = other.new_sequence(), own = cache_.new_sequence();
  EXPECT_EQ(forward(foreign, {1}, {0}).code(), StatusCode::kInvalidArgument);
  const std::vector<int32_t> tokens = {1};
  const DecoderChunk chunks[] = {{&own, tokens}, {&own, tokens}};
  EXPECT_EQ(decoder_.forward({.chunks = chunks}, {}, workspace_, threads_.executor()).code(),
            StatusCode::kInvalidArgument);
}

// An adapter of rank 1 for one layer of the tiny model, with halves and shapes as given.
std::string adapter_refusal(const std::string& name, const std::string& target, std::vector<uint64_t> a,
                            std::vector<uint64_t> b, const std::string& architecture = "llama") {
  Result<WeightFile> model = WeightFile::open(TinyLlama{}.save("adapter_model_" + name));
  Result<Decoder> decoder = Decoder::open(*model);
  if (!decoder.ok()) return to_string(decoder.error());
  GgufWriter writer;
  writer.add("general.architecture", architecture).add("general.type", "adapter").add("adapter.type", "lora");
  writer.add_f32("adapter.lora.alpha", 2);
  if (!a.empty()) writer.add_tensor(target + ".weight.lora_a", WeightFormat::kF32, a, floats(a[0] * a[1]));
  if (!b.empty()) writer.add_tensor(target + ".weight.lora_b", WeightFormat::kF32, b, floats(b[0] * b[1]));
  const std::filesystem::path path = weft::testing::fresh_folder("adapter_" + name) / "adapter.gguf";
  writer.save(path);
  Result<WeightFile> file = WeightFile::open(path);
  if (!file.ok()) return to_string(file.error());
  weft::testing::Threads threads(1);
  Result<LoraAdapter> adapter = LoraAdapter::load(*decoder, *file, threads.executor());
  return adapter.ok() ? "accepted" : to_string(adapter.error());
}

TEST(LoraAdapter, SaysWhatDoesNotFit) {
  EXPECT_EQ(adapter_refusal("right", "blk.0.ffn_down", {1, 16}, {8, 1}), "accepted");
  EXPECT_THAT(adapter_refusal("shape", "blk.0.ffn_down", {1, 8}, {8, 1}),
              AllOf(HasSubstr("blk.0.ffn_down.weight.lora_a"), HasSubstr("[1, 16]")));
  EXPECT_THAT(adapter_refusal("half", "blk.0.ffn_down", {1, 16}, {}), HasSubstr("one half"));
  EXPECT_THAT(adapter_refusal("target", "token_embd", {1, 8}, {5, 1}), HasSubstr("token_embd"));
  EXPECT_THAT(adapter_refusal("layer", "blk.7.ffn_down", {1, 16}, {8, 1}), HasSubstr("blk.7.ffn_down"));
  EXPECT_THAT(adapter_refusal("architecture", "blk.0.ffn_down", {1, 16}, {8, 1}, "falcon"),
              HasSubstr("another architecture"));
  EXPECT_THAT(adapter_refusal("empty", "blk.0.ffn_down", {}, {}), HasSubstr("no low-rank pair"));
}

}  // namespace
}  // namespace weft
