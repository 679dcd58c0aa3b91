#include "pipeline/queue/lost_items.h"

#include <unordered_set>
#include <utility>

namespace weft {
namespace {

/// There is nobody to answer to: an item that does not end is found again.
class LostDelivery final : public Delivery {
 public:
  LostDelivery(std::string data, uint64_t tries) : data_(std::move(data)), tries_(tries) {}
  const std::string& data() const override { return data_; }
  uint64_t tries() const override { return tries_; }
  Status in_progress() override { return {}; }
  Status acknowledge() override { return {}; }
  Status give_back(std::chrono::milliseconds) override { return {}; }

 private:
  const std::string data_;
  const uint64_t tries_;
};

}  // namespace

Result<size_t> LostItems::look() {
  found_.clear();
  const Result<QueueCounts> counts = queue_.counts();
  if (!counts.ok()) return counts.status();
  if (counts->done + counts->failed >= counts->items) return size_t{0};
  std::unordered_set<std::string> ended;
  Status status = queue_.for_each_record([&](const QueueRecord& record) {
    ended.insert(record.name);
    return Status();
  });
  if (status.ok()) {
    status = queue_.for_each_item([&](const QueuedItem& item) {
      if (ended.count(item.item.name) == 0) found_.push_back(item);
      return Status();
    });
  }
  if (!status.ok()) return status;
  // Items that were submitted meanwhile are no lost ones.
  const Result<bool> drained = queue_.is_drained();
  if (!drained.ok()) return drained.status();
  if (!*drained) found_.clear();
  return found_.size();
}

std::unique_ptr<Delivery> LostItems::take() {
  if (found_.empty()) return nullptr;
  const QueuedItem item = std::move(found_.front());
  found_.pop_front();
  return std::make_unique<LostDelivery>(to_json(item), ++tries_[item.item.name]);
}

}  // namespace weft
