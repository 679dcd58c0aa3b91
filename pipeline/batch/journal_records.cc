#include <chrono>
#include <utility>

#include "pipeline/batch/item_inputs.h"
#include "pipeline/batch/journal_state.h"
#include "pipeline/batch/record_json.h"

namespace weft {
namespace {

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

constexpr const char* kRecordColumns =
    "SELECT id, name, inputs, place, position, state, error, outputs, seeds, timings, seconds, finished "
    "FROM items JOIN records ON item = id ";

RecordedItem read_record(const sqlite::Statement& row) {
  RecordedItem recorded;
  recorded.item = {row.integer(0), row.text(1), row.text(2), row.text(3)};
  recorded.position = static_cast<uint64_t>(row.integer(4));
  const bool done = row.text(5) == "done";
  recorded.state = done ? ItemOutcome::State::kDone : ItemOutcome::State::kFailed;
  if (!done) recorded.error = error_from_json(row.text(6));
  recorded.outputs_json = row.text(7);
  recorded.seeds_json = row.text(8);
  recorded.timings_json = row.text(9);
  recorded.seconds = row.real(10);
  recorded.finished = row.real(11);
  return recorded;
}

Status visit_records(sqlite::Database& database, const std::string& which,
                     const std::function<Status(const RecordedItem&)>& visit) {
  auto query = database.prepare(kRecordColumns + which);
  if (!query.ok()) return query.status();
  auto files = database.prepare("SELECT path, size_bytes, sha256 FROM files WHERE item = ? ORDER BY path");
  if (!files.ok()) return files.status();
  for (;;) {
    Result<bool> row = query->step();
    if (!row.ok()) return row.status();
    if (!*row) return {};
    RecordedItem recorded = read_record(*query);
    files->bind(1, recorded.item.id);
    for (;;) {
      Result<bool> file = files->step();
      if (!file.ok()) return file.status();
      if (!*file) break;
      recorded.files.push_back({files->text(0), static_cast<uint64_t>(files->integer(1)), files->text(2)});
    }
    if (Status status = visit(recorded); !status.ok()) return status;
  }
}

}  // namespace

Status Journal::State::insert_record(const ItemOutcome& outcome) {
  const bool done = outcome.state == ItemOutcome::State::kDone;
  Status status =
      run("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)", outcome.item,
          std::string_view(done ? "done" : "failed"),
          outcome.error ? error_json(*outcome.error) : std::string(), json_object(outcome.outputs_json),
          seeds_json(outcome.seeds), timings_json(outcome.timings), outcome.seconds, unix_time());
  for (const ItemFile& written : outcome.files) {
    if (!status.ok()) break;
    status = run("INSERT INTO files VALUES (?, ?, ?, ?)", outcome.item, written.path,
                 static_cast<int64_t>(written.size_bytes), written.sha256);
  }
  return status;
}

Status Journal::State::record(size_t n, const std::function<const ItemOutcome&(size_t)>& outcome) {
  const std::lock_guard held(mutex);
  Status status = database.execute("BEGIN IMMEDIATE");
  for (size_t i = 0; i < n && status.ok(); ++i) status = insert_record(outcome(i));
  if (status.ok()) status = database.execute("COMMIT");
  if (!status.ok()) (void)database.execute("ROLLBACK");
  return status;
}

Status Journal::record(std::span<const ItemOutcome> outcomes) {
  return state_->record(outcomes.size(), [&](size_t i) -> const ItemOutcome& { return outcomes[i]; });
}

Status Journal::record(std::span<const NamedOutcome> outcomes) {
  return state_->record(outcomes.size(), [&](size_t i) -> const ItemOutcome& { return outcomes[i].outcome; });
}

Status Journal::for_each_record(const std::function<Status(const RecordedItem&)>& visit) {
  const std::lock_guard lock(state_->mutex);
  return visit_records(state_->database, "ORDER BY position", visit);
}

Status Journal::for_each_failure(size_t limit, const std::function<Status(const RecordedItem&)>& visit) {
  const std::lock_guard lock(state_->mutex);
  return visit_records(state_->database,
                       "WHERE state = 'failed' ORDER BY finished DESC LIMIT " + std::to_string(limit), visit);
}

Result<double> Journal::recent_rate() {
  const std::lock_guard lock(state_->mutex);
  auto query = state_->database.prepare(
      "SELECT COUNT(*), MAX(finished) - MIN(finished) FROM "
      "(SELECT finished FROM records ORDER BY finished DESC LIMIT 100)");
  if (!query.ok()) return query.status();
  if (Result<bool> row = query->step(); !row.ok()) return row.status();
  const auto n = static_cast<double>(query->integer(0));
  const double seconds = query->real(1);
  return n < 2 || seconds <= 0 ? 0.0 : (n - 1) / seconds;
}

}  // namespace weft
