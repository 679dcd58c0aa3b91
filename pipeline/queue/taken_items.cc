#include "pipeline/queue/taken_items.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookForCancel{1000};
constexpr milliseconds kShortestInterval{50};
constexpr int kBeatsInSilence = 4;  // so that one or two may be lost

}  // namespace

TakenItems::TakenItems(Queue& queue, milliseconds silence, CancelToken& cancelled)
    : queue_(queue),
      interval_(std::clamp(silence / kBeatsInSilence, kShortestInterval, kLookForCancel)),
      cancelled_(cancelled),
      thread_([this] { beat(); }) {}

TakenItems::~TakenItems() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    closing_.notify_one();
  }
  thread_.join();
}

void TakenItems::beat() {
  std::unique_lock lock(mutex_);
  while (!closing_.wait_for(lock, interval_, [this] { return closed_; })) {
    // While the server is away this does nothing; it begins its count anew when it is back.
    for (const auto& [item, delivery] : items_) (void)delivery->in_progress();
    lock.unlock();
    const Result<bool> ends = queue_.is_cancelled();
    if (ends.ok() && *ends) cancelled_.cancel();
    lock.lock();
  }
}

bool TakenItems::add(const std::string& item, std::unique_ptr<Delivery> delivery) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Delivery>& slot = items_[item];
  const bool is_new = slot == nullptr;
  slot = std::move(delivery);
  return is_new;
}

bool TakenItems::empty() const {
  const std::lock_guard lock(mutex_);
  return items_.empty();
}

uint64_t TakenItems::tries(const std::string& item) const {
  const std::lock_guard lock(mutex_);
  const auto taken = items_.find(item);
  return taken == items_.end() ? 0 : taken->second->tries();
}

std::unique_ptr<Delivery> TakenItems::remove(const std::string& item) {
  const std::lock_guard lock(mutex_);
  const auto taken = items_.find(item);
  if (taken == items_.end()) return nullptr;
  std::unique_ptr<Delivery> delivery = std::move(taken->second);
  items_.erase(taken);
  return delivery;
}

void TakenItems::acknowledge(const std::string& item) {
  if (const std::unique_ptr<Delivery> delivery = remove(item)) (void)delivery->acknowledge();
}

void TakenItems::give_back(const std::string& item, milliseconds delay) {
  if (const std::unique_ptr<Delivery> delivery = remove(item)) (void)delivery->give_back(delay);
}

}  // namespace weft
