#include "pipeline/loader/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

extern char** environ;

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxAnswerBytes = 16 << 20, kMaxComplaintBytes = 64 << 10;

class Pipe {
 public:
  Pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return;
    // Away from the numbers that the child's ends get, which are free here if this program was started without them.
    for (int end = 0; end < 2; ++end) {
      fds_[end] = ::fcntl(fds[end], F_DUPFD_CLOEXEC, 10);
      ::close(fds[end]);
    }
    if (fds_[0] >= 0)
      ::fcntl(fds_[0], F_SETFL, O_NONBLOCK);  // only this end: the child sees an ordinary pipe
  }
  ~Pipe() {
    close(0);
    close(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  bool valid() const { return fds_[0] >= 0 && fds_[1] >= 0; }
  int reading() const { return fds_[0]; }
  int writing() const { return fds_[1]; }
  void close_writing() { close(1); }

  /// Appends what is there, up to `limit` bytes in all; further bytes are dropped. Returns even if more keeps coming.
  void drain(std::string& text, size_t limit) {
    char block[1 << 14];
    for (int blocks = 0; blocks < 64; ++blocks) {
      const ssize_t got = ::read(fds_[0], block, sizeof block);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      text.append(block, std::min(static_cast<size_t>(got), limit - std::min(limit, text.size())));
    }
  }

 private:
  void close(int end) {
    if (fds_[end] >= 0) ::close(std::exchange(fds_[end], -1));
  }
  int fds_[2] = {-1, -1};
};

Result<pid_t> spawn(const std::string& program, const std::vector<std::string>& arguments, const Pipe& answer,
                    const Pipe& complaint) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, complaint.writing(), STDERR_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, answer.writing(), kAnswerDescriptor);
  // A group of its own, so that what the library may start is ended with it and Ctrl-C does not reach it; and no signal
  // blocked, whatever this thread blocks.
  sigset_t none;
  sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  std::vector<char*> words = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  pid_t child = 0;
  const int failure = ::posix_spawn(&child, program.c_str(), &actions, &attributes, words.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (failure != 0) {
    return Status(
               failure == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError,
               std::string("cannot start a program of Weft that looks at plugins: ") + std::strerror(failure))
        .at(program)
        .hint("the installation of Weft is incomplete");
  }
  return child;
}

std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of(" \n\r\t");
  if (end == std::string::npos) return {};
  const size_t newline = text.find_last_of('\n', end);
  return text.substr(newline == std::string::npos ? 0 : newline + 1,
                     end - (newline == std::string::npos ? 0 : newline + 1) + 1);
}

// Collects what the child writes until it ends or the time is over. A process that the library left behind may hold the
// pipes open, so the end of the child counts, not the end of the pipes.
ChildOutcome wait_for(pid_t child, Pipe& answer, Pipe& complaint, std::chrono::milliseconds time_limit) {
  ChildOutcome outcome;
  std::string complained;
  int status = 0;
  const Clock::time_point deadline = Clock::now() + time_limit;
  for (bool ended = false; !ended;) {
    pollfd watched[] = {{answer.reading(), POLLIN, 0}, {complaint.reading(), POLLIN, 0}};
    ::poll(watched, 2, 10);
    const bool hung_up = (watched[0].revents & POLLHUP) != 0 && (watched[1].revents & POLLHUP) != 0;
    answer.drain(outcome.answer, kMaxAnswerBytes);
    complaint.drain(complained, kMaxComplaintBytes);
    const pid_t waited = ::waitpid(child, &status, WNOHANG);
    ended = waited == child || (waited < 0 && errno != EINTR);
    if (!ended && Clock::now() >= deadline) {
      outcome.ending = ChildOutcome::Ending::kTimedOut;
      ::kill(-child, SIGKILL);
      while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
      ended = true;
    } else if (!ended && hung_up) {
      ::usleep(500);  // about to end; poll would return at once
    }
  }
  answer.drain(outcome.answer, kMaxAnswerBytes);
  complaint.drain(complained, kMaxComplaintBytes);
  ::kill(-child, SIGKILL);  // what it left behind
  outcome.last_words = last_line(complained);
  if (outcome.ending == ChildOutcome::Ending::kTimedOut) return outcome;
  outcome.ending = WIFSIGNALED(status) ? ChildOutcome::Ending::kSignalled : ChildOutcome::Ending::kExited;
  outcome.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) outcome.ending = ChildOutcome::Ending::kTimedOut;
  return outcome;
}

}  // namespace

std::string ChildOutcome::describe() const {
  std::string text = "ran out of time";
  if (ending == Ending::kSignalled) text = std::string("crashed: ") + ::strsignal(code);
  if (ending == Ending::kExited) text = "ended the process with exit status " + std::to_string(code);
  return last_words.empty() ? text : text + "; it said: " + last_words;
}

Result<ChildOutcome> run_child(const std::string& program, const std::vector<std::string>& arguments,
                               std::chrono::milliseconds time_limit) {
  Pipe answer, complaint;
  if (!answer.valid() || !complaint.valid()) {
    return Status(StatusCode::kIoError, std::string("cannot make a pipe: ") + std::strerror(errno));
  }
  Result<pid_t> child = spawn(program, arguments, answer, complaint);
  if (!child.ok()) return child.status();
  answer.close_writing();
  complaint.close_writing();
  return wait_for(*child, answer, complaint, time_limit);
}

}  // namespace weft
