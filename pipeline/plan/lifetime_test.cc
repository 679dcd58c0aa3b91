#include "pipeline/plan/lifetime.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace weft {
namespace {

using Dag = std::vector<std::vector<uint32_t>>;

Packing pack(const Dag& depends_on, const std::vector<MemoryBlock>& blocks) {
  return pack_blocks(blocks, Precedence(depends_on, blocks));
}

TEST(PackBlocks, SharesAlongAChain) {
  const Dag chain = {{}, {0}, {1}};
  const Packing packing = pack(chain, {{100, 0, {}, false}, {64, 1, {}, false}, {1000, 2, {}, false}});
  EXPECT_EQ(packing.offsets, (std::vector<uint64_t>{0, 0, 0}));
  EXPECT_EQ(packing.total_bytes, 1024u);
}

TEST(PackBlocks, DoesNotShareBetweenNodesThatMayRunTogether) {
  const Dag fan = {{}, {0}, {0}, {1, 2}};
  const Packing packing =
      pack(fan, {{64, 0, {}, false}, {128, 1, {}, false}, {64, 2, {}, false}, {192, 3, {}, false}});
  EXPECT_EQ(packing.offsets, (std::vector<uint64_t>{0, 0, 128, 0}));
  EXPECT_EQ(packing.total_bytes, 192u);
}

TEST(PackBlocks, KeepsAValueUntilItsLastReaderHasFinished) {
  const Dag chain = {{}, {0}, {1}, {2}};
  // Made by 0, read by 1 and 2; blocks of 1 and 2 lie beside it, the one of 3 takes its place.
  const std::vector<MemoryBlock> blocks = {
      {64, 0, {1, 2}, false}, {64, 1, {}, false}, {64, 2, {}, false}, {64, 3, {}, false}};
  const Packing packing = pack(chain, blocks);
  EXPECT_EQ(packing.offsets, (std::vector<uint64_t>{0, 64, 64, 0}));
  EXPECT_EQ(packing.total_bytes, 128u);
}

TEST(PackBlocks, NeverReusesABlockThatStays) {
  const Dag chain = {{}, {0}};
  EXPECT_EQ(pack(chain, {{64, 0, {}, true}, {64, 1, {}, false}}).total_bytes, 128u);
}

TEST(PackBlocks, FillsTheSmallestGapThatFits) {
  // 0 and 1 and 2 run together; 3 follows 1 only, so that its place is the gap that 1 leaves.
  const Dag dag = {{}, {}, {}, {1}};
  const std::vector<MemoryBlock> blocks = {
      {4096, 0, {}, false}, {2048, 1, {}, false}, {1024, 2, {}, false}, {512, 3, {}, false}};
  const Packing packing = pack(dag, blocks);
  EXPECT_EQ(packing.offsets, (std::vector<uint64_t>{0, 4096, 6144, 4096}));
}

TEST(PackBlocks, TakesNothingForNothing) {
  EXPECT_EQ(pack({{}}, {{0, 0, {}, false}}).total_bytes, 0u);
  EXPECT_EQ(pack({}, {}).total_bytes, 0u);
}

// Naive: reach[a][b] if a finishes before b starts.
std::vector<std::vector<bool>> reachability(const Dag& depends_on) {
  const size_t n = depends_on.size();
  std::vector<std::vector<bool>> reach(n, std::vector<bool>(n));
  for (uint32_t b = 0; b < n; ++b) {
    for (uint32_t p : depends_on[b]) {
      reach[p][b] = true;
      for (uint32_t a = 0; a < n; ++a) {
        if (reach[a][p]) reach[a][b] = true;
      }
    }
  }
  return reach;
}

struct RandomPlan {
  Dag depends_on;
  std::vector<MemoryBlock> blocks;
};

RandomPlan random_plan(std::mt19937& random, bool chain) {
  RandomPlan plan;
  const uint32_t n = 20 + random() % 150;
  plan.depends_on.resize(n);
  const auto size = [&] { return uint64_t{1} << (6 + random() % 14) | random() % 4096; };
  for (uint32_t b = 0; b < n; ++b) {
    if (chain && b > 0) plan.depends_on[b].push_back(b - 1);
    for (uint32_t i = 0; !chain && b > 0 && i < random() % 3; ++i) plan.depends_on[b].push_back(random() % b);
    plan.blocks.push_back({size(), b, {}, random() % 50 == 0});
  }
  for (uint32_t b = 0; b < n; ++b) {  // every producer's value lives until its readers have finished
    plan.blocks.push_back({size(), b, {}, false});
    for (uint32_t reader = b + 1; reader < n; ++reader) {
      const auto& before = plan.depends_on[reader];
      if (std::find(before.begin(), before.end(), b) != before.end())
        plan.blocks.back().last.push_back(reader);
    }
  }
  return plan;
}

bool may_live_together(const MemoryBlock& a, const MemoryBlock& b,
                       const std::vector<std::vector<bool>>& reach) {
  const auto before = [&](const MemoryBlock& early, const MemoryBlock& late) {
    if (early.stays || !reach[early.first][late.first]) return false;
    return std::all_of(early.last.begin(), early.last.end(),
                       [&](uint32_t node) { return reach[node][late.first]; });
  };
  return !before(a, b) && !before(b, a);
}

TEST(PackBlocks, NeverOverlapsBlocksThatMayLiveTogether) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const RandomPlan plan = random_plan(random, round % 4 == 0);
    const Packing packing = pack(plan.depends_on, plan.blocks);
    const auto reach = reachability(plan.depends_on);
    uint64_t top = 0, sum = 0;
    for (size_t i = 0; i < plan.blocks.size(); ++i) {
      EXPECT_EQ(packing.offsets[i] % kBlockAlignment, 0u);
      const uint64_t end = packing.offsets[i] + plan.blocks[i].size_bytes;
      top = std::max(top, end);
      sum += plan.blocks[i].size_bytes + kBlockAlignment;
      for (size_t j = 0; j < i; ++j) {
        const uint64_t other_end = packing.offsets[j] + plan.blocks[j].size_bytes;
        const bool overlap = packing.offsets[i] < other_end && packing.offsets[j] < end;
        ASSERT_FALSE(overlap && may_live_together(plan.blocks[i], plan.blocks[j], reach))
            << round << ": " << i << " " << j;
      }
    }
    EXPECT_GE(packing.total_bytes, top);
    EXPECT_LT(packing.total_bytes, top + kBlockAlignment);
    EXPECT_LE(packing.total_bytes, sum);
  }
}

TEST(PackBlocks, IsCloseToTheMostBytesAliveAtOnceAlongAChain) {
  std::mt19937 random(11);
  double worst = 1, total = 0;
  constexpr int kRounds = 60;
  for (int round = 0; round < kRounds; ++round) {
    const RandomPlan plan = random_plan(random, true);
    uint64_t most = 0;
    for (uint32_t step = 0; step < plan.depends_on.size(); ++step) {
      uint64_t alive = 0;
      for (const MemoryBlock& block : plan.blocks) {
        const uint32_t last = block.last.empty() ? block.first : block.last.back();
        if (block.first <= step && (block.stays || step <= last)) alive += block.size_bytes;
      }
      most = std::max(most, alive);
    }
    const double ratio =
        static_cast<double>(pack(plan.depends_on, plan.blocks).total_bytes) / static_cast<double>(most);
    EXPECT_GE(ratio, 1.0);
    worst = std::max(worst, ratio);
    total += ratio;
  }
  RecordProperty("mean_arena_over_max_live", std::to_string(total / kRounds));
  RecordProperty("worst_arena_over_max_live", std::to_string(worst));
  EXPECT_LE(total / kRounds, 1.05);
  EXPECT_LE(worst, 1.3);
}

}  // namespace
}  // namespace weft
