// What `weft bench kernels attention` measures: one layer of SmolLM2 (9 heads, 3 KV heads of 64) and one of Gemma 3 270M (4 heads,
// 1 KV head of 256): the last token of 4096, and the last 512; these also with a bias.
#include <cstdlib>
#include <memory>

#include "kernels/bench/kernel_case.h"
#include "kernels/ops/attention/attention.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

constexpr int64_t kDepth = 4096;

struct Model {
  int64_t heads, kv_heads, head_dim;
};

enum class Bias : uint8_t { kNone, kEachHead };

struct Layer {
  Layer(const Model& model, KvFormat format, int64_t n_rows, Bias with) : memory(nullptr, &std::free) {
    const auto [heads, kv_heads, head_dim] = model;
    shape.n_heads = heads;
    shape.n_kv_heads = kv_heads;
    shape.head_dim = head_dim;
    shape.format = format;
    shape.scale = 0.1f;
    const int64_t page_bytes = kv_heads * 2 * kv_block_bytes(format, head_dim), width = heads * head_dim;
    memory.reset(std::aligned_alloc(64, static_cast<size_t>(kDepth / kPageTokens * page_bytes)));
    for (int64_t p = 0; p < kDepth / kPageTokens; ++p)
      pages.push_back(static_cast<std::byte*>(memory.get()) + p * page_bytes);
    const std::vector<float> k = testing::random_normal(kv_heads * head_dim, 1);
    for (int64_t t = 0; t < kDepth; ++t) store_kv(shape, k.data(), k.data(), pages.data(), t);
    q = testing::random_normal(n_rows * width, 3);
    y.resize(q.size());
    if (with == Bias::kEachHead) bias = testing::random_normal(heads * kDepth, 4);
    shape.bias_head_stride = kDepth;
    for (int64_t r = 0; r < n_rows; ++r) {
      rows.push_back({q.data() + r * width, y.data() + r * width, pages.data(), kDepth - n_rows + r,
                      with == Bias::kEachHead ? bias.data() : nullptr});
    }
  }

  void run(Executor executor) {
    SharedWork work;
    executor.run([&](Team team) {
      attention_share(shape, rows.data(), static_cast<int64_t>(rows.size()), work, team.thread(),
                      team.n_threads());
    });
  }

  AttentionShape shape;
  std::unique_ptr<void, void (*)(void*)> memory;
  std::vector<std::byte*> pages;
  std::vector<float> q, y, bias;
  std::vector<AttentionRow> rows;
};

KernelCase attend(const Model& model, KvFormat format, int64_t n_rows, Bias bias) {
  KernelCase c;
  const std::string heads = std::to_string(model.heads), kv_heads = std::to_string(model.kv_heads),
                    head_dim = std::to_string(model.head_dim), rows = std::to_string(n_rows);
  c.name = heads + "/" + kv_heads + "x" + head_dim + " " + to_string(format) + ", " + rows + " of " +
           std::to_string(kDepth) + (bias == Bias::kNone ? "" : ", bias");
  c.bytes =
      static_cast<double>(kDepth / kPageTokens * model.kv_heads * 2 * kv_block_bytes(format, model.head_dim));
  const double seen = static_cast<double>(n_rows) * (kDepth - static_cast<double>(n_rows - 1) / 2);
  c.operations = 4 * seen * static_cast<double>(model.heads * model.head_dim);
  if (format != KvFormat::kQ8_0 && bias == Bias::kNone) {
    c.peer_work = std::string("causal_attention ") + to_string(format) + " rows=" + rows +
                  " keys=" + std::to_string(kDepth) + " heads=" + heads + " kv_heads=" + kv_heads +
                  " head_dim=" + head_dim;
  }
  c.make = [model, format, n_rows, bias](Executor) -> KernelRun {
    return [layer = std::make_shared<Layer>(model, format, n_rows, bias)](Executor executor) {
      layer->run(executor);
    };
  };
  return c;
}

}  // namespace

std::vector<KernelCase> attention_cases() {
  std::vector<KernelCase> cases;
  for (const Model model : {Model{9, 3, 64}, Model{4, 1, 256}}) {
    for (const KvFormat format : {KvFormat::kF16, KvFormat::kBF16, KvFormat::kQ8_0}) {
      for (const int64_t n_rows : {1, 512}) cases.push_back(attend(model, format, n_rows, Bias::kNone));
    }
    cases.push_back(attend(model, KvFormat::kF16, 512, Bias::kEachHead));
  }
  return cases;
}

}  // namespace weft
