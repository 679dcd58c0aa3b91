#include "pipeline/graph/diagnostic.h"

#include <algorithm>

#include "pipeline/graph/literal.h"

namespace weft {
namespace {

// For a terminal: nothing of a hostile file may drive it. Tabs become blanks, so that the caret stands right.
std::string printable(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string result;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\t') result += ' ';
    else if (byte < 0x20 || byte == 0x7F) result += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    else result += c;
  }
  return result;
}

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string one_line(const Diagnostic& diagnostic) {
  std::string text = printable(diagnostic.message);
  if (!diagnostic.expected.empty()) text += " (expected " + printable(diagnostic.expected) + ")";
  if (!diagnostic.nearest.empty()) text += "; did you mean '" + printable(diagnostic.nearest) + "'?";
  if (!diagnostic.hint.empty()) text += (text.back() == '?' ? " " : "; ") + printable(diagnostic.hint);
  return text;
}

// Edits between two names, a swap of neighbours counting as one (optimal string alignment); more than `limit` is limit + 1.
size_t edit_distance(std::string_view a, std::string_view b, size_t limit) {
  std::vector<size_t> before(b.size() + 1), previous(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    size_t least = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
      least = std::min(least, row[j]);
    }
    if (least > limit) return limit + 1;
    std::swap(before, previous);
    std::swap(previous, row);
  }
  return std::min(previous[b.size()], limit + 1);
}

}  // namespace

std::string to_text(const Diagnostic& diagnostic, Excerpt excerpt) {
  std::string text = printable(diagnostic.file);
  if (diagnostic.position.line > 0) {
    text += ":" + std::to_string(diagnostic.position.line) + ":" + std::to_string(diagnostic.position.column);
  }
  text += diagnostic.severity == Diagnostic::Severity::kError ? ": error: " : ": warning: ";
  text += one_line(diagnostic) + "\n";
  if (excerpt == Excerpt::kHide || diagnostic.excerpt.empty()) return text;
  const std::string_view before = std::string_view(diagnostic.excerpt).substr(0, diagnostic.excerpt_column);
  text += "  " + printable(diagnostic.excerpt) + "\n  ";
  return text + std::string(characters(printable(before)), ' ') + "^\n";
}

std::string to_json(const Diagnostic& diagnostic) {
  std::string text = "{\"file\":" + json_string(diagnostic.file);
  text += ",\"line\":" + std::to_string(diagnostic.position.line);
  text += ",\"column\":" + std::to_string(diagnostic.position.column);
  text += diagnostic.severity == Diagnostic::Severity::kError ? ",\"severity\":\"error\""
                                                              : ",\"severity\":\"warning\"";
  text +=
      ",\"pointer\":" + json_string(diagnostic.pointer) + ",\"message\":" + json_string(diagnostic.message);
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += ",\"" + std::string(name) + "\":" + json_string(value);
  };
  add("expected", diagnostic.expected);
  add("nearest", diagnostic.nearest);
  add("hint", diagnostic.hint);
  return text + "}";
}

bool has_errors(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& d) { return d.severity == Diagnostic::Severity::kError; });
}

Status to_status(const std::vector<Diagnostic>& diagnostics) {
  const Diagnostic* first = nullptr;
  size_t errors = 0;
  for (const Diagnostic& diagnostic : diagnostics) {
    if (diagnostic.severity != Diagnostic::Severity::kError) continue;
    if (++errors == 1) first = &diagnostic;
  }
  Error error{StatusCode::kInvalidArgument, one_line(*first), first->file, {}, {}, {}};
  if (first->position.line > 0) {
    error.where += ":" + std::to_string(first->position.line) + ":" + std::to_string(first->position.column);
  }
  if (errors > 1) error.message += ", and " + std::to_string(errors - 1) + " more";
  return error;
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  constexpr size_t kLongest = 256;  // longer names are not typed by hand, and would make this slow
  if (name.empty() || name.size() > kLongest) return {};
  size_t best = SIZE_MAX;
  const std::string* nearest = nullptr;
  for (const std::string& candidate : known) {
    if (candidate.size() > kLongest) continue;
    const size_t longer = std::max(name.size(), candidate.size());
    const size_t difference = longer - std::min(name.size(), candidate.size());
    size_t limit = std::max<size_t>(longer / 3, longer > 1 ? 1 : 0);
    if (best <= limit) limit = best == 0 ? 0 : best - 1;
    if (difference > limit) continue;
    const size_t distance = edit_distance(name, candidate, limit);
    if (distance <= limit && distance < best) {
      best = distance;
      nearest = &candidate;
    }
  }
  return nearest != nullptr ? *nearest : std::string();
}

}  // namespace weft
