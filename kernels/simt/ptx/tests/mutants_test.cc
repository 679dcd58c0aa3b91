// The oracle's own test: mistakes planted into nvcc's PTX, in places that g++ never sees, are found.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <regex>
#include <sstream>

#include "kernels/simt/language.h"
#include "kernels/simt/ptx/module.h"
#include "kernels/simt/targets.h"
#include "kernels/simt/tests/language.h"
#include "kernels/testing/random.h"

namespace weft::simt {
namespace {

std::string ptx_text(const std::string& source, const std::string& architecture) {
  std::ifstream file(nvcc_output(source, architecture, "ptx"));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Outcome {
  bool right = false;  // the product is what it should be, and nothing was found
  std::string findings;
};

/// A product of two tiles of bf16 on tensor cores, by the PTX that is given.
Outcome tile_product_by(const std::string& ptx, CopyTime copy_time) {
  Result<ptx::Module> module = ptx::Module::parse(ptx, "mutant.ptx");
  if (!module.ok()) return {false, to_string(module.status().error())};
  Device device({.copy_time = copy_time, .ptx = &*module});
  const std::vector<float> values = weft::testing::random_normal(16 * 16 + 16 * 8, 1);
  std::vector<__nv_bfloat16> rounded;
  for (const float v : values) rounded.push_back(__float2bfloat16_rn(v));
  Buffer<__nv_bfloat16> a(device, "a", {rounded.begin(), rounded.begin() + 256});
  Buffer<__nv_bfloat16> b(device, "b", {rounded.begin() + 256, rounded.end()});
  Buffer<float> d(device, "d", std::vector<float>(128));
  const Status status = tile_product(MmaKind::kBF16, a.data(), b.data(), d.data(), &device);
  bool right = status.ok();
  for (size_t row = 0; row < 16; ++row) {
    for (size_t col = 0; col < 8; ++col) {
      float want = 0;
      for (size_t k = 0; k < 16; ++k)
        want += __bfloat162float(rounded[row * 16 + k]) * __bfloat162float(rounded[256 + k * 8 + col]);
      right = right && std::abs(d.values()[row * 8 + col] - want) < 1e-4f;
    }
  }
  return {right, device.report().text()};
}

struct Mutant {
  const char* name;
  const char* pattern;  // in the PTX of the kernel, all matches are replaced
  const char* replacement;
};
const Mutant kMutants[] = {
    {"mma registers of a swapped", R"((mma\S+ \{[^}]*\}, )\{(\S+),(\S+),(\S+),(\S+)\})", "$1{$2,$4,$3,$5}"},
    {"mma registers of b swapped", R"((mma\S+ \{[^}]*\}, \{[^}]*\}, )\{(\S+),(\S+)\})", "$1{$3,$2}"},
    {"mma registers of d swapped", R"((mma\S+ )\{(\S+),(\S+),(\S+),(\S+)\})", "$1{$3,$2,$4,$5}"},
    {".trans lost", R"(\.trans)", ""},
    {"first wait missing", R"(cp\.async\.wait_group 1;)", ""},
    {"first wait too short", R"(cp\.async\.wait_group 1;)", "cp.async.wait_group 2;"},
    {"last wait missing", R"(cp\.async\.wait_group 0;)", ""},
    {"last wait too short", R"(cp\.async\.wait_group 0;)", "cp.async.wait_group 1;"},
    {"a group not ended", R"(cp\.async\.commit_group;)", ""},
    {"buffer reused", R"(add\.s32 (\s*%r\d+, %r\d+), 512;)", "add.s32 $1, 0;"},
    {"copy of the wrong size", R"((cp\.async\.cg\S+ \[%r\d+\], \[%rd\d+\]), 16, )", "$1, 8, "},
    {"barriers missing", R"(bar\.sync[ \t]+0;)", ""},
    {"row addresses wrong", R"(shl\.b32( \s*%r\d+, %r\d+), 5;)", "shl.b32$1, 4;"},
};

class AsmMutants : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(nvcc_output("language", GetParam(), "ptx")))
      GTEST_SKIP() << "skipped: there is no PTX, since nvcc was not found when this was built";
  }
};

TEST_P(AsmMutants, WithoutAMistakeTheProductIsRight) {
  for (const CopyTime time : {CopyTime::kLatest, CopyTime::kAtOnce}) {
    const Outcome outcome = tile_product_by(ptx_text("language", GetParam()), time);
    EXPECT_TRUE(outcome.right) << outcome.findings;
  }
}

TEST_P(AsmMutants, AreAllFound) {
  const std::string text = ptx_text("language", GetParam());
  for (const Mutant& mutant : kMutants) {
    SCOPED_TRACE(mutant.name);
    const std::string mutated = std::regex_replace(text, std::regex(mutant.pattern), mutant.replacement);
    ASSERT_NE(mutated, text) << "the pattern matches nothing";
    if (std::string(mutant.name) == "barriers missing") {
      // One warp: copies that it waited for itself, by any of its lanes, still need a barrier.
      EXPECT_THAT(tile_product_by(mutated, CopyTime::kLatest).findings,
                  ::testing::HasSubstr("no barrier between"));
      continue;
    }
    EXPECT_FALSE(tile_product_by(mutated, CopyTime::kLatest).right);
  }
}

INSTANTIATE_TEST_SUITE_P(Ptx, AsmMutants, ::testing::Values("sm_80", "sm_90"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace weft::simt
