#include "modalities/structure/sequence_file.h"

#include <cctype>

namespace weft {
namespace {

bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }
bool is_small(char c) { return c >= 'a' && c <= 'z'; }

enum class Form : uint8_t { kFasta, kA3m };

// Appends the letters of one line. False: `wrong` is none.
bool append_letters(std::string_view line, Form form, std::string* letters, char* wrong) {
  for (const char c : line) {
    if (c == ' ' || c == '\t') continue;
    const bool fits = is_capital(c) || is_small(c) || c == '-' || c == (form == Form::kFasta ? '/' : '-');
    if (!fits) {
      *wrong = c;
      return false;
    }
    letters->push_back(form == Form::kFasta && is_small(c) ? static_cast<char>(c - 'a' + 'A') : c);
  }
  return true;
}

Result<std::vector<NamedSequence>> parse(std::string_view text, Form form, const std::string& file) {
  std::vector<NamedSequence> sequences;
  const auto corrupt = [&](size_t line, std::string message) {
    return Status(StatusCode::kCorruptData, std::move(message)).at(file + ", line " + std::to_string(line));
  };
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '>') {
      sequences.push_back({std::string(line.substr(1)), ""});
      continue;
    }
    if (sequences.empty())
      return corrupt(number, "letters before the first name").expected("a line with '>'");
    if (line.ends_with('*')) line.remove_suffix(1);
    char wrong = 0;
    if (!append_letters(line, form, &sequences.back().letters, &wrong))
      return corrupt(number, "a character that stands for no residue")
          .got("code " + std::to_string(static_cast<unsigned char>(wrong)));
  }
  if (sequences.empty()) return corrupt(1, "no sequence").expected("lines with '>' and letters");
  for (const NamedSequence& sequence : sequences)
    if (sequence.letters.empty())
      return Status(StatusCode::kCorruptData, "a sequence without letters")
          .at(file + ", '" + sequence.name + "'");
  return sequences;
}

}  // namespace

Result<std::vector<NamedSequence>> parse_fasta(std::string_view text, const std::string& file) {
  return parse(text, Form::kFasta, file);
}

std::string to_fasta(std::span<const NamedSequence> sequences) {
  constexpr size_t kLineLetters = 80;
  std::string text;
  for (const NamedSequence& sequence : sequences) {
    text += ">" + sequence.name + "\n";
    for (size_t i = 0; i < sequence.letters.size(); i += kLineLetters)
      text += sequence.letters.substr(i, kLineLetters) + "\n";
  }
  return text;
}

Result<std::vector<NamedSequence>> parse_a3m(std::string_view text, const std::string& file) {
  Result<std::vector<NamedSequence>> rows = parse(text, Form::kA3m, file);
  if (!rows.ok()) return rows;
  const size_t columns = aligned_columns(rows->front().letters).size();
  for (const NamedSequence& row : *rows)
    if (const size_t n = aligned_columns(row.letters).size(); n != columns)
      return Status(StatusCode::kCorruptData,
                    "a row of the alignment has another number of columns than the first")
          .at(file + ", '" + row.name + "'")
          .expected(std::to_string(columns))
          .got(std::to_string(n));
  return rows;
}

std::string to_a3m(std::span<const NamedSequence> rows) {
  std::string text;
  for (const NamedSequence& row : rows) text += ">" + row.name + "\n" + row.letters + "\n";
  return text;
}

std::string aligned_columns(std::string_view letters) {
  std::string columns;
  for (const char c : letters)
    if (!is_small(c)) columns += c;
  return columns;
}

std::vector<int32_t> insertions_before(std::string_view letters) {
  std::vector<int32_t> counts;
  int32_t inserted = 0;
  for (const char c : letters) {
    if (is_small(c)) {
      ++inserted;
      continue;
    }
    counts.push_back(inserted);
    inserted = 0;
  }
  return counts;
}

}  // namespace weft
