#include <utility>

#include "pipeline/batch/journal_state.h"

namespace weft {
namespace {

// Of the items of the source, this time.
constexpr const char* kNames = R"(
CREATE TEMP TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;
DELETE FROM temp.names;
)";

}  // namespace

Status Journal::begin_enrolment() {
  const std::lock_guard lock(state_->mutex);
  state_->nested_names = false;
  if (Status status = state_->database.execute(kNames); !status.ok()) return status;
  return state_->database.execute("BEGIN IMMEDIATE");
}

void Journal::cancel_enrolment() {
  const std::lock_guard lock(state_->mutex);
  (void)state_->database.execute("ROLLBACK");
}

Status Journal::State::check_nesting(const std::string& name, const std::string& place) {
  const auto taken = [&](const std::string& other, const std::string& other_place) {
    return Status(StatusCode::kAlreadyExists, "the folder of one item lies in that of another")
        .at(place)
        .got("'" + name + "' and '" + other + "' (" + other_place + ")")
        .hint("--name TEMPLATE gives other names");
  };
  auto inside =
      statement("SELECT name, place FROM temp.names WHERE name > ? || '/' AND name < ? || '0' LIMIT 1");
  if (!inside.ok()) return inside.status();
  (*inside)->bind(1, name);
  (*inside)->bind(2, name);
  Result<bool> row = (*inside)->step();
  if (!row.ok()) return row.status();
  if (*row) {
    Status status = taken((*inside)->text(0), (*inside)->text(1));
    (*inside)->reset();
    return status;
  }
  auto around = statement("SELECT place FROM temp.names WHERE name = ?");
  if (!around.ok()) return around.status();
  for (size_t end = name.find('/'); end != std::string::npos; end = name.find('/', end + 1)) {
    (*around)->bind(1, name.substr(0, end));
    row = (*around)->step();
    if (!row.ok()) return row.status();
    if (!*row) continue;
    Status status = taken(name.substr(0, end), (*around)->text(0));
    (*around)->reset();
    return status;
  }
  return {};
}

Status Journal::reserve(const std::string& name, const std::string& place) {
  const std::lock_guard lock(state_->mutex);
  Status status = state_->run("INSERT INTO temp.names VALUES (?, ?)", name, place);
  if (status.code() == StatusCode::kAlreadyExists) {
    auto first = state_->statement("SELECT place FROM temp.names WHERE name = ?");
    if (!first.ok()) return first.status();
    (*first)->bind(1, name);
    Result<bool> row = (*first)->step();
    const std::string other = row.ok() && *row ? (*first)->text(0) : "";
    (*first)->reset();
    return Status(StatusCode::kAlreadyExists, "two items are named '" + name + "'")
        .at(place)
        .got("the first at " + other)
        .hint("give items an id of their own, or --name a template that tells them apart");
  }
  if (!status.ok()) return status;
  state_->nested_names |= name.find('/') != std::string::npos;
  return state_->nested_names ? state_->check_nesting(name, place) : Status();
}

Status Journal::enrol(const Item& item, uint64_t position, const std::optional<Error>& error,
                      FailedItems failed) {
  if (Status status = reserve(item.name, item.place); !status.ok()) return status;
  const std::lock_guard lock(state_->mutex);
  auto known =
      state_->statement("SELECT id, inputs, state FROM items LEFT JOIN records ON item = id WHERE name = ?");
  if (!known.ok()) return known.status();
  (*known)->bind(1, item.name);
  Result<bool> row = (*known)->step();
  if (!row.ok()) return row.status();
  const bool is_known = *row;
  int64_t id = is_known ? (*known)->integer(0) : 0;
  const std::string inputs = is_known ? (*known)->text(1) : "", state = is_known ? (*known)->text(2) : "";
  (*known)->reset();
  const auto place = static_cast<int64_t>(position);
  if (!is_known) {
    Status status = state_->run("INSERT INTO items (position, name, inputs, place) VALUES (?, ?, ?, ?)",
                                place, item.name, item.inputs_json, item.place);
    if (!status.ok() || !error) return status;
    auto last = state_->statement("SELECT id FROM items WHERE name = ?");
    if (!last.ok()) return last.status();
    (*last)->bind(1, item.name);
    if (Result<bool> found = (*last)->step(); !found.ok()) return found.status();
    id = (*last)->integer(0);
    (*last)->reset();
  } else if (state == "done") {
    if (inputs != item.inputs_json) {
      return Status(StatusCode::kInvalidArgument, "the item '" + item.name + "' is done, with other inputs")
          .at(item.place)
          .expected(inputs)
          .got(error ? to_string(*error) : item.inputs_json)
          .hint("choose a new --out for changed items, or give them new ids");
    }
    return state_->run("UPDATE items SET position = ?, place = ? WHERE id = ? AND position <> ?", place,
                       item.place, id, place);
  } else {
    const bool changed = inputs != item.inputs_json, again = changed || failed == FailedItems::kRetry;
    Status status = state_->run("UPDATE items SET position = ?, place = ?, inputs = ? WHERE id = ?", place,
                                item.place, item.inputs_json, id);
    if (!status.ok()) return status;
    if (again && !(status = state_->run("DELETE FROM records WHERE item = ?", id)).ok()) return status;
    const bool afresh = changed || (again && state == "failed");
    if (afresh && !(status = state_->run("DELETE FROM losses WHERE item = ?", id)).ok()) return status;
    if (!error || (!again && state == "failed")) return {};
  }
  ItemOutcome outcome;
  outcome.item = id;
  outcome.state = ItemOutcome::State::kFailed;
  outcome.error = error;
  return state_->insert_record(outcome);
}

Status Journal::end_enrolment(MissingItems missing) {
  const std::lock_guard lock(state_->mutex);
  auto gone = state_->database.prepare(
      "SELECT name, COUNT(*) FROM items JOIN records ON item = id WHERE state = 'done' AND name NOT IN "
      "(SELECT name FROM temp.names)");
  if (!gone.ok()) return gone.status();
  if (Result<bool> row = gone->step(); !row.ok()) return row.status();
  const int64_t n_gone = gone->integer(1);
  const std::string first = gone->text(0);
  gone->reset();
  if (n_gone > 0 && missing == MissingItems::kRefuse) {
    return Status(StatusCode::kInvalidArgument, "items that are done are no longer among the items")
        .got(std::to_string(n_gone) + ", '" + first + "' for one")
        .hint("choose a new --out, or keep their results with --accept-changes");
  }
  const Status status = state_->database.execute(
      "CREATE TEMP TABLE gone AS SELECT id FROM items LEFT JOIN records ON item = id "
      "WHERE state IS NOT 'done' AND name NOT IN (SELECT name FROM temp.names);"
      "DELETE FROM records WHERE item IN (SELECT id FROM temp.gone);"
      "DELETE FROM losses WHERE item IN (SELECT id FROM temp.gone);"
      "DELETE FROM items WHERE id IN (SELECT id FROM temp.gone);"
      "DROP TABLE temp.gone; COMMIT;");
  return status;
}

}  // namespace weft
