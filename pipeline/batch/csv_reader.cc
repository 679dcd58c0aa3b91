#include "pipeline/batch/csv_reader.h"

#include <csv.h>

#include <algorithm>
#include <deque>
#include <utility>

namespace weft {

/// libcsv tells of fields and of ends of rows; the lines are counted here, since it does not.
struct CsvReader::State {
  State(LineReader of, std::string named) : reader(std::move(of)), name(std::move(named)) {
    csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI);
    csv_set_space_func(&parser, [](unsigned char) { return 0; });  // blanks belong to a field
  }
  ~State() { csv_free(&parser); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  static void on_field(void* data, size_t size, void* self) {
    static_cast<State*>(self)->fields.emplace_back(static_cast<const char*>(data), size);
  }
  static void on_row(int, void* self) {
    State& state = *static_cast<State*>(self);
    state.rows.push_back({state.row_line, std::exchange(state.fields, {})});
  }

  /// Takes one line of the file, which may end a row or lie within a quoted field.
  Status take(std::string_view line) {
    if (place == Place::kBetweenRows) row_line = line_number;
    const size_t before = rows.size();
    const size_t used = csv_parse(&parser, line.data(), line.size(), on_field, on_row, this);
    if (used != line.size()) return failure(used + 1);
    const bool blank = place == Place::kBetweenRows && line == "\n";
    place = rows.size() > before || blank ? Place::kBetweenRows : Place::kWithinRow;
    if (csv_get_buffer_size(&parser) <= LineReader::kMaxLineBytes) return {};
    return Status(StatusCode::kOutOfRange, "a field is too long")
        .at(name + ":" + std::to_string(row_line))
        .expected("at most 64 MiB");
  }

  Status failure(size_t column) {
    if (csv_error(&parser) == CSV_EPARSE) {
      return Status(StatusCode::kCorruptData, "a quote stands where none may")
          .at(name + ":" + std::to_string(line_number) + ":" + std::to_string(column))
          .expected("quotes around a whole field, and \"\" for a quote within")
          .hint("the row that it belongs to begins on line " + std::to_string(row_line));
    }
    return Status(StatusCode::kOutOfMemory, csv_strerror(csv_error(&parser))).at(name);
  }

  LineReader reader;
  const std::string name;
  csv_parser parser{};
  std::vector<std::string> fields;
  std::deque<Row> rows;
  uint64_t line_number = 0, row_line = 1;
  enum class Place { kBetweenRows, kWithinRow } place = Place::kBetweenRows;
  bool ended = false;
};

CsvReader::CsvReader(LineReader reader, std::string name)
    : state_(std::make_unique<State>(std::move(reader), std::move(name))) {}
CsvReader::CsvReader(CsvReader&&) noexcept = default;
CsvReader::~CsvReader() = default;

Result<std::optional<CsvReader::Row>> CsvReader::next() {
  State& state = *state_;
  while (state.rows.empty() && !state.ended) {
    Result<std::optional<std::string>> line = state.reader.next();
    if (!line.ok()) return line.status();
    if (*line) {
      ++state.line_number;
      **line += '\n';
      if (Status status = state.take(**line); !status.ok()) return status;
      continue;
    }
    state.ended = true;
    if (csv_fini(&state.parser, State::on_field, State::on_row, &state) != 0) return state.failure(1);
  }
  if (state.rows.empty()) return std::optional<Row>();
  Row row = std::move(state.rows.front());
  state.rows.pop_front();
  return std::optional<Row>(std::move(row));
}

std::string csv_row(const std::vector<std::string>& fields) {
  std::string row;
  for (size_t i = 0; i < fields.size(); ++i) {
    const std::string& field = fields[i];
    if (i > 0) row += ',';
    if (!field.empty() && field.find_first_of(",\"\r\n") == std::string::npos) {
      row += field;
      continue;
    }
    // The size of the quoted field is what csv_write says without a place to write to.
    std::string quoted(csv_write(nullptr, 0, field.data(), field.size()), '\0');
    csv_write(quoted.data(), quoted.size(), field.data(), field.size());
    row += quoted;
  }
  return row + "\n";
}

}  // namespace weft
