#include "pipeline/run/interrupt.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>

#include "pipeline/graph/parse.h"
#include "pipeline/run/cancel.h"
#include "pipeline/run/host.h"
#include "pipeline/run/run.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft::testing {
namespace {

namespace fs = std::filesystem;

class InterruptTest : public ::testing::Test {
 protected:
  InterruptTest() {
    std::string pattern = (fs::temp_directory_path() / "weft-int-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~InterruptTest() override { fs::remove_all(folder_); }

  /// Runs `body` in a child process, sends it `signal` once it has made the file "ready", and gives its wait status.
  int signalled(int signal, const std::function<void()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
      body();
      ::_exit(99);
    }
    while (!fs::exists(folder_ / "ready")) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ::kill(child, signal);
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }
  void ready() const { std::ofstream(folder_ / "ready") << "x"; }
  size_t files() const { return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {})); }
  fs::path folder_;
};

struct Ending {
  int signal, exit_code;
};
class InterruptEnds : public InterruptTest, public ::testing::WithParamInterface<Ending> {};

TEST_P(InterruptEnds, AProcessThatIgnoresItAndRemovesTemporaries) {
  const int status = signalled(GetParam().signal, [this] {
    FileSystem file_system;
    TemporaryFiles temporaries(file_system);
    const Interrupt interrupt(temporaries, [](int) { return Interrupt::Then::kEndProcess; });
    auto file = DurableFile::create(temporaries, folder_ / "poem.txt");
    if (!file.ok() || !file->write("half").ok()) ::_exit(98);
    ready();
    for (;;) ::pause();
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), GetParam().exit_code);
  EXPECT_EQ(files(), 1u) << "only the file 'ready'";
}
INSTANTIATE_TEST_SUITE_P(Signals, InterruptEnds,
                         ::testing::Values(Ending{SIGINT, 130}, Ending{SIGTERM, 143}));

// What gives back the memory of an ended process must not keep its pipes open: programs read until they end.
TEST_F(InterruptTest, PipesOfTheProcessEndWithIt) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int status = signalled(SIGINT, [&] {
    ::close(ends[0]);
    FileSystem file_system;
    TemporaryFiles temporaries(file_system);
    const Interrupt interrupt(temporaries, [](int) { return Interrupt::Then::kEndProcess; });
    ready();
    for (;;) ::pause();
  });
  EXPECT_EQ(WEXITSTATUS(status), 130);
  ::close(ends[1]);
  constexpr int kLongest_ms = 5000;  // half of what the memory is kept at most
  pollfd end{ends[0], POLLIN, 0};
  EXPECT_EQ(::poll(&end, 1, kLongest_ms), 1);
  EXPECT_EQ(end.revents & (POLLIN | POLLHUP), POLLHUP);
  ::close(ends[0]);
}

TEST_F(InterruptTest, ANodeThatDoesNotPollCannotHoldTheProcess) {
  const int status = signalled(SIGINT, [this] {
    FileSystem file_system;
    TemporaryFiles temporaries(file_system);
    CancelToken cancel;
    const Interrupt interrupt(temporaries, [&](int) {
      cancel.cancel();
      return Interrupt::Then::kEndProcess;
    });
    const ParsedPipeline parsed = parse_pipeline(
        R"({"weft": 1, "name": "t", "nodes": {
            "w": {"uses": "test.write", "with": {"text": "x", "path": "a.txt", "then": "wait"}},
            "s": {"uses": "test.stubborn", "with": {"ms": 60000}}}, "outputs": {"w": "w.path", "s": "s.y"}})",
        "t.json", test_catalog());
    HostOptions host_options;
    host_options.threads = 2;
    host_options.temporaries = &temporaries;
    Host host(host_options);
    RunOptions options;
    options.out_folder = folder_;
    auto prepared = prepare_run(*parsed.graph, test_provider(), host, options);
    if (!prepared.ok()) ::_exit(98);
    int started = 0;
    (void)execute(
        *prepared, options,
        [&](const Event& event) {
          if (std::holds_alternative<NodeStarted>(event) && ++started == 2) ready();
        },
        &cancel);
    ::_exit(97);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_EQ(files(), 1u);
}

TEST_F(InterruptTest, AProgramThatStopsByItselfKeepsItsOwnExitCode) {
  const int status = signalled(SIGINT, [this] {
    FileSystem file_system;
    TemporaryFiles temporaries(file_system);
    CancelToken cancel;
    int code = 0;
    {
      const Interrupt interrupt(temporaries, [&](int) {
        cancel.cancel();
        return Interrupt::Then::kEndProcess;
      });
      ready();
      while (!cancel.cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      while (interrupt.signal_number() == 0) std::this_thread::yield();
      code = interrupt.signal_number();
    }
    ::_exit(40 + code);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 40 + SIGINT);
}

TEST_F(InterruptTest, AProgramMayGoOn) {
  const int status = signalled(SIGINT, [this] {
    FileSystem file_system;
    TemporaryFiles temporaries(file_system);
    std::atomic<int> answers{0};
    const Interrupt interrupt(temporaries, [&](int) {
      ++answers;
      return Interrupt::Then::kGoOn;
    });
    ready();
    while (answers == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    ::_exit(interrupt.signal_number() == 0 ? 7 : 8);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

}  // namespace
}  // namespace weft::testing
