/// Items that their queue holds to have ended and of whose end it knows nothing: a server syncs its files now and then, so
/// that a loss of power may take records that it had confirmed, and leave the note that their items were acknowledged.
///
/// Several workers may find them at the same time and run them: the first record stays, as ever.
/// Ownership: the queue outlives it. Thread safety: one thread.
///
///   if (drained && *lost.look() > 0) delivery = lost.take();
#ifndef WEFT_PIPELINE_QUEUE_LOST_ITEMS_H
#define WEFT_PIPELINE_QUEUE_LOST_ITEMS_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "pipeline/queue/queue.h"

namespace weft {

class LostItems {
 public:
  explicit LostItems(Queue& queue) : queue_(queue) {}

  /// Asks a queue that hands out no more items for those without a record; how many they are. Errors: those of the queue.
  Result<size_t> look();
  /// The next one, as if the queue had handed it out; its tries are those of this worker. Null: none is left.
  std::unique_ptr<Delivery> take();

 private:
  Queue& queue_;
  std::deque<QueuedItem> found_;
  std::map<std::string, uint64_t> tries_;  // by name
};

}  // namespace weft
#endif
