#include "plugins/science/residue_selection.h"

#include <charconv>
#include <string>

namespace weft::science {
namespace {

struct ResidueNumber {
  int32_t number = 0;
  char insertion = ' ';
};

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

Status invalid(std::string_view text, const char* message) {
  return Status(StatusCode::kInvalidArgument, message)
      .at("'" + std::string(text) + "'")
      .expected("a chain and residues, such as A, A:12, A:52B or A:12-20");
}

// Reads a number, perhaps negative, and the letter behind it; takes it off the text.
bool read_number(std::string_view* text, ResidueNumber* out) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out->number);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  const bool has_letter = !text->empty() && text->front() != '-';
  if (has_letter) {
    out->insertion = text->front();
    text->remove_prefix(1);
  }
  return true;
}

Result<int64_t> position_of(const BackbonePositions& positions, const PositionsOfChain& chain,
                            const ResidueNumber& wanted, std::string_view text) {
  const int64_t position = positions.find(chain, wanted.number, wanted.insertion);
  if (position >= 0) return position;
  return Status(StatusCode::kInvalidArgument, "the structure has no such residue")
      .at("'" + std::string(text) + "'")
      .expected(positions.label(chain.begin) + " to " + positions.label(chain.end - 1));
}

}  // namespace

Result<std::vector<int32_t>> select_residues(const BackbonePositions& positions, std::string_view text) {
  text = trimmed(text);
  const size_t colon = text.find(':');
  const PositionsOfChain* chain = positions.find_chain(text.substr(0, colon));
  if (chain == nullptr) {
    std::string names;
    for (const PositionsOfChain& one : positions.chains()) names += (names.empty() ? "" : ", ") + one.name;
    return Status(StatusCode::kInvalidArgument, "the structure has no such chain")
        .at("'" + std::string(text) + "'")
        .expected(names);
  }
  int64_t begin = chain->begin, end = chain->end;
  if (colon != std::string_view::npos) {
    std::string_view rest = text.substr(colon + 1);
    ResidueNumber first, last;
    if (!read_number(&rest, &first)) return invalid(text, "this names no residue");
    last = first;
    if (rest.starts_with('-')) {
      rest.remove_prefix(1);
      last = {};
      if (!read_number(&rest, &last)) return invalid(text, "this names no residue");
    }
    if (!rest.empty()) return invalid(text, "this names no residue");
    const Result<int64_t> from = position_of(positions, *chain, first, text),
                          to = position_of(positions, *chain, last, text);
    if (!from.ok()) return from.status();
    if (!to.ok()) return to.status();
    begin = *from;
    end = *to + 1;
    if (begin >= end) return invalid(text, "the range ends before it begins");
  }
  std::vector<int32_t> selected;
  for (int64_t i = begin; i < end; ++i) selected.push_back(static_cast<int32_t>(i));
  return selected;
}

Result<std::vector<std::vector<int32_t>>> select_tied(const BackbonePositions& positions,
                                                      std::string_view text) {
  std::vector<std::vector<int32_t>> parts;
  for (std::string_view rest = text;;) {
    const size_t end = rest.find('=');
    Result<std::vector<int32_t>> part = select_residues(positions, rest.substr(0, end));
    if (!part.ok()) return part.status();
    parts.push_back(*std::move(part));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  std::vector<std::vector<int32_t>> groups(parts[0].size());
  for (const std::vector<int32_t>& part : parts) {
    if (parts.size() < 2 || part.size() != parts[0].size())
      return Status(StatusCode::kInvalidArgument, "tied residues are two or more parts of one length")
          .at("'" + std::string(text) + "'")
          .expected("such as A:1-26 = B:1-26")
          .got(std::to_string(parts[0].size()) + " and " + std::to_string(part.size()) + " residues");
    for (size_t i = 0; i < part.size(); ++i) groups[i].push_back(part[i]);
  }
  return groups;
}

Result<std::vector<int32_t>> tokens_of_letters(std::string_view letters) {
  std::vector<int32_t> tokens;
  for (const char letter : letters) {
    const size_t at = kResidueLetters.find(letter);
    if (at == std::string_view::npos)
      return Status(StatusCode::kInvalidArgument, "a letter stands for no residue")
          .expected(std::string(kResidueLetters))
          .got("'" + std::string(letters) + "'");
    tokens.push_back(static_cast<int32_t>(at));
  }
  return tokens;
}

Result<ResiduesAndLetters> select_letters(const BackbonePositions& positions, std::string_view text) {
  const size_t space = trimmed(text).rfind(' ');
  if (space == std::string_view::npos)
    return Status(StatusCode::kInvalidArgument, "residues and the letters that are meant there")
        .at("'" + std::string(text) + "'")
        .expected("such as 'B:10 AG'");
  Result<std::vector<int32_t>> selected = select_residues(positions, trimmed(text).substr(0, space));
  if (!selected.ok()) return selected.status();
  Result<std::vector<int32_t>> tokens = tokens_of_letters(trimmed(text).substr(space + 1));
  if (!tokens.ok()) return tokens.status();
  return ResiduesAndLetters{*std::move(selected), *std::move(tokens)};
}

}  // namespace weft::science
