/// A real nats-server with JetStream for a test, on a port of its own, with its files in a folder that is removed.
///
/// Ownership: a child process, which ends with the object. Thread safety: one thread.
#ifndef WEFT_PIPELINE_QUEUE_TESTING_NATS_SERVER_H
#define WEFT_PIPELINE_QUEUE_TESTING_NATS_SERVER_H

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace weft::testing {

class NatsServer {
 public:
  NatsServer();
  ~NatsServer();
  NatsServer(const NatsServer&) = delete;
  NatsServer& operator=(const NatsServer&) = delete;

  /// Why it does not run: empty if it does. A test that gets a reason skips itself with it.
  const std::string& problem() const { return problem_; }
  /// "nats://127.0.0.1:PORT/NAME"
  std::string queue(const std::string& name) const;
  /// Ends the process without any ceremony, as a power cut of its machine would.
  void kill();
  /// Starts it on the same port with what its files hold.
  void start();

 private:
  std::filesystem::path folder_;
  int port_ = 0;
  pid_t process_ = -1;
  std::string problem_;
};

}  // namespace weft::testing
#endif
