/// What a Journal consists of; private to its sources:
///   journal.cc             the file, facts, which items are left
///   journal_enrolment.cc   the items of the source
///   journal_records.cc     how items ended
///   journal_import.cc      what a shard's journal holds
/// Thread safety: with `mutex` held, all but record, which takes it, and check_version and create, which nobody else knows of yet.
#ifndef WEFT_PIPELINE_BATCH_JOURNAL_STATE_H
#define WEFT_PIPELINE_BATCH_JOURNAL_STATE_H

#include <weft/sdk/status.h>

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "pipeline/batch/journal.h"
#include "pipeline/batch/journal_lock.h"
#include "pipeline/batch/sqlite.h"

namespace weft {

struct Journal::State {
  State(sqlite::Database opened, std::filesystem::path at)
      : database(std::move(opened)), file(std::move(at)) {}

  Status check_version();
  /// Makes the tables where there are none.
  Status create();

  /// A statement that is prepared at its first use and kept.
  Result<sqlite::Statement*> statement(const char* sql);
  /// Runs such a statement, which gives no rows.
  template <typename... Values>
  Status run(const char* sql, const Values&... values) {
    Result<sqlite::Statement*> statement_or = statement(sql);
    if (!statement_or.ok()) return statement_or.status();
    int parameter = 0;
    ((*statement_or)->bind(++parameter, values), ...);
    return (*statement_or)->run();
  }

  Status insert_record(const ItemOutcome& outcome);
  Status record(size_t n, const std::function<const ItemOutcome&(size_t)>& outcome);
  Status check_nesting(const std::string& name, const std::string& place);

  std::mutex mutex;
  std::optional<JournalLock> lock;
  sqlite::Database database;
  std::filesystem::path file;
  std::map<std::string, sqlite::Statement, std::less<>> statements;  // by SQL; destroyed before the database
  bool nested_names = false;                                         // an enrolled name holds "/"
};

}  // namespace weft
#endif
