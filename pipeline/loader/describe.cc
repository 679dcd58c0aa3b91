#include "pipeline/loader/describe.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "pipeline/files/content_hash.h"
#include "pipeline/loader/descriptor_json.h"

extern char** environ;

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kAnswerInChild = 3;
constexpr size_t kMaxAnswerBytes = 16 << 20, kMaxComplaintBytes = 4 << 10;

class Pipe {
 public:
  Pipe() {
    if (::pipe2(fds_, O_CLOEXEC | O_NONBLOCK) != 0) fds_[0] = fds_[1] = -1;
    // The child must see an ordinary pipe: only this end does not block.
    if (fds_[1] >= 0) ::fcntl(fds_[1], F_SETFL, ::fcntl(fds_[1], F_GETFL) & ~O_NONBLOCK);
  }
  ~Pipe() {
    close(0);
    close(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  bool valid() const { return fds_[0] >= 0; }
  int reading() const { return fds_[0]; }
  int writing() const { return fds_[1]; }
  void close_writing() { close(1); }

  /// Appends what is there, up to `limit` bytes in all; further bytes are dropped.
  void drain(std::string& text, size_t limit) {
    char block[1 << 14];
    for (;;) {
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
  int fds_[2];
};

struct Ending {
  int wait_status = 0;
  bool timed_out = false;
  std::string answer, complaint;
};

Result<pid_t> spawn(const std::string& program, const std::string& path, const Pipe& answer,
                    const Pipe& complaint) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, complaint.writing(), STDERR_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, answer.writing(), kAnswerInChild);
  // A group of its own, so that what the library may start is ended with it and Ctrl-C does not reach it; and no signal
  // blocked, whatever this thread blocks.
  sigset_t none;
  sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  const char* const arguments[] = {program.c_str(), path.c_str(), nullptr};
  pid_t child = 0;
  const int failure = ::posix_spawn(&child, program.c_str(), &actions, &attributes,
                                    const_cast<char* const*>(arguments), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (failure != 0) {
    return Status(failure == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError,
                  std::string("cannot start the program that describes plugins: ") + std::strerror(failure))
        .at(program)
        .hint("the installation of Weft is incomplete");
  }
  return child;
}

// Collects what the child writes until it ends or the time is over. A process that the library left behind may hold the
// pipes open, so the end of the child counts, not the end of the pipes.
Ending wait_for(pid_t child, Pipe& answer, Pipe& complaint, std::chrono::milliseconds time_limit) {
  Ending ending;
  const Clock::time_point deadline = Clock::now() + time_limit;
  for (bool ended = false; !ended;) {
    pollfd watched[] = {{answer.reading(), POLLIN, 0}, {complaint.reading(), POLLIN, 0}};
    ::poll(watched, 2, 10);
    const bool hung_up = (watched[0].revents & POLLHUP) != 0 && (watched[1].revents & POLLHUP) != 0;
    answer.drain(ending.answer, kMaxAnswerBytes);
    complaint.drain(ending.complaint, kMaxComplaintBytes);
    const pid_t waited = ::waitpid(child, &ending.wait_status, WNOHANG);
    ended = waited == child || (waited < 0 && errno != EINTR);
    if (!ended && Clock::now() >= deadline) {
      ending.timed_out = true;
      ::kill(-child, SIGKILL);
      while (::waitpid(child, &ending.wait_status, 0) < 0 && errno == EINTR) {
      }
      ended = true;
    } else if (!ended && hung_up) {
      ::usleep(500);  // about to end; poll would return at once
    }
  }
  answer.drain(ending.answer, kMaxAnswerBytes);
  complaint.drain(ending.complaint, kMaxComplaintBytes);
  ::kill(-child, SIGKILL);  // what it left behind
  return ending;
}

std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of(" \n\r\t");
  if (end == std::string::npos) return {};
  const size_t newline = text.find_last_of('\n', end);
  return text.substr(newline == std::string::npos ? 0 : newline + 1,
                     end - (newline == std::string::npos ? 0 : newline + 1) + 1);
}

Result<Description> judge(const Ending& ending, std::chrono::milliseconds time_limit) {
  const auto failed = [&](StatusCode code, std::string message) {
    const std::string said = last_line(ending.complaint);
    return Status(code, message + (said.empty() ? "" : "; it said: " + said))
        .hint("ask its author, or remove it");
  };
  const int status = ending.wait_status;
  if (ending.timed_out || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)) {
    return failed(StatusCode::kTimedOut,
                  "it did not describe itself within " + std::to_string(time_limit.count()) + " ms");
  }
  if (WIFSIGNALED(status)) {
    return failed(StatusCode::kInternal, std::string("it crashed while it was asked for its descriptor: ") +
                                             ::strsignal(WTERMSIG(status)));
  }
  Result<Description> description = description_from_json(ending.answer);
  if (!description.ok() && ending.answer.empty()) {
    return failed(StatusCode::kInternal,
                  "it ended the process that asked for its descriptor, with exit status " +
                      std::to_string(WEXITSTATUS(status)));
  }
  if (!description.ok()) return failed(StatusCode::kCorruptData, description.error().message);
  if (WEXITSTATUS(status) != 0) {
    if (description->problems.empty())
      return failed(StatusCode::kInternal, "it could not be asked for its descriptor");
    return Status(description->problems.front());
  }
  return description;
}

}  // namespace

Result<Description> describe_plugin(const std::string& path, const DescribeOptions& options) {
  Result<FileIdentity> identity = identify_file(path);
  if (!identity.ok()) return identity.status();
  Result<std::string> sha256 = sha256_of_file(path);
  if (!sha256.ok()) return sha256.status();

  Pipe answer, complaint;
  if (!answer.valid() || !complaint.valid()) {
    return Status(StatusCode::kIoError, std::string("cannot make a pipe: ") + std::strerror(errno));
  }
  Result<pid_t> child = spawn(options.program, path, answer, complaint);
  if (!child.ok()) return child.status();
  answer.close_writing();
  complaint.close_writing();
  Result<Description> description =
      judge(wait_for(*child, answer, complaint, options.time_limit), options.time_limit);
  if (!description.ok()) {
    Error error = description.error();
    if (error.where.empty()) error.where = path;
    return Status(std::move(error));
  }
  description->descriptor.path = path;
  description->descriptor.sha256 = *sha256;
  description->descriptor.file = *identity;
  for (Error& problem : validate_descriptor(description->descriptor))
    description->problems.push_back(std::move(problem));
  return description;
}

}  // namespace weft
