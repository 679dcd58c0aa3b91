// The verifier's own test: each planted mistake is found, by the means that is named and at its line, in every order of
// threads; without a mistake nothing is found.

#include "kernels/simt/tests/planted.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/simt/device.h"
#include "kernels/simt/targets.h"

namespace weft::simt {
namespace {

constexpr int kBlocks = 3, kThreads = 128;

std::vector<float> input() {
  std::vector<float> x(kBlocks * kThreads);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 7 % 31);
  return x;
}

std::vector<float> expected() {
  const std::vector<float> x = input();
  std::vector<float> y(x.size());
  for (int b = 0; b < kBlocks; ++b) {
    const float sum = std::accumulate(x.begin() + b * kThreads, x.begin() + b * kThreads + 32, 0.0f);
    for (int i = 0; i < kThreads; ++i)
      y[static_cast<size_t>(b * kThreads + i)] = x[static_cast<size_t>(b * kThreads + 127 - i)] + sum;
  }
  return y;
}

struct Outcome {
  Status status;
  std::vector<float> y;
};

Outcome run_planted(Planted mistake, Device& device) {
  Buffer<float> x(device, "x", input()), y(device, "y", std::vector<float>(kBlocks * kThreads, -1.0f));
  Status status = planted(mistake, x.data(), y.data(), kBlocks, &device);
  return {std::move(status), y.values()};
}

/// The source's line `line`, to see that a finding points at the mistake.
std::string source_line(int line) {
  std::ifstream file("kernels/simt/tests/planted.cu");
  std::string text;
  for (int i = 0; i < line; ++i) std::getline(file, text);
  return text;
}

TEST(Planted, WithoutAMistakeNothingIsFoundInAnyOrder) {
  for (const Target& target : checked_targets("planted")) {
    SCOPED_TRACE(target.name);
    for (const CopyTime copy_time : {CopyTime::kLatest, CopyTime::kAtOnce}) {
      DeviceOptions options = target.options;
      options.copy_time = copy_time;
      Device device(options);
      const Outcome outcome = run_planted(Planted::kNone, device);
      EXPECT_TRUE(outcome.status.ok()) << device.report().text();
      EXPECT_EQ(outcome.y, expected());
      EXPECT_EQ(device.report().beyond({}), "");
      EXPECT_GT(device.report().accesses, 1000u);
    }
  }
}

TEST(Planted, SeveralWorkersShareTheBlocks) {
  Device device({.order = 5, .workers = 3});
  EXPECT_EQ(run_planted(Planted::kNone, device).y, expected());
  EXPECT_EQ(device.report().text(), "");
}

struct Case {
  Planted mistake;
  FindingKind kind;
  const char* at_line;  // what the source has at the finding's line
};

class EachMistake : public testing::TestWithParam<Case> {};

TEST_P(EachMistake, IsFoundAtItsLineInEveryOrder) {
  for (const Target& target : checked_targets("planted")) {
    Device device(target.options);
    const Outcome outcome = run_planted(GetParam().mistake, device);
    EXPECT_FALSE(outcome.status.ok());
    const std::vector<Finding>& findings = device.report().findings;
    bool at_line = false;
    for (const Finding& finding : findings) {
      at_line = at_line || (finding.kind == GetParam().kind &&
                            source_line(finding.line).find(GetParam().at_line) != std::string::npos);
      EXPECT_EQ(finding.kernel, "reverse_and_sum");
      EXPECT_GE(finding.thread, 0);
    }
    EXPECT_TRUE(at_line) << target.name << "; expected '" << to_string(GetParam().kind)
                         << "' at a line with '" << GetParam().at_line << "', got\n"
                         << device.report().text();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Planted, EachMistake,
    testing::Values(Case{Planted::kMissingBarrier, FindingKind::kReadAfterWrite, "value = row["},
                    Case{Planted::kMissingWarpBarrier, FindingKind::kReadAfterWrite,
                         "value = tile[31 - lane]"},
                    Case{Planted::kMissingWait, FindingKind::kPendingCopy, "value = row["},
                    Case{Planted::kWaitTooShort, FindingKind::kPendingCopy, "value = row["},
                    Case{Planted::kSharedOffByOne, FindingKind::kOutOfBounds, "value = row[kThreads - i]"},
                    Case{Planted::kGlobalOffByOne, FindingKind::kOutOfBounds, "y[blockIdx.x * kThreads"},
                    Case{Planted::kReusedBuffer, FindingKind::kWriteAfterRead, "row[i] = value + sum"},
                    Case{Planted::kDivergentBarrier, FindingKind::kDivergentBarrier, "__syncthreads();"},
                    Case{Planted::kEarlyExit, FindingKind::kDivergentBarrier, "__syncthreads();"},
                    Case{Planted::kWrongMask, FindingKind::kWrongMask, "__shfl_xor_sync(0x0000ffffu"},
                    Case{Planted::kLanesMissing, FindingKind::kWrongMask, "__shfl_xor_sync(0xffffffffu"},
                    Case{Planted::kMisaligned, FindingKind::kMisaligned, "load_quad(from + 1)"},
                    Case{Planted::kMisalignedMatrix, FindingKind::kMisaligned, "load_matrix_x4(words"}),
    [](const auto& test) { return std::to_string(static_cast<int>(test.param.mistake)); });

// With NaN in shared memory and late copies the result alone gives a missing wait away too, without the checker.
TEST(Planted, AMissingWaitShowsInTheResult) {
  Device device;
  EXPECT_NE(run_planted(Planted::kMissingWait, device).y, expected());
}

TEST(Planted, OutOfBoundsSaysHowFarFromWhat) {
  Device device;
  run_planted(Planted::kGlobalOffByOne, device);
  EXPECT_THAT(device.report().text(),
              testing::HasSubstr("write of 4 bytes, 0 bytes past the end of y (1536 bytes)"));
}

TEST(Planted, BankConflictsAreCountedByLine) {
  Device device;
  EXPECT_TRUE(run_planted(Planted::kBankConflict, device).status.ok()) << device.report().text();
  EXPECT_EQ(device.report().beyond({.extra_wavefronts_per_request = 31}), "");
  const std::string beyond = device.report().beyond({.extra_wavefronts_per_request = 30});
  EXPECT_THAT(beyond, testing::HasSubstr("shared load, 4 bytes a lane: 31.0"));
  EXPECT_THAT(beyond, testing::HasSubstr("shared store, 4 bytes a lane: 31.0"));
}

TEST(Planted, SectorsOfAStridedLoadAreCountedByLine) {
  Device device;
  EXPECT_TRUE(run_planted(Planted::kStridedLoad, device).status.ok()) << device.report().text();
  // 16 addresses a warp, 32 bytes apart: 16 sectors for 64 bytes.
  EXPECT_THAT(device.report().beyond({}), testing::HasSubstr("global load, 4 bytes a lane: 14.0"));
}

TEST(Planted, AnImpossibleLaunchIsRefused) {
  Device device;
  const Status status = planted(Planted::kNone, nullptr, nullptr, 0, &device);
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(device.report().found(FindingKind::kBadLaunch));
  EXPECT_THAT(status.error().message, testing::HasSubstr("got (0,1,1)"));
}

// A launch that ended early leaves nothing behind that the next one meets.
TEST(Planted, TheDeviceServesOnAfterAFinding) {
  Device device;
  EXPECT_FALSE(run_planted(Planted::kEarlyExit, device).status.ok());
  device.clear();
  EXPECT_EQ(run_planted(Planted::kNone, device).y, expected());
  EXPECT_EQ(device.report().text(), "");
}

}  // namespace
}  // namespace weft::simt
