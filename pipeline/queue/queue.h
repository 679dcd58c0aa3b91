/// A queue of items that workers on many machines share, kept by a NATS server with JetStream.
///
/// Four streams of a queue NAME, one message a subject, all in files of the server:
///   weft-NAME-state      weft.NAME.state.setup, .submitted, .cancelled: a QueueSetup; that all items are in; that it ends
///   weft-NAME-items      weft.NAME.item.KEY     a QueuedItem; a work consumer "workers" hands each out until it is acknowledged
///   weft-NAME-records    weft.NAME.record.KEY   a QueueRecord: how the item ended. The server takes one a subject
///   weft-NAME-failures   weft.NAME.failure.KEY  the records of failed ones again: the dead letters
/// KEY is a hash of the item's name. An item that was handed out is acknowledged once its record is stored, so that it is
/// run at least once and ends in one record, whoever else runs it too.
/// Errors of all calls: as JetStream's; kTimedOut means: ask again. Thread safety: any thread.
#ifndef WEFT_PIPELINE_QUEUE_QUEUE_H
#define WEFT_PIPELINE_QUEUE_QUEUE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "pipeline/queue/jetstream.h"
#include "pipeline/queue/messages.h"
#include "pipeline/queue/queue_address.h"

namespace weft {

struct QueueCounts {
  uint64_t items = 0, done = 0, failed = 0;
  uint64_t running =
      0;  // handed to a worker; one that died, or gave its item back, counts until another takes it
  uint64_t waiting() const { return items - done - failed - running; }
};

class Queue {
 public:
  /// Errors: those of connect_jetstream, with the address.
  static Result<Queue> connect(const QueueAddress& address);

  /// Makes the queue, or finds it: what was set up first stays, and is returned.
  Result<QueueSetup> create(const QueueSetup& setup);
  /// Errors: kNotFound if there is no such queue.
  Result<QueueSetup> setup();
  /// Whether the item is new. Errors: kAlreadyExists if the queue has another one of that name.
  Result<bool> add(const QueuedItem& item);
  /// All items are in: workers end when these have ended.
  Status mark_submitted();
  Status mark_cancelled();
  Result<bool> is_submitted();
  Result<bool> is_cancelled();
  /// Deletes the queue with all that it knows.
  Status remove();

  /// The next item to work on; null if there is none now.
  Result<std::unique_ptr<Delivery>> take();
  /// Whether no item is left to be acknowledged.
  Result<bool> is_drained();
  /// Whether this is now the item's record: false if another attempt's was first. A failed one becomes a dead letter too.
  /// To be repeated until it succeeds; also with a record that was found, whose writer may not have come further.
  Result<bool> put_record(const QueueRecord& record);
  Result<std::optional<QueueRecord>> find_record(const std::string& item);
  Status flush() { return server_->flush(); }

  Result<QueueCounts> counts();
  Status for_each_item(const std::function<Status(const QueuedItem&)>& visit);
  Status for_each_record(const std::function<Status(const QueueRecord&)>& visit);
  Status for_each_failure(const std::function<Status(const QueueRecord&)>& visit);

  const QueueAddress& address() const { return address_; }

 private:
  Queue(QueueAddress address, std::unique_ptr<JetStream> server);
  std::string stream(const char* kind) const { return "weft-" + address_.name + "-" + kind; }
  std::string subject(const char* kind, const std::string& key) const;

  QueueAddress address_;
  std::unique_ptr<JetStream> server_;
};

}  // namespace weft
#endif
