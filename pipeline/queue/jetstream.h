/// A JetStream server, as far as queues of items need one: streams of messages that stay until they are deleted, at most
/// one message a subject, and deliveries that the server makes again when nobody answers for them.
///
/// Streams lie in files of the server. The connection comes back by itself after the server was away. What the server
/// does not answer in kPatience fails with kTimedOut: it may be asked again, since nothing here has another effect the
/// second time. Errors of all calls: kTimedOut; kNotFound for a stream or consumer that does not exist; kPermissionDenied;
/// kIoError with what the server said.
/// Ownership: the connection outlives its deliveries. Thread safety: any thread.
#ifndef WEFT_PIPELINE_QUEUE_JETSTREAM_H
#define WEFT_PIPELINE_QUEUE_JETSTREAM_H

#include <weft/sdk/status.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace weft {

/// A message that was handed out to this process, and goes to another one unless it is answered for.
class Delivery {
 public:
  virtual ~Delivery() = default;
  virtual const std::string& data() const = 0;
  /// How often the message was handed out, this time included.
  virtual uint64_t tries() const = 0;
  /// It is still being worked on: the server waits anew.
  virtual Status in_progress() = 0;
  /// It is done with, and never comes again.
  virtual Status acknowledge() = 0;
  /// It may be handed out again, not before `delay`.
  virtual Status give_back(std::chrono::milliseconds delay) = 0;
};

class JetStream {
 public:
  static constexpr std::chrono::milliseconds kPatience{5000};

  virtual ~JetStream() = default;

  /// Makes sure that there is a stream of these subjects ("weft.demo.item.*").
  virtual Status create_stream(const std::string& stream, const std::string& subjects) = 0;
  /// Makes sure that messages of the stream are handed out, each anew when it is not answered for within `silence`.
  virtual Status create_consumer(const std::string& stream, const std::string& consumer,
                                 std::chrono::milliseconds silence) = 0;
  /// Deletes a stream with its messages and consumers; nothing if there is none.
  virtual Status delete_stream(const std::string& stream) = 0;

  /// Stores a message unless its subject has one: whether it did. Stored when it returns.
  virtual Result<bool> publish_first(const std::string& subject, const std::string& data) = 0;
  /// The message of a subject; nothing if it has none.
  virtual Result<std::optional<std::string>> find(const std::string& stream, const std::string& subject) = 0;
  virtual Result<uint64_t> count(const std::string& stream) = 0;
  /// Every message that the stream has when the call begins, in order.
  virtual Status read_all(const std::string& stream, const std::string& subjects,
                          const std::function<Status(const std::string& data)>& visit) = 0;

  /// The next message to work on; null if there is none now.
  virtual Result<std::unique_ptr<Delivery>> take(const std::string& stream, const std::string& consumer) = 0;
  struct Outstanding {
    uint64_t never_taken = 0, taken = 0;  // messages; taken: handed out and not acknowledged
  };
  virtual Result<Outstanding> outstanding(const std::string& stream, const std::string& consumer) = 0;
  /// Waits until the server has all answers that were given.
  virtual Status flush() = 0;
};

/// url: "nats://host:4222". client: shown by the server's own tools.
/// Errors: kIoError if no server is there; kPermissionDenied; kUnsupported if the server has no JetStream, or if this build
/// has no NATS client.
Result<std::unique_ptr<JetStream>> connect_jetstream(const std::string& url, const std::string& client);

}  // namespace weft
#endif
