#include "kernels/threads/thread_pool.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace weft {
namespace {

/// How long a caller that ran alone beside others is expected back: their next teams leave it a core. Longer than what a node
/// does between two runs.
constexpr auto kExpected = std::chrono::milliseconds(100);

// A waiting thread first watches the word, then lets other threads run between looks, then sleeps until woken. The whole is
// long enough to span the serial code between two products of a decode step, short enough not to be noticed; the first part is
// a barrier's usual wait, and short, because on a machine with more to do it keeps a core from the thread that is waited for.
constexpr auto kWatch = std::chrono::microseconds(20);
constexpr auto kYield = std::chrono::microseconds(200);
constexpr int kPausesBetweenClockReads = 32;

/// Waits until `word` differs from `old`. Acquires what the writer released.
void wait_for_change(const std::atomic<uint32_t>& word, uint32_t old) {
  if (word.load(std::memory_order_acquire) != old) return;
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    for (int i = 0; i < kPausesBetweenClockReads; ++i) {
      if (word.load(std::memory_order_acquire) != old) return;
      _mm_pause();
    }
    const auto waited = std::chrono::steady_clock::now() - start;
    if (waited > kYield) break;
    if (waited > kWatch) std::this_thread::yield();
  }
  while (word.load(std::memory_order_acquire) == old) word.wait(old, std::memory_order_acquire);
}

/// Set on every thread while it runs a body: teams do not nest.
thread_local bool inside_team = false;

}  // namespace

struct ThreadPool::State {
  using Body = void (*)(void*, const weft_team*);

  /// What a team shares. Lives in the worker that the caller claimed first, so that it outlasts every late
  /// wake-up.
  struct alignas(64) TeamState {
    Body body = nullptr;
    void* arg = nullptr;
    uint32_t n_threads = 0;
    alignas(64) std::atomic<uint32_t> arrived{0};
    alignas(64) std::atomic<uint32_t> generation{0};
    alignas(64) std::atomic<uint32_t> running{0};  // workers that have not returned from body
  };

  struct alignas(64) Worker {
    std::atomic<uint32_t> ticket{0};  // bumped to start work
    TeamState* team = nullptr;        // of the work that the ticket announces; null: end the thread
    uint32_t index = 0;               // this worker's thread number in it
    TeamState storage;
    std::thread thread;
  };

  explicit State(uint32_t n_threads) : workers(n_threads - 1) {
    idle.reserve(workers.size());
    for (Worker& worker : workers) {
      try {
        worker.thread = std::thread([&worker] { work(worker); });
      } catch (const std::system_error&) {
        break;
      }
      idle.push_back(&worker);
    }
    executor.struct_size = sizeof(executor);
    executor.max_threads = static_cast<uint32_t>(idle.size()) + 1;
    executor.self = this;
    executor.run = run;
  }

  ~State() {
    for (Worker& worker : workers) {
      if (!worker.thread.joinable()) continue;
      start(worker, nullptr, 0);
      worker.thread.join();
    }
  }

  static void start(Worker& worker, TeamState* team, uint32_t index) {
    worker.team = team;
    worker.index = index;
    worker.ticket.fetch_add(1, std::memory_order_release);
    worker.ticket.notify_one();
  }

  static void work(Worker& self) {
    for (uint32_t seen = 0;; ++seen) {
      wait_for_change(self.ticket, seen);
      if (self.team == nullptr) return;
      TeamState& team = *self.team;
      call_body(team, self.index);
      if (team.running.fetch_sub(1, std::memory_order_acq_rel) == 1) team.running.notify_one();
    }
  }

  static void call_body(TeamState& state, uint32_t index) {
    const weft_team team = {sizeof(weft_team), index, state.n_threads, 0, &state, barrier};
    inside_team = true;
    state.body(state.arg, &team);
    inside_team = false;
  }

  static void barrier(const weft_team* team) {
    TeamState& state = *static_cast<TeamState*>(team->state);
    const uint32_t generation = state.generation.load(std::memory_order_relaxed);
    if (state.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == state.n_threads) {
      state.arrived.store(0, std::memory_order_relaxed);
      state.generation.fetch_add(1, std::memory_order_release);
      state.generation.notify_all();
    } else {
      wait_for_change(state.generation, generation);
    }
  }

  static void run_alone(Body body, void* arg) {
    const weft_team team = {sizeof(weft_team), 0, 1, 0, nullptr, [](const weft_team*) {}};
    const bool nested = inside_team;
    inside_team = true;
    body(arg, &team);
    inside_team = nested;
  }

  static void run(void* self, Body body, void* arg) {
    State& pool = *static_cast<State*>(self);
    if (inside_team || pool.executor.max_threads == 1) return run_alone(body, arg);

    Worker* claimed[kMaxThreads];
    const uint32_t n_workers = pool.claim(claimed);
    if (n_workers == 0) {
      run_alone(body, arg);
      pool.expect_back();
    } else {
      TeamState& team = claimed[0]->storage;
      team.body = body;
      team.arg = arg;
      team.n_threads = n_workers + 1;
      team.running.store(n_workers, std::memory_order_relaxed);
      for (uint32_t i = 0; i < n_workers; ++i) start(*claimed[i], &team, i + 1);
      call_body(team, 0);
      for (uint32_t left; (left = team.running.load(std::memory_order_acquire)) != 0;)
        wait_for_change(team.running, left);
    }
    pool.release(claimed, n_workers);
  }

  /// Counts up to `most` threads, the caller's among them, as at work; no worker moves, for none is the pool's.
  uint32_t borrow(uint32_t most) {
    std::lock_guard lock(mutex);
    const uint32_t free = executor.max_threads > busy ? executor.max_threads - busy : 1;
    const uint32_t cores = std::clamp(most, 1u, free);
    busy += cores;
    return cores;
  }

  void give_back(uint32_t cores) {
    std::lock_guard lock(mutex);
    busy -= cores;
  }

  /// Takes the idle workers that fit beside the threads already at work; counts the caller as at work too.
  uint32_t claim(Worker** claimed) {
    std::lock_guard lock(mutex);
    const bool other_expected = expected != std::thread::id() && expected != std::this_thread::get_id() &&
                                busy == 0 && std::chrono::steady_clock::now() < expected_until;
    const uint32_t taken = busy + (other_expected ? 1 : 0);
    const uint32_t free = executor.max_threads > taken ? executor.max_threads - taken : 1;
    const uint32_t n_workers = std::min(free - 1, static_cast<uint32_t>(idle.size()));
    for (uint32_t i = 0; i < n_workers; ++i) {
      claimed[i] = idle.back();
      idle.pop_back();
    }
    busy += n_workers + 1;
    return n_workers;
  }

  /// The calling thread, which ran alone beside others, will likely run again soon.
  void expect_back() {
    std::lock_guard lock(mutex);
    expected = std::this_thread::get_id();
    expected_until = std::chrono::steady_clock::now() + kExpected;
  }

  void release(Worker** claimed, uint32_t n_workers) {
    std::lock_guard lock(mutex);
    // In reverse, so that the next claim finds the workers that ran last, still spinning and with warm
    // caches, in order.
    for (uint32_t i = n_workers; i-- > 0;) idle.push_back(claimed[i]);
    busy -= n_workers + 1;
  }

  std::vector<Worker> workers;
  std::mutex mutex;  // guards what follows
  std::vector<Worker*> idle;
  uint32_t busy = 0;         // threads at work, callers included
  std::thread::id expected;  // the last caller that ran alone beside others
  std::chrono::steady_clock::time_point expected_until;
  weft_executor executor{};
};

ThreadPool::ThreadPool(uint32_t n_threads)
    : state_(std::make_unique<State>(std::clamp(n_threads, 1u, kMaxThreads))) {}

ThreadPool::~ThreadPool() = default;

const weft_executor* ThreadPool::executor() const { return &state_->executor; }

CoreLease ThreadPool::borrow(uint32_t most) { return {this, borrow_cores(most)}; }
uint32_t ThreadPool::borrow_cores(uint32_t most) { return state_->borrow(most); }
void ThreadPool::give_back(uint32_t cores) { state_->give_back(cores); }

CoreLease::CoreLease(CoreLease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), cores_(other.cores_) {}

CoreLease& CoreLease::operator=(CoreLease&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(cores_, other.cores_);
  return *this;
}

CoreLease::~CoreLease() {
  if (pool_) pool_->give_back(cores_);
}

}  // namespace weft
