/// Faults injected into whole runs: the Nth allocation, the Nth system call of a write. Whatever fails, the run ends with
/// an error that says so or succeeds; nothing is left behind, and the next run works.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

#include "pipeline/memory/buffer.h"
#include "pipeline/run/result_cache.h"
#include "pipeline/run/testing/run_fixture.h"
#include "pipeline/run/testing/test_plugin.h"

namespace {
std::atomic<int64_t> allocations_until_failure{-1};  // negative: none fails

bool allocation_fails() {
  return allocations_until_failure.load(std::memory_order_relaxed) >= 0 &&
         allocations_until_failure.fetch_sub(1) == 0;
}
void* allocate(std::size_t size) {
  if (allocation_fails()) return nullptr;
  return std::malloc(size ? size : 1);
}
}  // namespace

// Not inlined: the compiler would take the pair of malloc and operator delete for a mistake.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* memory = allocate(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size);
}
void* operator new[](std::size_t size) { return operator new(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace weft::testing {
namespace {

namespace fs = std::filesystem;

const char kPipeline[] = R"("inputs": {"l": {"type": "list<text>", "default": ["x", "y", "z"]}},
    "nodes": {"t": {"uses": "test.tensor", "with": {"n": 1000}}, "s": {"uses": "test.total", "in": {"t": "t.t"}},
              "p": {"uses": "test.pure", "with": {"add": 2}}, "a": {"uses": "test.stream", "with": {"text": "abcdef"}},
              "b": {"uses": "test.batch", "in": {"text": "inputs.l"}, "for_each": "inputs.l"},
              "o": {"uses": "pipeline:inner.json", "in": {"t": "a.text"}},
              "w": {"uses": "test.write", "with": {"text": "${o.r} ${s.y}", "path": "sub/a.txt"}, "retry": 1}},
    "outputs": {"file": "w.path", "list": "b.text", "p": "p.y"})";

class RunFaults : public RunFixture {
 protected:
  RunFaults() {
    write("inner.json", R"({"weft": 1, "name": "inner", "inputs": {"t": {"type": "text"}},
        "nodes": {"a": {"uses": "test.text", "in": {"text": "inputs.t"}, "with": {"suffix": "+${inputs.t}"}}},
        "outputs": {"r": "a.text"}})");
  }
  void expect_nothing_left() {
    EXPECT_EQ(host().temporaries().count(), 0u);
    for (const std::string& file : files_below(folder() / "out")) {
      EXPECT_TRUE(file == "sub/a.txt" || file == "manifest.json") << file;
    }
    if (fs::exists(folder() / "out/sub/a.txt")) {
      EXPECT_EQ(read(folder() / "out/sub/a.txt"), "abcdef+abcdef 1000.0") << "half a file";
    }
  }
};

TEST_F(RunFaults, EveryFailingAllocationEndsTheRunCleanly) {
  const auto graph = parse(kPipeline);
  auto prepared = prepare_run(*graph, test_provider(), host(), options());
  ASSERT_TRUE(prepared.ok()) << to_string(prepared.error());
  int failures = 0, survived = 0;
  // Steps grow, so that early allocations are all tried and late ones sampled.
  for (int64_t nth = 0, step = 1; survived < 3; nth += step, step = 1 + nth / 150) {
    fs::remove_all(folder() / "out");
    allocations_until_failure = nth;
    Result<RunResult> result = execute(*prepared, options(), nullptr, nullptr);
    const bool reached = allocations_until_failure.exchange(-1) < 0;
    if (!reached) ++survived;
    if (!result.ok()) {
      ++failures;
      EXPECT_TRUE(reached);
      EXPECT_NE(result.code(), StatusCode::kCancelled) << to_string(result.error());
    }
    expect_nothing_left();
  }
  EXPECT_GT(failures, 20);
  auto result = execute(*prepared, options(), nullptr, nullptr);
  ASSERT_TRUE(result.ok()) << to_string(result.error());
  EXPECT_EQ(result->outputs_json["list"], R"(["<x>","<y>","<z>"])");
  EXPECT_EQ(host().memory().statistics({WEFT_DEVICE_CPU, 0}).live_bytes, 0u) << "no buffer leaks";
}

class FailingFileSystem : public FileSystem {
 public:
  void fail_nth(int nth, int error_number) {
    calls_ = nth;
    error_number_ = error_number;
  }
  bool reached() const { return calls_ <= 0; }
  int open(const char* path, int flags, mode_t mode) override {
    return fails() ? -1 : FileSystem::open(path, flags, mode);
  }
  ssize_t write(int fd, const void* data, size_t size) override {
    return fails() ? -1 : FileSystem::write(fd, data, size);
  }
  int fsync(int fd) override { return fails() ? -1 : FileSystem::fsync(fd); }
  int close(int fd) override {
    const int result = FileSystem::close(fd);
    return fails() ? -1 : result;
  }
  int rename(const char* from, const char* to) override {
    return fails() ? -1 : FileSystem::rename(from, to);
  }

 private:
  bool fails() {
    const bool failing = --calls_ == 0;
    if (failing) errno = error_number_;
    return failing;
  }
  std::atomic<int> calls_{0};
  int error_number_ = 0;
};

TEST_F(RunFaults, EveryFailingWriteEndsTheRunCleanly) {
  FailingFileSystem file_system;
  TemporaryFiles temporaries(file_system);
  host_options().temporaries = &temporaries;
  options().trace_path = folder() / "trace.json";
  const auto graph = parse(kPipeline);
  auto prepared = prepare_run(*graph, test_provider(), host(), options());
  ASSERT_TRUE(prepared.ok());
  for (const int error_number : {ENOSPC, EIO}) {
    int failures = 0;
    for (int nth = 1;; ++nth) {
      fs::remove_all(folder() / "out");
      file_system.fail_nth(nth, error_number);
      auto result = execute(*prepared, options(), nullptr, nullptr);
      const bool reached = file_system.reached();
      file_system.fail_nth(0, 0);
      expect_nothing_left();
      if (!reached) {
        EXPECT_TRUE(result.ok());
        break;
      }
      // The node that writes is tried twice, so that one failure of its file is survived.
      if (!result.ok()) {
        ++failures;
        EXPECT_EQ(result.code(), StatusCode::kIoError) << to_string(result.error());
      }
    }
    EXPECT_GE(failures, 10) << "of the trace and the manifest";
  }
}

TEST_F(RunFaults, AFailingResultCacheIsOnlySlower) {
  FailingFileSystem file_system;
  TemporaryFiles temporaries(file_system);
  for (int nth = 1; nth < 12; ++nth) {
    ResultCache cache(folder() / ("cache" + std::to_string(nth)), 1 << 20, temporaries);
    options().cache = &cache;
    file_system.fail_nth(nth, ENOSPC);
    EXPECT_EQ(output(kPipeline, "p"), "2");
    EXPECT_EQ(output(kPipeline, "p"), "2");
    EXPECT_EQ(temporaries.count(), 0u);
  }
}

}  // namespace
}  // namespace weft::testing
