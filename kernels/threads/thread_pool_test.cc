#include "kernels/threads/thread_pool.h"

#include <gtest/gtest.h>
#include <weft/sdk/executor.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace weft {
namespace {

class ThreadPoolSizes : public ::testing::TestWithParam<uint32_t> {};

TEST_P(ThreadPoolSizes, RunsTheBodyOnceOnEveryThreadOfTheTeam) {
  ThreadPool pool(GetParam());
  const Executor executor(pool.executor());
  ASSERT_EQ(executor.max_threads(), std::max(1u, GetParam()));
  for (int round = 0; round < 200; ++round) {
    std::vector<std::atomic<int>> calls(executor.max_threads());
    executor.run([&](Team team) {
      EXPECT_EQ(team.n_threads(), executor.max_threads());
      calls[team.thread()].fetch_add(1);
    });
    for (const std::atomic<int>& count : calls) ASSERT_EQ(count.load(), 1);
  }
}

TEST_P(ThreadPoolSizes, TheBarrierMakesPlainWritesOfTheWholeTeamVisible) {
  ThreadPool pool(GetParam());
  const Executor executor(pool.executor());
  std::vector<int> values(executor.max_threads());
  std::vector<int> sums(executor.max_threads());
  constexpr int kRounds = 300;
  executor.run([&](Team team) {
    for (int round = 1; round <= kRounds; ++round) {
      values[team.thread()] = round;
      team.barrier();
      for (uint32_t i = 0; i < team.n_threads(); ++i) sums[team.thread()] += values[i] == round;
      team.barrier();
    }
  });
  for (const int sum : sums) EXPECT_EQ(sum, kRounds * static_cast<int>(executor.max_threads()));
}

TEST_P(ThreadPoolSizes, ParallelForCoversEveryIndexOnce) {
  ThreadPool pool(GetParam());
  const Executor executor(pool.executor());
  for (const int64_t count : {0, 1, 2, 63, 64, 65, 1000}) {
    std::vector<int> seen(static_cast<size_t>(count));
    executor.parallel_for(count, 7, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
    });
    for (const int times : seen) ASSERT_EQ(times, 1) << "count " << count;
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolSizes, ::testing::Values(0u, 1u, 2u, 3u, 4u, 9u));

TEST(ThreadPool, ATeamInsideATeamIsTheCallerAlone) {
  ThreadPool pool(3);
  const Executor executor(pool.executor());
  std::atomic<int> inner_calls{0};
  executor.run([&](Team) {
    executor.run([&](Team inner) {
      EXPECT_EQ(inner.n_threads(), 1u);
      inner.barrier();
      inner_calls.fetch_add(1);
    });
  });
  EXPECT_EQ(inner_calls.load(), 3);
}

TEST(ThreadPool, SeveralCallersShareTheWorkersAndNeverExceedThem) {
  constexpr uint32_t kThreads = 4, kCallers = 5;
  ThreadPool pool(kThreads);
  const Executor executor(pool.executor());
  std::atomic<uint32_t> workers_at_work{0}, most{0}, total{0};
  std::vector<std::thread> callers;
  for (uint32_t caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 300; ++round) {
        std::vector<uint32_t> parts(kThreads);
        executor.run([&](Team team) {
          if (team.thread() != 0) {
            const uint32_t now = workers_at_work.fetch_add(1) + 1;
            uint32_t seen = most.load();
            while (seen < now && !most.compare_exchange_weak(seen, now)) {
            }
          }
          parts[team.thread()] = 1;
          team.barrier();
          if (team.thread() == 0) {
            uint32_t sum = 0;
            for (const uint32_t part : parts) sum += part;
            EXPECT_EQ(sum, team.n_threads());
            total.fetch_add(1);
          } else {
            workers_at_work.fetch_sub(1);
          }
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total.load(), kCallers * 300);
  EXPECT_LE(most.load(), kThreads - 1);
}

TEST(ThreadPool, ACallerThatFindsThePoolFullRunsAlone) {
  ThreadPool pool(2);
  const Executor executor(pool.executor());
  uint32_t second_team = 0;
  executor.run([&](Team team) {
    ASSERT_EQ(team.n_threads(), 2u);
    if (team.thread() == 0) {
      std::thread([&] { executor.run([&](Team other) { second_team = other.n_threads(); }); }).join();
    }
    team.barrier();
  });
  EXPECT_EQ(second_team, 1u);
}

uint32_t team_size(const ThreadPool& pool) {
  uint32_t size = 0;
  Executor(pool.executor()).run([&](Team team) {
    if (team.thread() == 0) size = team.n_threads();
  });
  return size;
}

TEST(ThreadPool, TeamsAreSmallerWhileCoresAreLent) {
  ThreadPool pool(4);
  EXPECT_EQ(team_size(pool), 4u);
  {
    const CoreLease lease = pool.borrow(2);
    EXPECT_EQ(lease.cores(), 2u);
    EXPECT_EQ(team_size(pool), 2u);
    CoreLease rest = pool.borrow(100);
    EXPECT_EQ(rest.cores(), 2u);
    EXPECT_EQ(pool.borrow(3).cores(), 1u) << "a borrower that finds none free has itself";
    EXPECT_EQ(team_size(pool), 1u);
    const CoreLease moved = std::move(rest);
    EXPECT_EQ(team_size(pool), 1u) << "moving a lease gives nothing back";
  }
  EXPECT_EQ(team_size(pool), 4u);
}

TEST(ThreadPool, LendsOnlyWhatTeamsLeave) {
  ThreadPool pool(3);
  uint32_t lent = 0;
  Executor(pool.executor()).run([&](Team team) {
    if (team.thread() == 0) std::thread([&] { lent = pool.borrow(3).cores(); }).join();
    team.barrier();
  });
  EXPECT_EQ(lent, 1u);
  EXPECT_EQ(pool.borrow(0).cores(), 1u);
  EXPECT_EQ(pool.borrow(3).cores(), 3u);
}

// As two nodes side by side: each computes again and again, in teams of what the other leaves.
TEST(ThreadPool, TwoCallersTogetherKeepToThePoolsThreadsAndOneOfTheirOwn) {
  constexpr uint32_t kThreads = 4;
  ThreadPool pool(kThreads);
  std::atomic<uint32_t> at_work{0}, most{0};
  const auto compute = [&] {
    for (int round = 0; round < 500; ++round) {
      Executor(pool.executor()).run([&](Team team) {
        const uint32_t now = at_work.fetch_add(1) + 1;
        uint32_t seen = most.load();
        while (seen < now && !most.compare_exchange_weak(seen, now)) {
        }
        team.barrier();
        at_work.fetch_sub(1);
      });
    }
  };
  std::thread first(compute), second(compute);
  first.join();
  second.join();
  EXPECT_LE(most.load(), kThreads + 1);  // the second caller, where the first has all workers
}

// A node of long runs beside one of short ones, which is between two runs whenever the first claims.
TEST(ThreadPool, LeavesACoreToACallerThatFoundThePoolFull) {
  ThreadPool pool(3);
  EXPECT_EQ(team_size(pool), 3u);
  Executor(pool.executor()).run([&](Team team) {
    if (team.thread() == 0) std::thread([&] { EXPECT_EQ(team_size(pool), 1u); }).join();
    team.barrier();
  });
  EXPECT_EQ(team_size(pool), 2u);
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  EXPECT_EQ(team_size(pool), 3u) << "it did not come back";
}

TEST(ThreadPool, WakesWorkersThatHaveParked) {
  ThreadPool pool(3);
  const Executor executor(pool.executor());
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // longer than the workers spin
    std::atomic<uint32_t> calls{0};
    executor.run([&](Team team) {
      calls.fetch_add(1);
      if (team.thread() == 1)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the others park in the barrier
      team.barrier();
    });
    EXPECT_EQ(calls.load(), 3u);
  }
}

}  // namespace
}  // namespace weft
