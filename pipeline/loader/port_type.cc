#include "pipeline/loader/port_type.h"

#include <algorithm>
#include <array>

namespace weft {
namespace {

constexpr std::array<std::string_view, 9> kTypes = {"bool", "int",   "float",  "text", "json",
                                                    "path", "bytes", "tensor", "image"};

bool is_element_type(std::string_view type) {
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end() || is_dotted_name(type);
}

}  // namespace

bool is_identifier(std::string_view name) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  if (name.empty() || name.size() > 64 || !lower(name[0])) return false;
  return std::all_of(name.begin(), name.end(),
                     [&](char c) { return lower(c) || (c >= '0' && c <= '9') || c == '_'; });
}

bool is_dotted_name(std::string_view name) {
  size_t parts = 0;
  for (;;) {
    const size_t dot = name.find('.');
    if (!is_identifier(name.substr(0, dot))) return false;
    ++parts;
    if (dot == std::string_view::npos) return parts >= 2;
    name.remove_prefix(dot + 1);
  }
}

std::string_view list_element_type(std::string_view type) {
  constexpr std::string_view kPrefix = "list<";
  if (!type.starts_with(kPrefix) || !type.ends_with('>')) return {};
  return type.substr(kPrefix.size(), type.size() - kPrefix.size() - 1);
}

bool is_port_type(std::string_view type) {
  if (type == "any") return true;
  const std::string_view element = list_element_type(type);
  return is_element_type(element.empty() ? type : element);
}

bool port_type_satisfies(std::string_view from, std::string_view to) {
  if (from == to || to == "any") return true;
  return (from == "path" && to == "text") || (from == "int" && to == "float");
}

}  // namespace weft
