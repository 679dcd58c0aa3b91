// The CUDA kernels on the CPU, in every order of threads and as nvcc's PTX, against the definition.

#include "kernels/ops/dense_attention/dense_attention_cuda.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/device_data.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

using testing::decoded;
using testing::encoded;

enum class Layout : uint8_t {
  kApart,   // q, k and v each by themselves
  kJoined,  // the three side by side in one row, y in the place of q
};

struct Case {
  DType dtype;
  int64_t batch, queries, keys, heads, head_dim;
  Layout layout;
  AttentionMask mask;
  bool bias;
};
// Each padded size of a head, tiles of queries and keys that are full and ones that are not.
const Case kCases[] = {
    {DType::kBF16, 2, 130, 77, 2, 40, Layout::kApart, AttentionMask::kNone, false},
    {DType::kBF16, 1, 129, 129, 2, 64, Layout::kJoined, AttentionMask::kCausal, false},
    {DType::kF16, 1, 5, 70, 3, 64, Layout::kApart, AttentionMask::kNone, true},
    {DType::kF16, 1, 64, 64, 1, 80, Layout::kJoined, AttentionMask::kNone, false},
    {DType::kBF16, 1, 33, 65, 1, 128, Layout::kApart, AttentionMask::kCausal, true},
    {DType::kBF16, 1, 65, 64, 2, 160, Layout::kApart, AttentionMask::kNone, false},
    {DType::kF16, 1, 20, 70, 1, 512, Layout::kApart, AttentionMask::kNone, false},
    {DType::kBF16, 1, 1, 1, 1, 8, Layout::kApart, AttentionMask::kNone, false},
    {DType::kF32, 2, 35, 33, 2, 20, Layout::kJoined, AttentionMask::kNone, true},
    {DType::kF32, 1, 40, 70, 1, 132, Layout::kApart, AttentionMask::kCausal, false},
    {DType::kF32, 2, 33, 5, 4, 3, Layout::kJoined, AttentionMask::kNone, false},  // nothing at 16 bytes
    {DType::kBF16, 1, 7, 40, 2, 12, Layout::kApart, AttentionMask::kNone, true},
    {DType::kF16, 1, 4, 3, 1, 130, Layout::kApart, AttentionMask::kNone, false},
};

/// Extents and switches of a, without its pointers.
DenseAttentionCuda on_device(const DenseAttention& a, DType dtype) {
  DenseAttentionCuda d;
  d.batch = a.batch, d.n_queries = a.n_queries, d.n_keys = a.n_keys, d.n_heads = a.n_heads,
  d.head_dim = a.head_dim;
  d.dtype = dtype, d.scale = a.scale, d.mask = a.mask;
  d.bias_query_stride = a.bias_query_stride, d.bias_head_stride = a.bias_head_stride;
  d.bias_batch_stride = a.bias_batch_stride;
  return d;
}

class DenseAttentionCudaCases : public ::testing::TestWithParam<Case> {};

TEST_P(DenseAttentionCudaCases, GivesWhatTheReferenceGives) {
  const Case& c = GetParam();
  const int64_t width = c.heads * c.head_dim;
  const bool joined = c.layout == Layout::kJoined;
  const int64_t stride = joined ? 3 * width : width, tokens = std::max(c.queries, c.keys);
  const auto random = [&](uint64_t seed) {
    return decoded(c.dtype, encoded(c.dtype, testing::random_normal(c.batch * tokens * stride, seed)));
  };
  const std::vector<float> q = random(1), k = random(2), v = random(3);
  std::vector<float> bias = testing::random_normal(c.batch * c.heads * c.queries * c.keys, 4);
  if (c.bias) bias[0] = bias[1] = -INFINITY;  // hidden keys
  std::vector<float> want(static_cast<size_t>(c.batch * c.queries * width));
  DenseAttention host;
  host.batch = c.batch, host.n_queries = c.queries, host.n_keys = c.keys;
  host.n_heads = c.heads, host.head_dim = c.head_dim, host.mask = c.mask;
  host.scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  const auto part = [&](const auto* data, int64_t i) {
    return HeadsView{data + (joined ? i * width : 0), stride, tokens * stride};
  };
  host.q = part(q.data(), 0);
  host.k = part(joined ? q.data() : k.data(), 1);
  host.v = part(joined ? q.data() : v.data(), 2);
  host.y = {want.data(), width, c.queries * width};
  if (c.bias) {
    host.bias = bias.data();
    host.bias_query_stride = c.keys;
    host.bias_head_stride = c.queries * c.keys;
    host.bias_batch_stride = c.heads * c.queries * c.keys;
  }
  dense_attention_reference(host);

  for (const simt::Target& target : simt::targets("dense_attention")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<uint8_t> in_q(device, "q", encoded(c.dtype, q)), in_k(device, "k", encoded(c.dtype, k)),
        in_v(device, "v", encoded(c.dtype, v)),
        out(device, "y", std::vector<uint8_t>(want.size() * static_cast<size_t>(size_bytes(c.dtype))));
    simt::Buffer<float> b(device, "bias", bias);
    DenseAttentionCuda a = on_device(host, c.dtype);
    a.bias = c.bias ? b.data() : nullptr;
    const auto there = [&](simt::Buffer<uint8_t>& buffer, int64_t i) {
      return HeadsView{buffer.data() + (joined ? i * width * size_bytes(c.dtype) : 0), stride,
                       tokens * stride};
    };
    a.q = there(in_q, 0);
    a.k = there(joined ? in_q : in_k, 1);
    a.v = there(joined ? in_q : in_v, 2);
    a.y = joined ? a.q : HeadsView{out.data(), width, c.queries * width};
    ASSERT_TRUE(dense_attention_cuda(a, &device).ok()) << device.report().text();
    std::vector<float> got = decoded(c.dtype, joined ? in_q.values() : out.values());
    if (joined) {
      std::vector<float> rows;
      for (int64_t i = 0; i < c.batch; ++i)
        for (int64_t token = 0; token < c.queries; ++token)
          rows.insert(rows.end(), got.begin() + (i * tokens + token) * stride,
                      got.begin() + (i * tokens + token) * stride + width);
      got = rows;
    }
    EXPECT_LT(testing::relative_error(got.data(), want.data(), static_cast<int64_t>(want.size())),
              testing::tolerance(c.dtype));
    const bool padded = c.dtype == DType::kF32 || c.head_dim % 16 != 0;
    const simt::AccessBounds bounds{padded ? 12.0 : 8.0, padded ? 4.0 : 0.0};
    EXPECT_EQ(device.report().beyond(bounds), "");
  }
}

INSTANTIATE_TEST_SUITE_P(DenseAttentionCuda, DenseAttentionCudaCases, ::testing::ValuesIn(kCases),
                         [](const auto& test) {
                           const Case& c = test.param;
                           return std::to_string(c.queries) + "Of" + std::to_string(c.keys) + "By" +
                                  std::to_string(c.head_dim) + "Bytes" + std::to_string(size_bytes(c.dtype));
                         });

// A batch whose elements read the same keys, and a row whose keys are all hidden, which is not a number.
TEST(DenseAttentionCuda, SharesKeysAndTellsOfRowsThatSeeNone) {
  const std::vector<float> q = testing::random_normal(2 * 3 * 16, 1), k = testing::random_normal(4 * 16, 2);
  std::vector<float> bias(3 * 4), want(q.size());
  for (size_t j = 0; j < 4; ++j) bias[4 + j] = -INFINITY;
  DenseAttention host;
  host.batch = 2, host.n_queries = 3, host.n_keys = 4, host.head_dim = 16;
  host.q = {q.data(), 16, 48}, host.k = host.v = {k.data(), 16, 0}, host.y = {want.data(), 16, 48};
  host.bias = bias.data(), host.bias_query_stride = 4;
  dense_attention_reference(host);
  for (const DType dtype : {DType::kF32, DType::kF16}) {
    simt::Device device;
    simt::Buffer<uint8_t> in(device, "q", encoded(dtype, q)), keys(device, "k", encoded(dtype, k));
    simt::Buffer<float> b(device, "bias", bias);
    DenseAttentionCuda a = on_device(host, dtype);
    a.bias = b.data();
    a.q = a.y = {in.data(), 16, 48}, a.k = a.v = {keys.data(), 16, 0};
    ASSERT_TRUE(dense_attention_cuda(a, &device).ok()) << device.report().text();
    const std::vector<float> got = decoded(dtype, in.values());
    for (size_t i = 0; i < got.size(); ++i) {
      if (i / 16 % 3 == 1) EXPECT_TRUE(std::isnan(got[i]));
      else EXPECT_NEAR(got[i], want[i], dtype == DType::kF32 ? 1e-5 : 5e-3);
    }
  }
}

TEST(DenseAttentionCuda, RefusesWhatItCannotDo) {
  alignas(16) float x[16] = {};
  DenseAttentionCuda good;
  good.n_queries = good.n_keys = 1, good.head_dim = 8;
  good.q = good.k = good.v = good.y = {x, 8, 8};
  DenseAttentionCuda a = good;
  a.batch = 0;
  EXPECT_TRUE(dense_attention_cuda(a, nullptr).ok());
  a = good, a.n_keys = 0;
  EXPECT_EQ(dense_attention_cuda(a, nullptr).code(), StatusCode::kInvalidShape);
  a = good, a.head_dim = 513;
  EXPECT_EQ(dense_attention_cuda(a, nullptr).code(), StatusCode::kInvalidShape);
  a = good, a.n_heads = 2;
  EXPECT_EQ(dense_attention_cuda(a, nullptr).code(), StatusCode::kInvalidShape);
  a = good, a.v.data = nullptr;
  EXPECT_EQ(dense_attention_cuda(a, nullptr).code(), StatusCode::kInvalidArgument);
  a = good, a.head_dim = 512;
  a.q = a.k = a.v = a.y = {x, 512, 512};
  EXPECT_EQ(dense_attention_cuda(a, nullptr).code(), StatusCode::kInvalidArgument);
  a = good, a.dtype = DType::kI32;
  EXPECT_EQ(dense_attention_cuda(a, nullptr).code(), StatusCode::kUnsupported);
}

TEST(DenseAttentionCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("dense_attention")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {
      {.kernel = "Li48E", .registers = 255, .occupancy = 0.12, .dynamic_shared_bytes = 256 * 96},
      {.kernel = "Li64E", .registers = 255, .occupancy = 0.12, .dynamic_shared_bytes = 256 * 128},
      {.kernel = "Li80E", .registers = 255, .occupancy = 0.12, .dynamic_shared_bytes = 256 * 160},
      {.kernel = "Li160E", .registers = 255, .occupancy = 0.06, .dynamic_shared_bytes = 192 * 320},
      {.kernel = "Li512E", .registers = 255, .occupancy = 0},
      {.kernel = "Li128E", .registers = 255, .occupancy = 0.06, .dynamic_shared_bytes = 192 * 256},
      {.kernel = "dense_attention_f32",
       .registers = 128,
       .occupancy = 0.12,
       .dynamic_shared_bytes = 48 << 10}};
  EXPECT_EQ(simt::beyond_static_bounds("dense_attention", bounds), "");
}

}  // namespace
}  // namespace weft
