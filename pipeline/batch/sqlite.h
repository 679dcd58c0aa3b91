/// SQLite with errors as values and handles that close themselves; only sqlite.cc includes sqlite3.h.
///
/// Ownership: a Statement refers to the Database that prepared it and is destroyed before it. Thread safety: one thread at
/// a time for a Database and its Statements.
///
///   Result<sqlite::Database> db = sqlite::Database::open("journal.sqlite", sqlite::Database::Mode::kCreate);
///   Result<sqlite::Statement> insert = db->prepare("INSERT INTO t VALUES (?, ?)");
///   insert->bind(1, int64_t{7}); insert->bind(2, "text"); Result<bool> row = insert->step();
#ifndef WEFT_PIPELINE_BATCH_SQLITE_H
#define WEFT_PIPELINE_BATCH_SQLITE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace weft::sqlite {

class Statement {
 public:
  // Parameters count from 1. The text is copied.
  void bind(int parameter, int64_t value);
  void bind(int parameter, double value);
  void bind(int parameter, std::string_view text);
  void bind_null(int parameter);

  /// True for a row, false at the end; the statement is then reset and can be bound anew. Errors: kIoError for a disk that is
  /// full or fails, kCorruptData, kAlreadyExists for a violated constraint; reset then too.
  Result<bool> step();
  /// For statements that give no rows.
  Status run();
  /// Ends a query before its last row.
  void reset();

  // Columns of the row that step() gave, from 0.
  int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;
  bool is_null(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  enum class Mode { kCreate, kReadOnly };
  /// Errors: kNotFound (kReadOnly), kIoError.
  static Result<Database> open(const std::filesystem::path& path, Mode mode);

  /// Statements without parameters, separated by ";". Errors: as step().
  Status execute(const std::string& sql);
  Result<Statement> prepare(const std::string& sql);

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace weft::sqlite
#endif
