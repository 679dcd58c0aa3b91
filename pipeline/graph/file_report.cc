#include "pipeline/graph/file_report.h"

#include <tuple>

#include "pipeline/graph/parse.h"

namespace weft {

bool DiagnosticList::full() const { return errors >= kMaxDiagnostics; }

void DiagnosticList::add(Diagnostic diagnostic) {
  const bool is_error = diagnostic.severity == Diagnostic::Severity::kError;
  if (kept.size() < kMaxDiagnostics || (is_error && !full())) kept.push_back(std::move(diagnostic));
  errors += is_error;
}

void FileReport::add(Diagnostic::Severity severity, JsonId at, uint32_t offset, Mistake mistake) {
  constexpr size_t kExcerptBytes = 100;
  Diagnostic diagnostic;
  diagnostic.severity = severity;
  diagnostic.file = file_;
  diagnostic.message = std::move(mistake.message);
  diagnostic.expected = std::move(mistake.expected);
  diagnostic.nearest = std::move(mistake.nearest);
  diagnostic.hint = std::move(mistake.hint);
  if (!list_.full()) {
    diagnostic.position = lines_.position(offset);
    if (tree_ != nullptr && at != kNoJson) diagnostic.pointer = tree_->pointer(at);
    std::tie(diagnostic.excerpt, diagnostic.excerpt_column) = lines_.excerpt(offset, kExcerptBytes);
  }
  list_.add(std::move(diagnostic));
}

void FileReport::error(JsonId at, Mistake mistake) {
  add(Diagnostic::Severity::kError, at, (*tree_)[at].begin, std::move(mistake));
}

void FileReport::error_at_name(JsonId at, Mistake mistake) {
  add(Diagnostic::Severity::kError, at, (*tree_)[at].key_begin, std::move(mistake));
}

void FileReport::error_at(JsonId at, uint32_t offset, Mistake mistake) {
  add(Diagnostic::Severity::kError, at, offset, std::move(mistake));
}

void FileReport::warning_at_name(JsonId at, Mistake mistake) {
  add(Diagnostic::Severity::kWarning, at, (*tree_)[at].key_begin, std::move(mistake));
}

std::string FileReport::nearest(std::string_view name, const std::vector<std::string>& known) const {
  return list_.full() ? std::string() : nearest_name(name, known);
}

}  // namespace weft
