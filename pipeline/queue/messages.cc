#include "pipeline/queue/messages.h"

#include <charconv>
#include <cstdio>
#include <utility>

#include "pipeline/batch/item_inputs.h"
#include "pipeline/batch/record_json.h"
#include "pipeline/graph/json_tree.h"
#include "pipeline/graph/literal.h"

namespace weft {
namespace {

constexpr JsonLimits kLimits{size_t{8} << 20, 64, size_t{8} << 20, 2'000'000};

using Members = std::map<std::string, std::string>;  // JSON texts by name

std::string texts_json(const std::map<std::string, std::string>& texts) {
  Members members;
  for (const auto& [name, text] : texts) members[name] = json_string(text);
  return json_object(members);
}

std::string number_json(double number) {
  char text[32];
  const int length = std::snprintf(text, sizeof text, "%.9g", number);
  return {text, static_cast<size_t>(length)};
}

/// {"a.txt": {"sha256": "...", "size_bytes": 6}}
std::string files_json(const std::vector<ItemFile>& files) {
  Members members;
  for (const ItemFile& file : files) {
    members[file.path] =
        json_object({{"sha256", json_string(file.sha256)}, {"size_bytes", std::to_string(file.size_bytes)}});
  }
  return json_object(members);
}

std::string message_json(Members members) {
  members["weft_queue"] = std::to_string(kQueueVersion);
  return json_object(members);
}

Status corrupt(const std::string& message) {
  return Status(StatusCode::kCorruptData, "a message of the queue is not as Weft writes it: " + message);
}

/// A message, taken apart. The first mistake is kept, so that a reader asks for all members and then looks once.
class Message {
 public:
  explicit Message(const std::string& json) : json_(json), parsed_(JsonTree::parse(json_, kLimits)) {
    if (tree() == nullptr || tree()->kind(0) != JsonKind::kObject) fail(corrupt("no JSON object"));
    if (number("weft_queue") != static_cast<uint64_t>(kQueueVersion)) {
      fail(Status(StatusCode::kVersionMismatch, "the queue was filled by another version of Weft")
               .expected("messages of version " + std::to_string(kQueueVersion)));
    }
  }
  Message(const Message&) = delete;

  const Status& status() const { return status_; }
  void fail(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

  bool has(const char* name) const { return status_.ok() && tree()->find(0, name) != kNoJson; }
  std::string text(const char* name) { return text_of(find(name, JsonKind::kString)); }
  uint64_t number(const char* name) { return number_of(find(name, JsonKind::kNumber)); }
  double real(const char* name) {
    const JsonId id = find(name, JsonKind::kNumber);
    return id == kNoJson ? 0 : real_of(id);
  }
  /// A member as JSON.
  std::string json(const char* name) {
    const JsonId id = find(name, JsonKind::kObject);
    return id == kNoJson ? std::string() : tree()->compact(id);
  }
  std::map<std::string, std::string> texts(const char* name) {
    std::map<std::string, std::string> texts;
    for (const JsonId id : members(name)) texts[std::string((*tree())[id].key)] = text_of(id);
    return texts;
  }
  Members jsons(const char* name) {
    Members jsons;
    for (const JsonId id : members(name)) jsons[std::string((*tree())[id].key)] = tree()->compact(id);
    return jsons;
  }
  std::vector<ItemFile> files(const char* name) {
    std::vector<ItemFile> files;
    for (const JsonId id : members(name)) {
      files.push_back({std::string((*tree())[id].key), number_of(tree()->find(id, "size_bytes")),
                       text_of(tree()->find(id, "sha256"))});
    }
    return files;
  }
  std::vector<DrawnSeed> seeds(const char* name) {
    std::vector<DrawnSeed> seeds;
    for (const JsonId node : members(name)) {
      for (const JsonId id : tree()->children(node)) {
        seeds.push_back({std::string((*tree())[node].key), std::string((*tree())[id].key),
                         static_cast<int64_t>(number_of(id))});
      }
    }
    return seeds;
  }
  std::vector<NodeTiming> timings(const char* name) {
    std::vector<NodeTiming> timings;
    for (const JsonId id : members(name)) {
      NodeTiming timing;
      timing.node = (*tree())[id].key;
      timing.seconds = real_of(id);
      timings.push_back(std::move(timing));
    }
    return timings;
  }

 private:
  const JsonTree* tree() const { return std::get_if<JsonTree>(&parsed_); }
  JsonId find(const char* name, JsonKind kind) {
    if (!status_.ok()) return kNoJson;
    const JsonId id = tree()->find(0, name);
    if (id != kNoJson && tree()->kind(id) == kind) return id;
    fail(corrupt(std::string("no ") + describe(kind) + " '" + name + "'"));
    return kNoJson;
  }
  std::vector<JsonId> members(const char* name) {
    const JsonId id = find(name, JsonKind::kObject);
    return id == kNoJson ? std::vector<JsonId>() : tree()->children(id);
  }
  std::string text_of(JsonId id) {
    if (id != kNoJson && tree()->kind(id) == JsonKind::kString) return std::string((*tree())[id].text);
    fail(corrupt("a text is missing"));
    return {};
  }
  uint64_t number_of(JsonId id) {
    uint64_t number = 0;
    if (id != kNoJson && tree()->kind(id) == JsonKind::kNumber) {
      const std::string_view text = (*tree())[id].text;
      const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
      if (read.ec == std::errc() && read.ptr == text.data() + text.size()) return number;
    }
    fail(corrupt("a whole number is missing"));
    return 0;
  }
  double real_of(JsonId id) {
    double number = 0;
    const std::string_view text = (*tree())[id].text;
    if (tree()->kind(id) == JsonKind::kNumber &&
        std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc()) {
      return number;
    }
    fail(corrupt("a number is missing"));
    return 0;
  }

  const std::string json_;
  const std::variant<JsonTree, JsonError> parsed_;
  Status status_;
};

}  // namespace

std::string to_json(const QueueSetup& setup) {
  return message_json({{"pipeline", json_string(setup.pipeline)},
                       {"identity", texts_json(setup.identity)},
                       {"facts", texts_json(setup.facts)},
                       {"probe_inputs", setup.probe_inputs},
                       {"tries", std::to_string(setup.tries)},
                       {"silence_ms", std::to_string(setup.silence_ms)}});
}

Result<QueueSetup> parse_setup(const std::string& json) {
  Message message(json);
  QueueSetup setup;
  setup.pipeline = message.text("pipeline");
  setup.identity = message.texts("identity");
  setup.facts = message.texts("facts");
  setup.probe_inputs = message.json("probe_inputs");
  setup.tries = static_cast<uint32_t>(message.number("tries"));
  setup.silence_ms = message.number("silence_ms");
  if (!message.status().ok()) return message.status();
  return setup;
}

std::string to_json(const QueuedItem& item) {
  Members members = {{"name", json_string(item.item.name)},
                     {"place", json_string(item.item.place)},
                     {"position", std::to_string(item.position)},
                     {"inputs", item.item.inputs_json.empty() ? "{}" : item.item.inputs_json},
                     {"read", files_json(item.read)}};
  if (item.error) members["error"] = error_json(*item.error);
  return message_json(std::move(members));
}

Result<QueuedItem> parse_item(const std::string& json) {
  Message message(json);
  QueuedItem item;
  item.item.name = message.text("name");
  item.item.place = message.text("place");
  item.item.inputs_json = message.json("inputs");
  item.position = message.number("position");
  item.read = message.files("read");
  if (message.has("error")) item.error = error_from_json(message.json("error"));
  if (!message.status().ok()) return message.status();
  return item;
}

std::string to_json(const QueueRecord& record) {
  const ItemOutcome& outcome = record.outcome;
  Members members = {
      {"name", json_string(record.name)},         {"outputs", json_object(outcome.outputs_json)},
      {"files", files_json(outcome.files)},       {"seeds", seeds_json(outcome.seeds)},
      {"timings", timings_json(outcome.timings)}, {"seconds", number_json(outcome.seconds)},
      {"worker", json_string(record.worker)},     {"attempt", std::to_string(record.attempt)},
      {"tries", std::to_string(record.tries)}};
  if (outcome.error) members["error"] = error_json(*outcome.error);
  return message_json(std::move(members));
}

Result<QueueRecord> parse_record(const std::string& json) {
  Message message(json);
  QueueRecord record;
  record.name = message.text("name");
  record.worker = message.text("worker");
  record.attempt = message.number("attempt");
  record.tries = message.number("tries");
  ItemOutcome& outcome = record.outcome;
  outcome.outputs_json = message.jsons("outputs");
  outcome.files = message.files("files");
  outcome.seeds = message.seeds("seeds");
  outcome.timings = message.timings("timings");
  outcome.seconds = message.real("seconds");
  if (message.has("error")) {
    outcome.state = ItemOutcome::State::kFailed;
    outcome.error = error_from_json(message.json("error"));
  }
  if (!message.status().ok()) return message.status();
  return record;
}

Status check_content_size(const std::string& content, const std::string& what) {
  if (content.size() <= kMaxContentBytes) return {};
  return Status(StatusCode::kOutOfRange, what + " are too large for a queue")
      .expected("at most " + std::to_string(kMaxContentBytes) + " bytes")
      .got(std::to_string(content.size()))
      .hint("keep them in a file on storage that all machines see, and give its path");
}

}  // namespace weft
