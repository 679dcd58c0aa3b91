/// Rows of a CSV file as RFC 4180 has them, one at a time; parsed by libcsv, which only csv_reader.cc includes.
///
/// Fields may be quoted, with commas, doubled quotes and line feeds in them. Rows without any character are passed over.
/// Thread safety: one thread.
#ifndef WEFT_PIPELINE_BATCH_CSV_READER_H
#define WEFT_PIPELINE_BATCH_CSV_READER_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/batch/line_reader.h"

namespace weft {

class CsvReader {
 public:
  struct Row {
    uint64_t line = 0;  // on which it begins, from 1
    std::vector<std::string> fields;
  };

  /// name: of the file, for messages.
  CsvReader(LineReader reader, std::string name);
  CsvReader(CsvReader&&) noexcept;
  ~CsvReader();

  /// Nothing after the last one. Errors: kCorruptData for a stray or a missing quote, kIoError, kOutOfRange for a field
  /// beyond LineReader::kMaxLineBytes.
  Result<std::optional<Row>> next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One row with its line feed; fields are quoted where they must be.
std::string csv_row(const std::vector<std::string>& fields);

}  // namespace weft
#endif
