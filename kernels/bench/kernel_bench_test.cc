#include <gtest/gtest.h>

#include <set>
#include <string>

#include "kernels/bench/kernel_case.h"
#include "kernels/testing/threads.h"

namespace weft {
namespace {

TEST(KernelBench, EveryOpDescribesWhatItMeasures) {
  std::set<std::string> names;
  for (const KernelOp& op : kernel_ops()) {
    EXPECT_TRUE(names.insert(op.name).second) << op.name << " twice";
    const std::vector<KernelCase> cases = op.cases();
    EXPECT_FALSE(cases.empty()) << op.name;
    for (const KernelCase& kernel_case : cases) {
      EXPECT_TRUE(names.insert(std::string(op.name) + kernel_case.name).second)
          << kernel_case.name << " twice";
      EXPECT_LE(kernel_case.name.size(), 32u) << kernel_case.name;
      EXPECT_GT(kernel_case.bytes, 0) << kernel_case.name;
      EXPECT_GE(kernel_case.operations, 0) << kernel_case.name;
      EXPECT_TRUE(kernel_case.make) << kernel_case.name;
    }
  }
  EXPECT_TRUE(names.contains("matmul"));
}

TEST(KernelBench, MeasuresARunAtLeastFiveTimesAndTakesTheMedian) {
  int runs = 0;
  const testing::Threads threads(1);
  EXPECT_GE(measure_seconds([&](Executor) { ++runs; }, threads.executor(), 0), 0);
  EXPECT_EQ(runs, 6);
}

}  // namespace
}  // namespace weft
