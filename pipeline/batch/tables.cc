#include "pipeline/batch/tables.h"

#include <algorithm>
#include <set>
#include <system_error>
#include <vector>

#include "pipeline/batch/csv_reader.h"
#include "pipeline/batch/disk_probe.h"
#include "pipeline/batch/item_inputs.h"
#include "pipeline/graph/json_tree.h"
#include "pipeline/graph/literal.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

using Members = std::map<std::string, std::string>;

constexpr size_t kBlockBytes = size_t{1} << 16;

/// A file that is written in blocks.
class Table {
 public:
  static Result<Table> create(TemporaryFiles& temporaries, const fs::path& path) {
    Result<DurableFile> file = DurableFile::create(temporaries, path);
    if (!file.ok()) return file.status();
    return Table(std::move(*file));
  }
  Status add(const std::string& line) {
    buffer_ += line;
    return buffer_.size() < kBlockBytes ? Status() : flush();
  }
  Status commit() {
    if (Status status = flush(); !status.ok()) return status;
    return file_.commit();
  }

 private:
  explicit Table(DurableFile file) : file_(std::move(file)) {}
  Status flush() { return file_.write(std::exchange(buffer_, {})); }

  DurableFile file_;
  std::string buffer_;
};

/// The text of a JSON string, any other value as it is.
std::string cell(const std::string& json) {
  if (!json.starts_with('"')) return json;
  const auto parsed = JsonTree::parse(json, {json.size(), 2, json.size(), 4});
  const auto* tree = std::get_if<JsonTree>(&parsed);
  return tree ? std::string((*tree)[0].text) : json;
}

std::string file_path(const RecordedItem& item, const ItemFile& file) {
  return "items/" + item.item.name + "/" + file.path;
}

std::string result_line(const RecordedItem& item) {
  std::string files = "[";
  for (const ItemFile& file : item.files) {
    files += files.size() > 1 ? "," : "";
    files += "{\"path\":" + json_string(file_path(item, file)) +
             ",\"size_bytes\":" + std::to_string(file.size_bytes) + ",\"sha256\":\"" + file.sha256 + "\"}";
  }
  return "{\"name\":" + json_string(item.item.name) + ",\"inputs\":" + item.item.inputs_json +
         ",\"outputs\":" + item.outputs_json + ",\"files\":" + files + "],\"seeds\":" + item.seeds_json +
         ",\"seconds\":" + std::to_string(item.seconds) + "}\n";
}

std::string failure_line(const RecordedItem& item) {
  const std::string inputs = item.item.inputs_json.empty() ? "null" : item.item.inputs_json;
  return "{\"name\":" + json_string(item.item.name) + ",\"place\":" + json_string(item.item.place) +
         ",\"code\":" + json_string(to_string(item.error.code)) +
         ",\"reason\":" + json_string(to_string(item.error)) + ",\"inputs\":" + inputs + "}\n";
}

struct Columns {
  std::vector<std::string> inputs, outputs;
};

/// The inputs and outputs that any item has: an item leaves out what it takes by default, or what was skipped.
Result<Columns> find_columns(Journal& journal) {
  std::set<std::string> inputs, outputs;
  const Status status = journal.for_each_record([&](const RecordedItem& item) -> Status {
    if (item.state != ItemOutcome::State::kDone) return {};
    const Result<Members> given = json_members(item.item.inputs_json), made = json_members(item.outputs_json);
    if (!given.ok()) return given.status();
    if (!made.ok()) return made.status();
    for (const auto& [name, json] : *given) inputs.insert(name);
    for (const auto& [name, json] : *made) outputs.insert(name);
    return {};
  });
  if (!status.ok()) return status;
  return Columns{{inputs.begin(), inputs.end()}, {outputs.begin(), outputs.end()}};
}

std::string heading(const Columns& columns) {
  std::vector<std::string> fields = {"name"};
  for (const std::string& input : columns.inputs) fields.push_back("inputs." + input);
  for (const std::string& output : columns.outputs) fields.push_back("outputs." + output);
  fields.insert(fields.end(), {"files", "seconds"});
  return csv_row(fields);
}

Result<std::string> result_row(const RecordedItem& item, const Columns& columns) {
  const Result<Members> given = json_members(item.item.inputs_json), made = json_members(item.outputs_json);
  if (!given.ok()) return given.status();
  if (!made.ok()) return made.status();
  std::vector<std::string> fields = {item.item.name};
  const auto add = [&](const Members& members, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const auto member = members.find(name);
      fields.push_back(member == members.end() ? "" : cell(member->second));
    }
  };
  add(*given, columns.inputs);
  add(*made, columns.outputs);
  std::string files;
  for (const ItemFile& file : item.files) files += (files.empty() ? "" : " ") + file_path(item, file);
  fields.push_back(files);
  fields.push_back(std::to_string(item.seconds));
  return csv_row(fields);
}

/// Removes what a process that was killed had begun.
void remove_leftovers(const fs::path& folder, const std::vector<std::string>& names) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string found = entry->path().filename().string();
    const bool left = found.ends_with(".tmp") &&
                      std::any_of(names.begin(), names.end(),
                                  [&](const auto& name) { return found.starts_with("." + name + "."); });
    std::error_code ignored;
    if (left) fs::remove(entry->path(), ignored);
  }
}

}  // namespace

Status write_tables(Journal& journal, const fs::path& folder, const std::string& suffix,
                    TemporaryFiles& temporaries) {
  const std::string names[] = {"results" + suffix + ".jsonl", "results" + suffix + ".csv",
                               "failures" + suffix + ".jsonl", "failures" + suffix + ".csv"};
  std::vector<std::string> begun(std::begin(names), std::end(names));
  begun.push_back(kDiskProbeName);
  remove_leftovers(folder, begun);
  const auto create = [&](size_t table) { return Table::create(temporaries, folder / names[table]); };
  Result<Columns> columns = find_columns(journal);
  if (!columns.ok()) return columns.status();
  Result<Table> lines = create(0), rows = create(1), failed_lines = create(2), failed_rows = create(3);
  Result<Table>* const tables[] = {&lines, &rows, &failed_lines, &failed_rows};
  for (Result<Table>* table : tables) {
    if (!table->ok()) return table->status();
  }
  Status status = (*rows).add(heading(*columns));
  if (status.ok()) status = (*failed_rows).add(csv_row({"name", "place", "code", "reason", "inputs"}));
  if (!status.ok()) return status;
  status = journal.for_each_record([&](const RecordedItem& item) -> Status {
    if (item.state == ItemOutcome::State::kFailed) {
      if (Status added = failed_lines->add(failure_line(item)); !added.ok()) return added;
      return failed_rows->add(csv_row({item.item.name, item.item.place, to_string(item.error.code),
                                       to_string(item.error), item.item.inputs_json}));
    }
    if (Status added = lines->add(result_line(item)); !added.ok()) return added;
    Result<std::string> row = result_row(item, *columns);
    return row.ok() ? rows->add(*row) : row.status();
  });
  for (Result<Table>* table : tables) {
    if (status.ok()) status = (*table)->commit();
  }
  return status;
}

}  // namespace weft
