#include "pipeline/queue/testing/nats_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>

extern char** environ;

namespace weft::testing {
namespace {

constexpr std::chrono::seconds kPatience{20};
constexpr std::chrono::milliseconds kLookAgain{20};

sockaddr_in local(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

/// A port that nobody listens on, now.
int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = local(0);
  socklen_t size = sizeof address;
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(fd);
  return bound ? ntohs(address.sin_port) : 0;
}

bool answers(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = local(port);
  const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connected;
}

}  // namespace

NatsServer::NatsServer() {
  std::string pattern = (std::filesystem::temp_directory_path() / "weft-nats-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    problem_ = "no folder for nats-server";
    return;
  }
  folder_ = pattern;
  port_ = free_port();
  start();
}

NatsServer::~NatsServer() {
  kill();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::string NatsServer::queue(const std::string& name) const {
  return "nats://127.0.0.1:" + std::to_string(port_) + "/" + name;
}

void NatsServer::start() {
  const std::string port = std::to_string(port_), store = (folder_ / "store").string();
  std::string arguments[] = {"nats-server", "--jetstream", "--store_dir", store,
                             "--port",      port,          "--addr",      "127.0.0.1"};
  char* argv[std::size(arguments) + 1] = {};
  for (size_t i = 0; i < std::size(arguments); ++i) argv[i] = arguments[i].data();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string log = (folder_ / "log").string();
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  // Nothing of the test's own: a reader of its output would wait for a server that outlives a test that was killed.
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  const int error = ::posix_spawnp(&process_, argv[0], &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    process_ = -1;
    problem_ = std::string("nats-server does not run here: ") + std::strerror(error);
    return;
  }
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!answers(port_)) {
    if (std::chrono::steady_clock::now() > end || ::waitpid(process_, nullptr, WNOHANG) == process_) {
      problem_ = "nats-server does not answer";
      return;
    }
    std::this_thread::sleep_for(kLookAgain);
  }
}

void NatsServer::kill() {
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

}  // namespace weft::testing
