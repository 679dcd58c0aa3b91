#include "pipeline/batch/sqlite.h"

#include <sqlite3.h>

#include <cerrno>
#include <system_error>

namespace weft::sqlite {
namespace {

StatusCode code_of(int result) {
  switch (result & 0xff) {
    case SQLITE_CONSTRAINT: return StatusCode::kAlreadyExists;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return StatusCode::kCorruptData;
    case SQLITE_NOMEM: return StatusCode::kOutOfMemory;
    case SQLITE_PERM:
    case SQLITE_READONLY: return StatusCode::kPermissionDenied;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_BUSY: return StatusCode::kIoError;
    default: return StatusCode::kInternal;
  }
}

Status failure(sqlite3* database, int result) {
  const char* file = sqlite3_db_filename(database, "main");
  Status status(code_of(result), std::string("the journal: ") + sqlite3_errmsg(database));
  const int system = sqlite3_system_errno(database);
  if (system != 0) status = std::move(status).got(std::generic_category().message(system));
  if ((result & 0xff) == SQLITE_FULL || system == ENOSPC) {
    status = std::move(status).hint("free some space and run the same command again");
  }
  return file && *file ? std::move(status).at(file) : status;
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

void Statement::bind(int parameter, int64_t value) { sqlite3_bind_int64(statement_.get(), parameter, value); }
void Statement::bind(int parameter, double value) { sqlite3_bind_double(statement_.get(), parameter, value); }
void Statement::bind(int parameter, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), parameter, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}
void Statement::bind_null(int parameter) { sqlite3_bind_null(statement_.get(), parameter); }

Result<bool> Statement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) {
    sqlite3_reset(statement_.get());
    return false;
  }
  Status status = failure(sqlite3_db_handle(statement_.get()), result);
  sqlite3_reset(statement_.get());
  return status;
}

Status Statement::run() { return step().status(); }
void Statement::reset() { sqlite3_reset(statement_.get()); }

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
double Statement::real(int column) const { return sqlite3_column_double(statement_.get(), column); }
std::string Statement::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  return text ? std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column)))
              : std::string();
}
bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Result<Database> Database::open(const std::filesystem::path& path, Mode mode) {
  std::error_code error;
  if (mode == Mode::kReadOnly && !std::filesystem::exists(path, error)) {
    return Status(StatusCode::kNotFound, "there is no journal of a batch").at(path.string());
  }
  const int flags = mode == Mode::kCreate ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  sqlite3* opened = nullptr;
  const int result = sqlite3_open_v2(path.c_str(), &opened, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database;
  database.database_.reset(opened);
  if (!opened) return Status(StatusCode::kOutOfMemory, "out of memory").at(path.string());
  if (result != SQLITE_OK) return failure(opened, result);
  sqlite3_extended_result_codes(opened, 1);
  sqlite3_busy_timeout(opened, 10'000);
  return database;
}

Status Database::execute(const std::string& sql) {
  const int result = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? Status() : failure(database_.get(), result);
}

Result<Statement> Database::prepare(const std::string& sql) {
  sqlite3_stmt* prepared = nullptr;
  const int result = sqlite3_prepare_v3(database_.get(), sql.c_str(), static_cast<int>(sql.size()) + 1,
                                        SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
  if (result != SQLITE_OK) return failure(database_.get(), result);
  Statement statement;
  statement.statement_.reset(prepared);
  return statement;
}

}  // namespace weft::sqlite
