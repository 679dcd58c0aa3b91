/// The items that a worker has taken from a queue and not answered for yet. A thread tells the server now and then that they
/// are being worked on, and looks whether the queue was cancelled.
///
/// Once this process stands still, nobody does, and its items go to other workers.
/// Ownership: the queue outlives it. Thread safety: any thread.
#ifndef WEFT_PIPELINE_QUEUE_TAKEN_ITEMS_H
#define WEFT_PIPELINE_QUEUE_TAKEN_ITEMS_H

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "pipeline/queue/queue.h"
#include "pipeline/run/cancel.h"

namespace weft {

class TakenItems {
 public:
  /// silence: as QueueSetup::silence_ms. cancelled is set when the queue was.
  TakenItems(Queue& queue, std::chrono::milliseconds silence, CancelToken& cancelled);
  ~TakenItems();
  TakenItems(const TakenItems&) = delete;
  TakenItems& operator=(const TakenItems&) = delete;

  /// Whether the item is new here. It is not if the server gave it away in the belief that this worker was gone: it goes on,
  /// and is answered for through the latest delivery.
  bool add(const std::string& item, std::unique_ptr<Delivery> delivery);
  bool empty() const;
  /// How often the item was handed out; 0 for one that is not here.
  uint64_t tries(const std::string& item) const;
  /// These two take the item out. A failure only means that the server hands it out again.
  void acknowledge(const std::string& item);
  void give_back(const std::string& item, std::chrono::milliseconds delay);

 private:
  std::unique_ptr<Delivery> remove(const std::string& item);
  void beat();

  Queue& queue_;
  const std::chrono::milliseconds interval_;
  CancelToken& cancelled_;
  mutable std::mutex mutex_;
  std::condition_variable closing_;
  std::map<std::string, std::unique_ptr<Delivery>> items_;
  bool closed_ = false;
  std::thread thread_;
};

}  // namespace weft
#endif
