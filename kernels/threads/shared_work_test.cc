#include "kernels/threads/shared_work.h"

#include <gtest/gtest.h>
#include <weft/sdk/executor.h>

#include <vector>

#include "kernels/threads/thread_pool.h"

namespace weft {
namespace {

TEST(SharedWork, GivesOutEveryIndexOnceWhateverTheTeam) {
  SharedWork work;
  for (const uint32_t n_threads : {1u, 2u, 3u, 7u, 70u}) {
    for (const int64_t count : {0, 1, 2, 5, 64, 1000}) {
      for (const int64_t block : {1, 3, 64, 2000}) {
        work.reset(n_threads);
        std::vector<int> taken(static_cast<size_t>(count));
        for (uint32_t thread = 0; thread < n_threads; ++thread) {
          for (int64_t begin, end; work.take(thread, n_threads, count, block, &begin, &end);) {
            ASSERT_LT(begin, end);
            for (int64_t i = begin; i < end; ++i) ++taken[static_cast<size_t>(i)];
            if (thread + 1 < n_threads) break;  // the last thread takes what is left of all ranges
          }
        }
        for (const int times : taken) ASSERT_EQ(times, 1) << n_threads << " " << count << " " << block;
      }
    }
  }
}

TEST(SharedWork, StartsEachThreadAtItsOwnRangeAndLeavesTheEndForWhoComesFirst) {
  SharedWork work;
  int64_t begin, end;
  ASSERT_TRUE(work.take(1, 2, 100, 4, &begin, &end));
  EXPECT_EQ(begin, 50);
  EXPECT_EQ(end, 88);
  ASSERT_TRUE(work.take(0, 2, 100, 50, &begin, &end));
  EXPECT_EQ(begin, 0);
  EXPECT_EQ(end, 50);
  ASSERT_TRUE(work.take(0, 2, 100, 4, &begin, &end));
  EXPECT_EQ(begin, 88);
  EXPECT_EQ(end, 97);
  ASSERT_TRUE(work.take(1, 2, 100, 4, &begin, &end));
  EXPECT_EQ(end, 100);
  EXPECT_FALSE(work.take(0, 2, 100, 4, &begin, &end));
}

TEST(SharedWork, ATeamTakesEveryIndexOnce) {
  ThreadPool pool(4);
  SharedWork work;
  constexpr int64_t kCount = 5000;
  for (int round = 0; round < 50; ++round) {
    work.reset(4);
    std::vector<int> taken(kCount);  // written without synchronisation: each index by one thread
    Executor(pool.executor()).run([&](Team team) {
      for (int64_t begin, end; work.take(team.thread(), team.n_threads(), kCount, 7, &begin, &end);)
        for (int64_t i = begin; i < end; ++i) ++taken[static_cast<size_t>(i)];
    });
    for (const int times : taken) ASSERT_EQ(times, 1);
  }
}

}  // namespace
}  // namespace weft
