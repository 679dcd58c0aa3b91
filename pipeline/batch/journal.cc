#include "pipeline/batch/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <system_error>
#include <utility>

#include "pipeline/batch/item_inputs.h"
#include "pipeline/batch/sqlite.h"
#include "pipeline/graph/json_tree.h"
#include "pipeline/graph/literal.h"

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
constexpr const char* kNames = R"(
CREATE TEMP TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;
DELETE FROM temp.names;
)";

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

/// An advisory lock that ends with the process, however that ends.
class FolderLock {
 public:
  static Result<FolderLock> take(const fs::path& file) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return io_error("creating the lock of the journal", file, errno);
    FolderLock lock(fd);
    struct flock whole = whole_file();
    if (::fcntl(fd, F_OFD_SETLK, &whole) == 0) return lock;
    if (errno != EAGAIN && errno != EACCES) return io_error("locking the journal", file, errno);
    return Status(StatusCode::kAlreadyExists, "another process runs this batch")
        .at(file.string())
        .hint("`weft status` says how far it is; wait for it or choose another --out");
  }
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock(const FolderLock&) = delete;
  ~FolderLock() {
    if (fd_ >= 0) ::close(fd_);
  }

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

std::string error_json(const Error& error) {
  return json_object({{"code", json_string(to_string(error.code))},
                      {"message", json_string(error.message)},
                      {"where", json_string(error.where)},
                      {"expected", json_string(error.expected)},
                      {"got", json_string(error.got)},
                      {"hint", json_string(error.hint)}});
}

Error error_from_json(const std::string& json) {
  Error error;
  const auto parsed = JsonTree::parse(json, {json.size(), 8, json.size(), 64});
  const auto* tree = std::get_if<JsonTree>(&parsed);
  if (!tree) return error;
  const auto member = [&](const char* name) {
    const JsonId id = tree->find(0, name);
    return id == kNoJson ? std::string() : std::string((*tree)[id].text);
  };
  const std::string code = member("code");
  for (auto known = StatusCode::kOk; known <= StatusCode::kInternal;
       known = static_cast<StatusCode>(static_cast<weft_status>(known) + 1)) {
    if (code == to_string(known)) error.code = known;
  }
  error.message = member("message");
  error.where = member("where");
  error.expected = member("expected");
  error.got = member("got");
  error.hint = member("hint");
  return error;
}

std::string seeds_json(const std::vector<DrawnSeed>& seeds) {
  std::map<std::string, std::map<std::string, std::string>> by_node;
  for (const DrawnSeed& seed : seeds) by_node[seed.node][seed.parameter] = std::to_string(seed.value);
  std::map<std::string, std::string> nodes;
  for (const auto& [node, values] : by_node) nodes[node] = json_object(values);
  return json_object(nodes);
}

std::string timings_json(const std::vector<NodeTiming>& timings) {
  std::map<std::string, std::string> nodes;
  for (const NodeTiming& timing : timings) nodes[timing.node] = std::to_string(timing.seconds);
  return json_object(nodes);
}

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

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

struct Journal::State {
  State(sqlite::Database opened, fs::path at) : database(std::move(opened)), file(std::move(at)) {}

  Status check_version() {
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

  Status create() {
    Status status = database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    if (!status.ok()) return status;
    Result<bool> exists = table_exists(database, "records");
    if (!exists.ok()) return exists.status();
    if (*exists) return check_version();
    status = database.execute("BEGIN IMMEDIATE; " + std::string(kSchema) +
                              " PRAGMA user_version = " + std::to_string(kVersion) + "; COMMIT;");
    if (!status.ok()) (void)database.execute("ROLLBACK");
    return status;
  }

  /// A statement that is prepared at its first use and kept.
  Result<sqlite::Statement*> statement(const char* sql) {
    const auto known = statements.find(sql);
    if (known != statements.end()) return &known->second;
    auto prepared = database.prepare(sql);
    if (!prepared.ok()) return prepared.status();
    return &statements.emplace(sql, std::move(*prepared)).first->second;
  }

  template <typename... Values>
  Status run(const char* sql, const Values&... values) {
    Result<sqlite::Statement*> statement_or = statement(sql);
    if (!statement_or.ok()) return statement_or.status();
    int parameter = 0;
    ((*statement_or)->bind(++parameter, values), ...);
    return (*statement_or)->run();
  }

  Status insert_record(const ItemOutcome& outcome);
  Status record(std::span<const ItemOutcome> outcomes);
  Status check_nesting(const std::string& name, const std::string& place);

  std::mutex mutex;
  std::optional<FolderLock> lock;
  sqlite::Database database;
  fs::path file;
  std::map<std::string, sqlite::Statement> statements;  // by SQL; behind the database, destroyed before it
  bool nested_names = false;                            // an enrolled name holds "/"
};

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}
Journal::Journal(Journal&&) noexcept = default;
Journal& Journal::operator=(Journal&&) noexcept = default;
Journal::~Journal() = default;

const fs::path& Journal::file() const { return state_->file; }

Result<Journal> Journal::open(const fs::path& folder, const std::string& name, FileSystem& file_system) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return io_error("creating the output folder", folder, error.value());
  Result<FolderLock> lock = FolderLock::take(folder / (name + ".lock"));
  if (!lock.ok()) return lock.status();
  const fs::path file = folder / (name + ".sqlite");
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
    const bool again = inputs != item.inputs_json || failed == FailedItems::kRetry;
    Status status = state_->run("UPDATE items SET position = ?, place = ?, inputs = ? WHERE id = ?", place,
                                item.place, item.inputs_json, id);
    if (!status.ok()) return status;
    if (again && !(status = state_->run("DELETE FROM records WHERE item = ?", id)).ok()) return status;
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
      "DELETE FROM items WHERE id IN (SELECT id FROM temp.gone);"
      "DROP TABLE temp.gone; COMMIT;");
  return status;
}

Result<std::vector<Item>> Journal::pending(uint64_t after, size_t limit, uint64_t& last_position) {
  const std::lock_guard lock(state_->mutex);
  auto query = state_->statement(
      "SELECT id, name, inputs, place, position FROM items WHERE position > ? AND NOT EXISTS "
      "(SELECT 1 FROM records WHERE item = id) ORDER BY position LIMIT ?");
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

Status Journal::State::record(std::span<const ItemOutcome> outcomes) {
  if (Status status = database.execute("BEGIN IMMEDIATE"); !status.ok()) return status;
  for (const ItemOutcome& outcome : outcomes) {
    if (Status status = insert_record(outcome); !status.ok()) return status;
  }
  return database.execute("COMMIT");
}

Status Journal::record(std::span<const ItemOutcome> outcomes) {
  const std::lock_guard lock(state_->mutex);
  Status status = state_->record(outcomes);
  if (!status.ok()) (void)state_->database.execute("ROLLBACK");
  return status;
}

namespace {

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
COMMIT;
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
    status = database.execute(kImport);
    if (!status.ok()) (void)database.execute("ROLLBACK");
  }
  Status detached = database.execute("DETACH DATABASE shard");
  return status.ok() ? detached : status;
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

namespace {

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

bool is_running(const fs::path& journal_file) {
  const fs::path lock = fs::path(journal_file).replace_extension(".lock");
  const int fd = ::open(lock.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  struct flock other = whole_file();
  const bool taken = ::fcntl(fd, F_OFD_GETLK, &other) == 0 && other.l_type != F_UNLCK;
  ::close(fd);
  return taken;
}

}  // namespace weft
