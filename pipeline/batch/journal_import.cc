#include "pipeline/batch/journal_state.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr const char* kImport = R"(
BEGIN IMMEDIATE;
INSERT INTO items (position, name, inputs, place)
  SELECT position, name, inputs, place FROM shard.items WHERE name NOT IN (SELECT name FROM items);
CREATE TEMP TABLE taken AS
  SELECT theirs.id AS theirs, ours.id AS ours FROM shard.items AS theirs JOIN items AS ours USING (name)
    JOIN shard.records AS record ON record.item = theirs.id
    WHERE NOT EXISTS (SELECT 1 FROM records WHERE item = ours.id AND (state = 'done' OR record.state = 'failed'));
DELETE FROM records WHERE item IN (SELECT ours FROM temp.taken);
INSERT INTO records
  SELECT ours, state, error, outputs, seeds, timings, seconds, finished
    FROM temp.taken JOIN shard.records ON item = theirs;
INSERT INTO files SELECT ours, path, size_bytes, sha256 FROM temp.taken JOIN shard.files ON item = theirs;
DROP TABLE temp.taken;
)";
/// Of items that still have no record. A shard that is merged again counts once.
constexpr const char* kImportLosses = R"(
INSERT INTO losses
  SELECT ours.id, loss.alone FROM shard.losses AS loss JOIN shard.items AS theirs ON theirs.id = loss.item
    JOIN items AS ours USING (name) WHERE NOT EXISTS (SELECT 1 FROM records WHERE item = ours.id)
  ON CONFLICT (item) DO UPDATE SET alone = MAX(alone, excluded.alone);
)";

}  // namespace

Status Journal::import(const fs::path& shard) {
  const std::lock_guard lock(state_->mutex);
  sqlite::Database& database = state_->database;
  auto attach = database.prepare("ATTACH DATABASE ? AS shard");
  if (!attach.ok()) return attach.status();
  attach->bind(1, shard.native());
  if (Status status = attach->run(); !status.ok()) return status;
  Status status;
  {
    auto other = database.prepare(
        "SELECT name, theirs.place, ours.place FROM shard.items AS theirs JOIN items AS ours USING (name) "
        "WHERE theirs.inputs <> ours.inputs OR theirs.position <> ours.position LIMIT 1");
    Result<bool> found = other.ok() ? other->step() : Result<bool>(other.status());
    if (!found.ok()) {
      status = found.status();
    } else if (*found) {
      status = Status(StatusCode::kAlreadyExists, "two items are named '" + other->text(0) + "'")
                   .at(shard.string())
                   .got(other->text(1) + " and " + other->text(2));
    }
  }
  if (status.ok()) {
    auto table =
        database.prepare("SELECT 1 FROM shard.sqlite_schema WHERE type = 'table' AND name = 'losses'");
    const Result<bool> counts_losses = table.ok() ? table->step() : Result<bool>(table.status());
    if (table.ok()) table->reset();
    status = counts_losses.status();  // a journal of an older version has none
    if (status.ok())
      status = database.execute(std::string(kImport) + (*counts_losses ? kImportLosses : "") + "COMMIT;");
    if (!status.ok()) (void)database.execute("ROLLBACK");
  }
  Status detached = database.execute("DETACH DATABASE shard");
  return status.ok() ? detached : status;
}

}  // namespace weft
