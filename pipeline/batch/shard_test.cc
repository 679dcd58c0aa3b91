#include "pipeline/batch/shard.h"

#include <gtest/gtest.h>

#include <map>

namespace weft {
namespace {

using Environment = std::map<std::string, std::string>;

Result<Shard> detect(const Environment& environment, std::optional<uint64_t> count = {}) {
  return detect_shard(count, [&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(Shard, EveryItemBelongsToOne) {
  for (uint64_t position = 1; position <= 20; ++position) {
    int owners = 0;
    for (uint64_t index = 1; index <= 3; ++index) owners += Shard{index, 3}.has(position) ? 1 : 0;
    EXPECT_EQ(owners, 1) << position;
  }
}

TEST(Shard, IsReadFromTheCommandLine) {
  EXPECT_EQ(parse_shard("3/8")->journal_name(), "journal-3-of-8");
  EXPECT_EQ(parse_shard("1/1")->journal_name(), "journal");
  for (const char* text : {"", "3", "0/8", "9/8", "a/b", "1/", "-1/3", "1/3x"}) {
    EXPECT_EQ(parse_shard(text).code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST(Shard, IsFoundInTheEnvironment) {
  EXPECT_TRUE(detect({})->whole());
  const Environment slurm = {{"SLURM_ARRAY_TASK_ID", "14"},
                             {"SLURM_ARRAY_TASK_MIN", "10"},
                             {"SLURM_ARRAY_TASK_STEP", "2"},
                             {"SLURM_ARRAY_TASK_COUNT", "4"}};
  EXPECT_EQ(detect(slurm)->journal_name(), "journal-3-of-4");
  EXPECT_EQ(detect({{"SLURM_ARRAY_TASK_ID", "0"}, {"SLURM_ARRAY_TASK_COUNT", "4"}})->index, 1u);
  EXPECT_EQ(detect({{"JOB_COMPLETION_INDEX", "0"}}, 3)->journal_name(), "journal-1-of-3");
  EXPECT_TRUE(detect({{"JOB_COMPLETION_INDEX", "0"}})->whole());
}

TEST(Shard, AnEnvironmentThatMakesNoSenseIsRefused) {
  EXPECT_FALSE(detect({}, 3).ok());
  EXPECT_FALSE(detect({{"JOB_COMPLETION_INDEX", "3"}}, 3).ok());
  EXPECT_FALSE(detect({{"JOB_COMPLETION_INDEX", "x"}}, 3).ok());
  EXPECT_FALSE(detect({{"SLURM_ARRAY_TASK_ID", "7"}, {"SLURM_ARRAY_TASK_COUNT", "4"}}).ok());
}

}  // namespace
}  // namespace weft
