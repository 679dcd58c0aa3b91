/// Collects what is wrong with one pipeline file: a mistake and the JSON value that it is about become a Diagnostic.
///
/// Internal to the parser. Thread safety: none needed, a parse runs on one thread.
#ifndef WEFT_PIPELINE_GRAPH_FILE_REPORT_H
#define WEFT_PIPELINE_GRAPH_FILE_REPORT_H

#include <string>
#include <string_view>
#include <vector>

#include "pipeline/graph/diagnostic.h"
#include "pipeline/graph/json_tree.h"

namespace weft {

/// All diagnostics of a parse, of all its files. Beyond kMaxDiagnostics errors are only counted.
struct DiagnosticList {
  std::vector<Diagnostic> kept;
  size_t errors = 0;
  bool full() const;
  void add(Diagnostic diagnostic);
};

struct Mistake {
  std::string message, expected, nearest, hint;
};

/// A name as messages show it.
inline std::string in_quotes(std::string_view text) { return "'" + std::string(text) + "'"; }

class FileReport {
 public:
  /// All of them outlive the report; tree may be null while there is none.
  FileReport(DiagnosticList& list, std::string file, const LineIndex& lines, const JsonTree* tree)
      : list_(list), file_(std::move(file)), lines_(lines), tree_(tree) {}

  /// At the value.
  void error(JsonId at, Mistake mistake);
  /// At the name of the member.
  void error_at_name(JsonId at, Mistake mistake);
  /// Inside the value: `offset` bytes of the file.
  void error_at(JsonId at, uint32_t offset, Mistake mistake);
  void warning_at_name(JsonId at, Mistake mistake);

  /// nearest_name, or nothing when nobody will read it.
  std::string nearest(std::string_view name, const std::vector<std::string>& known) const;
  size_t errors() const { return list_.errors; }
  const std::string& file() const { return file_; }

 private:
  void add(Diagnostic::Severity severity, JsonId at, uint32_t offset, Mistake mistake);

  DiagnosticList& list_;
  std::string file_;
  const LineIndex& lines_;
  const JsonTree* tree_;
};

}  // namespace weft
#endif
