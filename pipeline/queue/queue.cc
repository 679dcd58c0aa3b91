#include "pipeline/queue/queue.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "pipeline/files/content_hash.h"

namespace weft {
namespace {

constexpr const char* kConsumer = "workers";
constexpr size_t kKeyDigits = 32;

/// Streams and the token of their subjects.
constexpr std::pair<const char*, const char*> kStreams[] = {
    {"state", "state"}, {"items", "item"}, {"records", "record"}, {"failures", "failure"}};

std::string key_of(const std::string& item) { return sha256_of_text(item).substr(0, kKeyDigits); }

template <typename T>
std::function<Status(const std::string&)> parsing(Result<T> (*parse)(const std::string&),
                                                  const std::function<Status(const T&)>& visit) {
  return [=](const std::string& data) -> Status {
    const Result<T> message = parse(data);
    return message.ok() ? visit(*message) : message.status();
  };
}

}  // namespace

Queue::Queue(QueueAddress address, std::unique_ptr<JetStream> server)
    : address_(std::move(address)), server_(std::move(server)) {}

Result<Queue> Queue::connect(const QueueAddress& address) {
  Result<std::unique_ptr<JetStream>> server =
      connect_jetstream(address.server, "weft " + std::to_string(::getpid()));
  if (!server.ok()) return server.status().at(address.shown);
  return Queue(address, *std::move(server));
}

std::string Queue::subject(const char* kind, const std::string& key) const {
  return "weft." + address_.name + "." + kind + "." + key;
}

Result<QueueSetup> Queue::create(const QueueSetup& setup) {
  for (const auto& [kind, token] : kStreams) {
    if (Status status = server_->create_stream(stream(kind), subject(token, "*")); !status.ok()) {
      return std::move(status).at(address_.shown);
    }
  }
  const Result<bool> first = server_->publish_first(subject("state", "setup"), to_json(setup));
  if (!first.ok()) return first.status();
  Result<QueueSetup> valid = *first ? Result<QueueSetup>(setup) : this->setup();
  if (!valid.ok()) return valid;
  const std::chrono::milliseconds silence(valid->silence_ms);
  if (Status status = server_->create_consumer(stream("items"), kConsumer, silence); !status.ok()) {
    return std::move(status).at(address_.shown);
  }
  return valid;
}

Result<QueueSetup> Queue::setup() {
  Result<std::optional<std::string>> found = server_->find(stream("state"), subject("state", "setup"));
  const bool none = found.ok() ? !found->has_value() : found.code() == StatusCode::kNotFound;
  if (none) {
    return Status(StatusCode::kNotFound, "there is no such queue")
        .at(address_.shown)
        .hint("weft submit makes one");
  }
  if (!found.ok()) return found.status();
  return parse_setup(**found);
}

Result<bool> Queue::add(const QueuedItem& item) {
  const std::string at = subject("item", key_of(item.item.name));
  Result<bool> first = server_->publish_first(at, to_json(item));
  if (!first.ok() || *first) return first;
  Result<std::optional<std::string>> known = server_->find(stream("items"), at);
  if (!known.ok()) return known.status();
  if (*known && **known == to_json(item)) return false;
  return Status(StatusCode::kAlreadyExists, "the queue has another item of the name '" + item.item.name + "'")
      .at(item.item.place)
      .hint("give changed items a new id, or submit them to another queue");
}

Status Queue::mark_submitted() {
  return server_->publish_first(subject("state", "submitted"), "{}").status();
}

Status Queue::mark_cancelled() {
  return server_->publish_first(subject("state", "cancelled"), "{}").status();
}

Result<bool> Queue::is_submitted() {
  Result<std::optional<std::string>> found = server_->find(stream("state"), subject("state", "submitted"));
  return found.ok() ? Result<bool>(found->has_value()) : found.status();
}

Result<bool> Queue::is_cancelled() {
  Result<std::optional<std::string>> found = server_->find(stream("state"), subject("state", "cancelled"));
  return found.ok() ? Result<bool>(found->has_value()) : found.status();
}

Status Queue::remove() {
  for (const auto& [kind, token] : kStreams) {
    if (Status status = server_->delete_stream(stream(kind)); !status.ok()) return status;
  }
  return {};
}

Result<std::unique_ptr<Delivery>> Queue::take() { return server_->take(stream("items"), kConsumer); }

Result<bool> Queue::is_drained() {
  const Result<JetStream::Outstanding> left = server_->outstanding(stream("items"), kConsumer);
  if (!left.ok()) return left.status();
  return left->never_taken == 0 && left->taken == 0;
}

Result<bool> Queue::put_record(const QueueRecord& record) {
  const std::string key = key_of(record.name), json = to_json(record);
  Result<bool> first = server_->publish_first(subject("record", key), json);
  if (!first.ok()) return first;
  if (!*first) {
    // Another one's; or this one, whose earlier confirmation was lost.
    const Result<std::optional<QueueRecord>> known = find_record(record.name);
    if (!known.ok()) return known.status();
    if (!*known || (*known)->worker != record.worker || (*known)->attempt != record.attempt) return false;
  }
  if (!record.outcome.error) return true;
  const Result<bool> letter = server_->publish_first(subject("failure", key), json);
  return letter.ok() ? Result<bool>(true) : letter;
}

Result<std::optional<QueueRecord>> Queue::find_record(const std::string& item) {
  Result<std::optional<std::string>> found =
      server_->find(stream("records"), subject("record", key_of(item)));
  if (!found.ok()) return found.status();
  if (!*found) return std::optional<QueueRecord>();
  Result<QueueRecord> record = parse_record(**found);
  if (!record.ok()) return record.status();
  return std::optional<QueueRecord>(*std::move(record));
}

Result<QueueCounts> Queue::counts() {
  QueueCounts counts;
  const Result<uint64_t> failed = server_->count(stream("failures")),
                         ended = server_->count(stream("records")), items = server_->count(stream("items"));
  for (const Result<uint64_t>* count : {&failed, &ended, &items}) {
    if (count->code() == StatusCode::kNotFound) return setup().status();
    if (!count->ok()) return count->status();
  }
  const Result<JetStream::Outstanding> left = server_->outstanding(stream("items"), kConsumer);
  if (!left.ok()) return left.status();
  counts.items = *items;
  counts.failed = *failed;
  counts.done = *ended - std::min(*ended, *failed);
  // An item with a record that has not been acknowledged yet has ended.
  counts.running = std::min(left->taken, counts.items - std::min(counts.items, *ended));
  return counts;
}

Status Queue::for_each_item(const std::function<Status(const QueuedItem&)>& visit) {
  return server_->read_all(stream("items"), subject("item", "*"), parsing(parse_item, visit));
}

Status Queue::for_each_record(const std::function<Status(const QueueRecord&)>& visit) {
  return server_->read_all(stream("records"), subject("record", "*"), parsing(parse_record, visit));
}

Status Queue::for_each_failure(const std::function<Status(const QueueRecord&)>& visit) {
  return server_->read_all(stream("failures"), subject("failure", "*"), parsing(parse_record, visit));
}

}  // namespace weft
