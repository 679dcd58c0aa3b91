// What `weft bench kernels dense_attention` measures: Stable Diffusion 1.5 at 512 x 512 (batch 2): self attention at each
// resolution, cross attention on 77 tokens, the one head of the VAE's middle; and a layer of ViT-L/14.
#include "kernels/ops/dense_attention/dense_attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/bench/kernel_case.h"
#include "kernels/quant/half.h"
#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

struct Shape {
  int64_t batch, queries, keys, heads, head_dim;
};

/// Queries, keys and values lie beside each other, as one product makes them.
struct Layer {
  Layer(const Shape& s, DType dtype, Executor executor)
      : width(s.heads * s.head_dim),
        tokens(std::max(s.queries, s.keys)),
        qkv(s.batch * tokens * 3 * width * size_bytes(dtype)),
        y(s.batch * s.queries * width * size_bytes(dtype)),
        scratch(dense_attention_scratch_bytes(s.head_dim, executor.max_threads())) {
    fill(s.batch * tokens * 3 * width, dtype);
    a.batch = s.batch;
    a.n_queries = s.queries;
    a.n_keys = s.keys;
    a.n_heads = s.heads;
    a.head_dim = s.head_dim;
    a.dtype = dtype;
    a.scale = 1 / std::sqrt(static_cast<float>(s.head_dim));
    const auto part = [&](int64_t i) {
      return HeadsView{static_cast<char*>(qkv.data()) + i * width * size_bytes(dtype), 3 * width,
                       tokens * 3 * width};
    };
    a.q = part(0);
    a.k = part(1);
    a.v = part(2);
    a.y = {y.data(), width, s.queries * width};
  }

  void fill(int64_t count, DType dtype) {
    const std::vector<float> drawn = testing::random_normal(count, 1);
    if (dtype == DType::kF32) {
      std::memcpy(qkv.data(), drawn.data(), drawn.size() * sizeof(float));
    } else {
      std::transform(drawn.begin(), drawn.end(), static_cast<uint16_t*>(qkv.data()), bf16_bits);
    }
  }

  void run(Executor executor) {
    executor.run(
        [&](Team team) { dense_attention_share(a, scratch.data(), team.thread(), team.n_threads()); });
  }

  int64_t width, tokens;
  testing::AlignedBytes qkv, y, scratch;
  DenseAttention a;
};

}  // namespace

std::vector<KernelCase> dense_attention_cases() {
  std::vector<KernelCase> cases;
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape s : {Shape{2, 4096, 4096, 8, 40},
                          {2, 1024, 1024, 8, 80},
                          {2, 256, 256, 8, 160},
                          {2, 4096, 77, 8, 40},
                          {1, 4096, 4096, 1, 512},
                          {1, 257, 257, 16, 64}}) {
      KernelCase c;
      const std::string queries = std::to_string(s.queries), keys = std::to_string(s.keys),
                        heads = std::to_string(s.heads), head_dim = std::to_string(s.head_dim);
      const char* type = dtype == DType::kF32 ? "f32" : "bf16";
      c.name = std::string(type) + " " + queries + " x " + keys + ", " + heads + " of " + head_dim;
      const double width = static_cast<double>(s.batch * s.heads * s.head_dim);
      c.bytes = 2 * width * static_cast<double>((s.queries + s.keys) * size_bytes(dtype));
      c.operations = 4 * width * static_cast<double>(s.queries * s.keys);
      c.arithmetic = dtype == DType::kF32 ? Arithmetic::kF32 : Arithmetic::kBF16;
      c.peer_work = std::string("attention ") + type + " batch=" + std::to_string(s.batch) +
                    " queries=" + queries + " keys=" + keys + " heads=" + heads + " head_dim=" + head_dim;
      c.make = [s, dtype](Executor executor) -> KernelRun {
        return [layer = std::make_shared<Layer>(s, dtype, executor)](Executor run_on) { layer->run(run_on); };
      };
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

}  // namespace weft
