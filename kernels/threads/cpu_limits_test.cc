#include "kernels/threads/cpu_limits.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace weft {
namespace {

namespace fs = std::filesystem;

class CgroupQuota : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(::testing::TempDir()) /
            (std::string("weft_cgroup_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  uint32_t quota() const { return cgroup_cpu_quota((root_ / "self").string(), (root_ / "mount").string()); }

  fs::path root_;
};

TEST_F(CgroupQuota, IsZeroWithoutALimit) {
  EXPECT_EQ(quota(), 0u);
  write("self", "0::/user\n");
  EXPECT_EQ(quota(), 0u);
  write("mount/user/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), 0u);
}

TEST_F(CgroupQuota, RoundsUpAndTakesTheTightestOnThePath) {
  write("self", "0::/user/job\n");
  write("mount/user/job/cpu.max", "350000 100000\n");
  EXPECT_EQ(quota(), 4u);
  write("mount/user/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 2u);
  write("mount/cpu.max", "10000 100000\n");
  EXPECT_EQ(quota(), 1u);
}

TEST_F(CgroupQuota, ReadsVersionOne) {
  write("self", "5:memory:/x\n4:cpu,cpuacct:/docker/abc\n");
  write("mount/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "300000\n");
  write("mount/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 3u);
  write("mount/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(quota(), 0u);
}

TEST_F(CgroupQuota, IgnoresWhatItCannotRead) {
  write("self", "nonsense\n0::/../outside\n:::\n");
  write("mount/cpu.max", "many 100000\n");
  EXPECT_EQ(quota(), 0u);
}

TEST(AvailableCpus, IsAtLeastOne) { EXPECT_GE(available_cpus(), 1u); }

TEST(AvailableCpus, RespectsTheAffinityMask) {
  // The mask is a thread's own: this one's does not change.
  uint32_t alone = 0;
  std::thread([&] {
    cpu_set_t mask;
    ASSERT_EQ(sched_getaffinity(0, sizeof(mask), &mask), 0);
    int first = 0;
    while (!CPU_ISSET(first, &mask)) ++first;
    CPU_ZERO(&mask);
    CPU_SET(first, &mask);
    ASSERT_EQ(sched_setaffinity(0, sizeof(mask), &mask), 0);
    alone = available_cpus();
  }).join();
  EXPECT_EQ(alone, 1u);
}

}  // namespace
}  // namespace weft
