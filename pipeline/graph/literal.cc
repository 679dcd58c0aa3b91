#include "pipeline/graph/literal.h"

#include <algorithm>

#include "pipeline/graph/parameter_value.h"

namespace weft {
namespace {

// Bytes of the UTF-8 sequence that begins `text`; 0 if it is not valid (RFC 3629).
size_t sequence_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto continues = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool in_range = (lead != 0xE0 || byte(1) >= 0xA0) && (lead != 0xED || byte(1) <= 0x9F);
    return in_range && continues(1) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool in_range = (lead != 0xF0 || byte(1) >= 0x90) && (lead != 0xF4 || byte(1) <= 0x8F);
    return in_range && continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

std::string in_json_string(std::string_view text) {
  std::string quoted = json_string(text);
  return quoted.substr(1, quoted.size() - 2);
}

Result<std::string> concatenate(const TemplateText& text, const ReferenceText& reference) {
  std::string result;
  for (const TemplateText::Part& part : text.parts) {
    if (const auto* piece = std::get_if<std::string>(&part)) {
      result += *piece;
      continue;
    }
    Result<std::string> inserted = reference(std::get<Source>(part));
    if (!inserted.ok()) return inserted.status();
    result += text.form == TemplateText::Form::kJson ? in_json_string(*inserted) : *inserted;
  }
  return result;
}

}  // namespace

std::string json_string(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string result = "\"";
  result.reserve(text.size() + 2);
  while (!text.empty()) {
    const size_t size = sequence_bytes(text);
    const char c = text[0];
    if (size == 0) result += "\xEF\xBF\xBD";
    else if (size > 1) result += text.substr(0, size);
    else if (c == '"' || c == '\\') result += {'\\', c};
    else if (c == '\n') result += "\\n";
    else if (c == '\t') result += "\\t";
    else if (c == '\r') result += "\\r";
    else if (static_cast<unsigned char>(c) < 0x20)
      result += {'\\', 'u', '0', '0', kDigits[c >> 4], kDigits[c & 15]};
    else result += c;
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return result + '"';
}

Result<std::string> render(const Literal& literal, std::string_view type, const ReferenceText& reference) {
  if (const auto* json = std::get_if<std::string>(&literal)) return *json;
  const auto& text = std::get<TemplateText>(literal);
  Result<std::string> filled = concatenate(text, reference);
  if (!filled.ok()) return filled;
  if (text.form == TemplateText::Form::kText) return json_string(*filled);
  if (text.form == TemplateText::Form::kJson) return filled;
  Result<ParameterValue> value = parse_value(*filled, type);
  if (!value.ok()) return value.status();
  return filled;
}

std::vector<Source> references(const Literal& literal) {
  std::vector<Source> result;
  if (const auto* text = std::get_if<TemplateText>(&literal)) {
    for (const TemplateText::Part& part : text->parts) {
      if (const auto* source = std::get_if<Source>(&part)) result.push_back(*source);
    }
  }
  return result;
}

bool is_known(const Literal& literal, const IsKnown& known) {
  const std::vector<Source> sources = references(literal);
  return std::all_of(sources.begin(), sources.end(), known);
}

}  // namespace weft
