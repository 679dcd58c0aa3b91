#include "kernels/bench/kernel_peer.h"

#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

extern char** environ;

namespace weft {

/// A shell that runs the command, with one socket as its standard input and output.
struct KernelPeer::Process {
  pid_t id = -1;
  std::FILE* stream = nullptr;  // for reading; what is written goes to its socket
};

void KernelPeer::End::operator()(Process* process) const {
  if (process->stream) std::fclose(process->stream);  // the end of its input
  if (process->id > 0) ::waitpid(process->id, nullptr, 0);
  delete process;
}

namespace {

Status failed(const char* what) {
  return Status(StatusCode::kIoError, std::string("the peer ") + what).got(std::strerror(errno));
}

Result<pid_t> spawn(const std::string& command, unsigned threads, int socket) {
  std::vector<char*> environment;
  for (char** variable = environ; *variable; ++variable)
    if (std::strncmp(*variable, "OMP_NUM_THREADS=", 16) != 0) environment.push_back(*variable);
  std::string n_threads = "OMP_NUM_THREADS=" + std::to_string(threads);
  environment.push_back(n_threads.data());
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, socket, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, socket, STDOUT_FILENO);
  std::string shell = "sh", option = "-c", text = "exec " + command;
  char* const arguments[] = {shell.data(), option.data(), text.data(), nullptr};
  pid_t id = -1;
  const int error = ::posix_spawn(&id, "/bin/sh", &actions, nullptr, arguments, environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return id;
  errno = error;
  return failed("cannot be started");
}

}  // namespace

Result<KernelPeer> KernelPeer::start(const std::string& command, unsigned threads) {
  int sockets[2];
  // Closed on exec: only the copies that become the child's standard streams stay open there.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
    return failed("cannot be connected");
  KernelPeer peer;
  peer.process_.reset(new Process);
  peer.process_->stream = ::fdopen(sockets[0], "r");
  Result<pid_t> id = spawn(command, threads, sockets[1]);
  ::close(sockets[1]);
  if (!peer.process_->stream) return ::close(sockets[0]), failed("cannot be connected");
  if (!id.ok()) return id.status();
  peer.process_->id = *id;
  Result<std::string> name = peer.read_line();
  if (!name.ok()) return name.status();
  peer.name_ = *std::move(name);
  return peer;
}

Result<std::string> KernelPeer::read_line() {
  char line[1024];
  if (!std::fgets(line, sizeof line, process_->stream))
    return Status(StatusCode::kIoError, "the peer ended without an answer")
        .hint("run it alone to see what it says");
  std::string text = line;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

Result<double> KernelPeer::measure(const std::string& work) {
  std::FILE* stream = process_->stream;
  const std::string line = work + "\n";
  // A peer that has ended answers nothing; a signal for writing to it would end this program too.
  if (::send(::fileno(stream), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
    return failed("does not listen");
  Result<std::string> answer = read_line();
  if (!answer.ok()) return answer.status();
  if (*answer == "none") return 0.0;
  double seconds = 0;
  const char* end = answer->data() + answer->size();
  const auto parsed = std::from_chars(answer->data(), end, seconds);
  if (parsed.ec != std::errc() || parsed.ptr != end || !(seconds > 0))
    return Status(StatusCode::kInvalidArgument, "the peer's answer is not a time")
        .expected("seconds, or none")
        .got("'" + *answer + "'");
  return seconds;
}

}  // namespace weft
