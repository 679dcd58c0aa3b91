#include "modalities/field/names.h"

#include <nlohmann/json.hpp>

namespace weft {

std::vector<std::string> parse_names(std::string_view json) {
  std::vector<std::string> names;
  for (const nlohmann::json& name : nlohmann::json::parse(json, nullptr, false)) {
    if (name.is_string()) names.push_back(name.get<std::string>());
  }
  return names;
}

}  // namespace weft
