#include "pipeline/batch/item_name.h"

#include <algorithm>

#include "pipeline/graph/diagnostic.h"

namespace weft {
namespace {

constexpr size_t kMaxValueBytes = 100, kMaxPartBytes = 200, kIndexDigits = 6;

bool may_stand(char c) {
  const auto byte = static_cast<unsigned char>(c);
  const bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
  return letter || (byte >= '0' && byte <= '9') || byte >= 0x80 ||
         std::string_view(" ._-+,=@").find(c) != std::string_view::npos;
}

/// A value as a part of a file's name.
std::string file_text(std::string_view value) {
  size_t size = std::min(value.size(), kMaxValueBytes);
  while (size > 0 && size < value.size() && (static_cast<unsigned char>(value[size]) & 0xC0) == 0x80) --size;
  std::string text(value.substr(0, size));
  for (char& c : text) {
    if (!may_stand(c)) c = '_';
  }
  if (text.starts_with('.')) text[0] = '_';
  return text;
}

std::string joined(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : "-") + file_text(value);
  return text;
}

Status check_parts(std::string_view name) {
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > kMaxPartBytes) {
      return Status(StatusCode::kInvalidArgument, "an item's name cannot be that of a folder")
          .expected("parts of 1 to 200 bytes, not \".\" or \"..\"")
          .got("'" + std::string(name) + "'");
    }
    begin = end + 1;
  }
  return {};
}

}  // namespace

std::string index_name(uint64_t index) {
  std::string digits = std::to_string(index);
  return digits.size() < kIndexDigits ? std::string(kIndexDigits - digits.size(), '0') + digits : digits;
}

Result<NameTemplate> NameTemplate::parse(std::string_view text, const Graph& graph) {
  NameTemplate result;
  std::vector<std::string> known = {"index", "id", "matrix"};
  for (const PipelineInput& input : graph.inputs) known.push_back("inputs." + input.name);
  std::string plain;
  const auto end_plain = [&] {
    if (!plain.empty()) result.pieces_.push_back({Piece::Kind::kText, std::exchange(plain, {})});
  };
  for (size_t i = 0; i < text.size();) {
    if (text.substr(i).starts_with("$${")) {
      plain += "${";
      i += 3;
      continue;
    }
    if (!text.substr(i).starts_with("${")) {
      plain += text[i++];
      continue;
    }
    const size_t end = text.find('}', i);
    const std::string name(text.substr(i + 2, end == std::string_view::npos ? end : end - i - 2));
    if (end == std::string_view::npos || std::find(known.begin(), known.end(), name) == known.end()) {
      const std::string near = nearest_name(name, known);
      return Status(StatusCode::kInvalidArgument, "'${" + name + "' is nothing that an item has")
          .at("--name")
          .expected("${index}, ${id}, ${matrix} or ${inputs.NAME}")
          .hint(near.empty() ? "" : "did you mean ${" + near + "}?");
    }
    end_plain();
    const Piece::Kind kind = name == "index"    ? Piece::Kind::kIndex
                             : name == "id"     ? Piece::Kind::kId
                             : name == "matrix" ? Piece::Kind::kMatrix
                                                : Piece::Kind::kInput;
    result.pieces_.push_back({kind, kind == Piece::Kind::kInput ? name.substr(7) : ""});
    i = end + 1;
  }
  end_plain();
  for (const Piece& piece : result.pieces_) {
    if (piece.kind != Piece::Kind::kText) continue;
    const bool control = std::any_of(piece.text.begin(), piece.text.end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (control) return Status(StatusCode::kInvalidArgument, "a name holds a control character").at("--name");
  }
  return result;
}

Result<std::string> NameTemplate::fill(const NameParts& parts) const {
  const std::string index = index_name(parts.index);
  const std::string id = parts.id.empty() ? index : file_text(parts.id);
  if (pieces_.empty()) {
    const bool grid = !parts.id.empty() && !parts.matrix.empty();
    return grid ? id + "-" + joined(parts.matrix) : id;
  }
  std::string name;
  for (const Piece& piece : pieces_) {
    switch (piece.kind) {
      case Piece::Kind::kText: name += piece.text; break;
      case Piece::Kind::kIndex: name += index; break;
      case Piece::Kind::kId: name += id; break;
      case Piece::Kind::kMatrix: name += joined(parts.matrix); break;
      case Piece::Kind::kInput: name += file_text(parts.input ? parts.input(piece.text) : ""); break;
    }
  }
  if (Status status = check_parts(name); !status.ok()) return status;
  return name;
}

}  // namespace weft
