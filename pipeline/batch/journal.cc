#include "pipeline/batch/journal.h"

#include <algorithm>
#include <mutex>
#include <system_error>
#include <utility>

#include "pipeline/batch/journal_state.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kVersion = 1;
constexpr const char* kSchema = R"(
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE items (id INTEGER PRIMARY KEY, position INTEGER NOT NULL, name TEXT NOT NULL UNIQUE,
                    inputs TEXT NOT NULL, place TEXT NOT NULL);
CREATE INDEX items_by_position ON items (position);
CREATE TABLE records (item INTEGER PRIMARY KEY REFERENCES items (id),
                      state TEXT NOT NULL CHECK (state IN ('done', 'failed')), error TEXT NOT NULL,
                      outputs TEXT NOT NULL, seeds TEXT NOT NULL, timings TEXT NOT NULL, seconds REAL NOT NULL,
                      finished REAL NOT NULL);
CREATE TABLE files (item INTEGER NOT NULL REFERENCES records (item), path TEXT NOT NULL,
                    size_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (item, path)) WITHOUT ROWID;
)";
// Journals of earlier versions have none.
constexpr const char* kLosses = R"(
CREATE TABLE IF NOT EXISTS losses (item INTEGER PRIMARY KEY REFERENCES items (id), alone INTEGER NOT NULL);
)";

Result<bool> table_exists(sqlite::Database& database, const std::string& name) {
  Result<sqlite::Statement> query =
      database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
  if (!query.ok()) return query.status();
  query->bind(1, name);
  Result<bool> found = query->step();
  query->reset();
  return found;
}

}  // namespace

Status Journal::State::check_version() {
  auto query = database.prepare("PRAGMA user_version");
  if (!query.ok()) return query.status();
  if (Result<bool> row = query->step(); !row.ok()) return row.status();
  const int64_t version = query->integer(0);
  query->reset();
  if (version == kVersion) return {};
  return Status(StatusCode::kVersionMismatch, "the journal was written by another version of Weft")
      .at(file.string())
      .expected("version " + std::to_string(kVersion))
      .got(std::to_string(version));
}

Status Journal::State::create() {
  Status status = database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
  if (!status.ok()) return status;
  Result<bool> exists = table_exists(database, "records");
  if (!exists.ok()) return exists.status();
  if (*exists) {
    status = check_version();
    return status.ok() ? database.execute(kLosses) : status;
  }
  status = database.execute("BEGIN IMMEDIATE; " + std::string(kSchema) + kLosses +
                            " PRAGMA user_version = " + std::to_string(kVersion) + "; COMMIT;");
  if (!status.ok()) (void)database.execute("ROLLBACK");
  return status;
}

Result<sqlite::Statement*> Journal::State::statement(const char* sql) {
  const auto known = statements.find(sql);
  if (known != statements.end()) return &known->second;
  auto prepared = database.prepare(sql);
  if (!prepared.ok()) return prepared.status();
  return &statements.emplace(sql, std::move(*prepared)).first->second;
}

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}
Journal::Journal(Journal&&) noexcept = default;
Journal& Journal::operator=(Journal&&) noexcept = default;
Journal::~Journal() = default;

const fs::path& Journal::file() const { return state_->file; }

Result<Journal> Journal::open(const fs::path& folder, const std::string& name, FileSystem& file_system) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return io_error("creating the output folder", folder, error.value());
  const fs::path file = folder / (name + ".sqlite");
  Result<JournalLock> lock = JournalLock::take(file);
  if (!lock.ok()) return lock.status();
  Result<sqlite::Database> database = sqlite::Database::open(file, sqlite::Database::Mode::kCreate);
  if (!database.ok()) return database.status();
  auto state = std::make_unique<State>(std::move(*database), file);
  state->lock.emplace(std::move(*lock));
  if (Status status = state->create(); !status.ok()) return status;
  // The names of the journal and of the folder itself.
  if (Status status = sync_folder(file_system, folder); !status.ok()) return status;
  const fs::path parent = fs::absolute(folder).lexically_normal().parent_path();
  if (Status status = sync_folder(file_system, parent); !status.ok()) return status;
  return Journal(std::move(state));
}

Result<Journal> Journal::open_to_read(const fs::path& file) {
  Result<sqlite::Database> database = sqlite::Database::open(file, sqlite::Database::Mode::kReadOnly);
  if (!database.ok()) return database.status();
  auto state = std::make_unique<State>(std::move(*database), file);
  Result<bool> exists = table_exists(state->database, "records");
  if (!exists.ok()) return exists.status();
  if (!*exists) return Status(StatusCode::kNotFound, "the batch has not begun yet").at(file.string());
  if (Status status = state->check_version(); !status.ok()) return status;
  return Journal(std::move(state));
}

Result<std::map<std::string, std::string>> Journal::facts() {
  const std::lock_guard lock(state_->mutex);
  auto query = state_->database.prepare("SELECT name, value FROM facts");
  if (!query.ok()) return query.status();
  std::map<std::string, std::string> facts;
  for (;;) {
    Result<bool> row = query->step();
    if (!row.ok()) return row.status();
    if (!*row) return facts;
    facts[query->text(0)] = query->text(1);
  }
}

Status Journal::set_facts(const std::map<std::string, std::string>& facts) {
  const std::lock_guard lock(state_->mutex);
  Status status = state_->database.execute("SAVEPOINT facts");
  for (const auto& [name, value] : facts) {
    if (!status.ok()) break;
    status = state_->run("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, value);
  }
  if (status.ok()) status = state_->database.execute("RELEASE facts");
  if (!status.ok()) (void)state_->database.execute("ROLLBACK TO facts; RELEASE facts");
  return status;
}

Result<std::vector<Item>> Journal::pending(uint64_t after, size_t limit, uint64_t& last_position) {
  const std::lock_guard lock(state_->mutex);
  auto query = state_->statement(
      "SELECT id, name, inputs, place, position FROM items WHERE position > ? AND NOT EXISTS "
      "(SELECT 1 FROM records WHERE item = id) AND NOT EXISTS (SELECT 1 FROM losses WHERE item = id) "
      "ORDER BY position LIMIT ?");
  if (!query.ok()) return query.status();
  (*query)->bind(1, static_cast<int64_t>(after));
  (*query)->bind(2, static_cast<int64_t>(limit));
  std::vector<Item> items;
  for (;;) {
    Result<bool> row = (*query)->step();
    if (!row.ok()) return row.status();
    if (!*row) return items;
    items.push_back({(*query)->integer(0), (*query)->text(1), (*query)->text(2), (*query)->text(3)});
    last_position = static_cast<uint64_t>((*query)->integer(4));
  }
}

Result<std::vector<Item>> Journal::pending_after_loss() {
  const std::lock_guard lock(state_->mutex);
  auto query = state_->database.prepare(
      "SELECT id, name, inputs, place FROM items JOIN losses ON item = id WHERE NOT EXISTS "
      "(SELECT 1 FROM records WHERE item = id) ORDER BY position");
  if (!query.ok()) return query.status();
  std::vector<Item> items;
  for (;;) {
    Result<bool> row = query->step();
    if (!row.ok()) return row.status();
    if (!*row) return items;
    items.push_back({query->integer(0), query->text(1), query->text(2), query->text(3)});
  }
}

Result<int64_t> Journal::note_loss(int64_t item, AtWork at_work) {
  const std::lock_guard lock(state_->mutex);
  Status noted = state_->run(
      "INSERT INTO losses VALUES (?, ?) ON CONFLICT (item) DO UPDATE SET alone = alone + excluded.alone",
      item, int64_t{at_work == AtWork::kAlone});
  if (!noted.ok()) return noted;
  auto query = state_->statement("SELECT alone FROM losses WHERE item = ?");
  if (!query.ok()) return query.status();
  (*query)->bind(1, item);
  Result<bool> row = (*query)->step();
  const int64_t alone = row.ok() && *row ? (*query)->integer(0) : 0;
  (*query)->reset();
  if (!row.ok()) return row.status();
  return alone;
}

Result<BatchCounts> Journal::counts() {
  const std::lock_guard lock(state_->mutex);
  auto query = state_->database.prepare(
      "SELECT (SELECT COUNT(*) FROM items), (SELECT COUNT(*) FROM records WHERE state = 'done'), "
      "(SELECT COUNT(*) FROM records WHERE state = 'failed')");
  if (!query.ok()) return query.status();
  if (Result<bool> row = query->step(); !row.ok()) return row.status();
  const auto count = [&](int column) { return static_cast<uint64_t>(query->integer(column)); };
  return BatchCounts{count(0), count(1), count(2)};
}

fs::path batch_folder(const fs::path& named) {
  fs::path folder = named.lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  return folder.empty() ? fs::path(".") : folder;
}

std::vector<fs::path> find_journals(const fs::path& folder) {
  std::vector<std::pair<size_t, fs::path>> found;  // by length first, so that 10 comes behind 9
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with("journal") && name.ends_with(".sqlite"))
      found.emplace_back(name.size(), entry->path());
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> files;
  for (auto& [size, path] : found) files.push_back(std::move(path));
  return files;
}

bool is_running(const fs::path& journal_file) { return JournalLock::is_taken(journal_file); }

}  // namespace weft
