#include "pipeline/cli/items_at_work.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

namespace weft::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kTextBytes = 300;  // a line of a wide terminal, whatever the script

/// Removes from the front what is more than kTextBytes, up to the beginning of a character.
void keep_end(std::string& text) {
  if (text.size() <= kTextBytes) return;
  size_t from = text.size() - kTextBytes;
  while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xc0) == 0x80) ++from;
  text.erase(0, from);
}

Json json_of(const ItemAtWork& item) {
  Json json{{"name", item.name}, {"seconds", std::round(item.seconds * 10) / 10}, {"node", item.node}};
  if (!item.text.empty()) json["text"] = item.text;
  if (item.done > 0) json["done"] = item.done;
  if (item.total > 0) json["total"] = item.total;
  if (!item.unit.empty()) json["unit"] = item.unit;
  if (!item.previews.empty()) json["previews"] = item.previews;
  return json;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

ItemAtWork item_of(const Json& json) {
  ItemAtWork item;
  item.name = json.value("name", "");
  item.seconds = json.value("seconds", 0.0);
  item.node = json.value("node", "");
  item.text = json.value("text", "");
  item.done = json.value("done", int64_t{0});
  item.total = json.value("total", int64_t{0});
  item.unit = json.value("unit", "");
  item.previews = json.value("previews", "");
  return item;
}

}  // namespace

void ItemsAtWork::on_event(const std::string& name, const Event& event) {
  const std::lock_guard lock(mutex_);
  const auto [at, is_new] = items_.try_emplace(name);
  Entry& entry = at->second;
  ItemAtWork& item = entry.item;
  if (is_new) {
    item.name = name;
    entry.began = Clock::now();
    entry.number = n_begun_++;
  }
  const auto moves = [&](std::string_view node) {
    if (item.node == node) return;
    item.node = node;
    item.text.clear();
    item.unit.clear();
    item.done = item.total = 0;
  };
  if (const auto* started = std::get_if<NodeStarted>(&event)) {
    moves(started->node);
  } else if (const auto* part = std::get_if<TextPart>(&event)) {
    moves(part->node);
    if (std::exchange(entry.port, part->port) != part->port) item.text.clear();
    item.text += part->text;
    keep_end(item.text);
  } else if (const auto* progress = std::get_if<Progress>(&event)) {
    moves(progress->node);
    item.done = progress->done;
    item.total = progress->total;
    item.unit = progress->unit;
  } else if (const auto* discarded = std::get_if<PartsDiscarded>(&event)) {
    if (item.node == discarded->node) item.text.clear();
  }
}

void ItemsAtWork::ended(const std::string& name) {
  const std::lock_guard lock(mutex_);
  items_.erase(name);
}

std::vector<ItemAtWork> ItemsAtWork::list(size_t limit) const {
  const std::lock_guard lock(mutex_);
  std::vector<const Entry*> entries;
  for (const auto& [name, entry] : items_) entries.push_back(&entry);
  std::sort(entries.begin(), entries.end(),
            [](const Entry* a, const Entry* b) { return a->number < b->number; });
  if (entries.size() > limit) entries.resize(limit);
  const Clock::time_point now = Clock::now();
  std::vector<ItemAtWork> items;
  for (const Entry* entry : entries) {
    items.push_back(entry->item);
    items.back().seconds = std::chrono::duration<double>(now - entry->began).count();
  }
  return items;
}

size_t ItemsAtWork::count() const {
  const std::lock_guard lock(mutex_);
  return items_.size();
}

fs::path items_at_work_file(const fs::path& journal_file) {
  return fs::path(journal_file).replace_extension(".at_work.json");
}

Status write_items_at_work(const std::vector<ItemAtWork>& items, TemporaryFiles& temporaries,
                           const fs::path& path) {
  Result<DurableFile> file = DurableFile::create(temporaries, path);
  if (!file.ok()) return file.status();
  if (Status status = file->write(items_at_work_json(items) + "\n"); !status.ok()) return status;
  return file->commit(Sync::kNo);  // after a power failure nothing is at work
}

std::vector<ItemAtWork> read_items_at_work(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  std::vector<ItemAtWork> items;
  try {
    for (const Json& json : Json::parse(text)) items.push_back(item_of(json));
  } catch (const Json::exception&) {
    items.clear();
  }
  return items;
}

std::string items_at_work_json(const std::vector<ItemAtWork>& items) {
  Json json = Json::array();
  for (const ItemAtWork& item : items) json.push_back(json_of(item));
  return dump(json);
}

std::string at_work_event(const std::vector<ItemAtWork>& items) {
  return "{\"event\":\"at_work\",\"items\":" + items_at_work_json(items) + "}\n";
}

}  // namespace weft::cli
