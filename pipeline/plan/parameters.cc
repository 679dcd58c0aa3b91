#include "pipeline/plan/parameters.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace weft {
namespace {

int32_t is_set(const weft_parameters* parameters, const char* name) {
  return parameters->find(name) != nullptr ? 1 : 0;
}

int32_t get_bool(const weft_parameters* parameters, const char* name) {
  const ParameterValue* value = parameters->find(name);
  const bool* held = value != nullptr ? std::get_if<bool>(value) : nullptr;
  return held != nullptr && *held ? 1 : 0;
}

int64_t get_int(const weft_parameters* parameters, const char* name) {
  const ParameterValue* value = parameters->find(name);
  const int64_t* held = value != nullptr ? std::get_if<int64_t>(value) : nullptr;
  return held != nullptr ? *held : 0;
}

double get_float(const weft_parameters* parameters, const char* name) {
  const ParameterValue* value = parameters->find(name);
  if (value == nullptr) return 0;
  if (const auto* integer = std::get_if<int64_t>(value)) return static_cast<double>(*integer);
  const double* held = std::get_if<double>(value);
  return held != nullptr ? *held : 0;
}

const char* get_text(const weft_parameters* parameters, const char* name, size_t* size) {
  const ParameterValue* value = parameters->find(name);
  const std::string* held = value != nullptr ? std::get_if<std::string>(value) : nullptr;
  if (size != nullptr) *size = held != nullptr ? held->size() : 0;
  return held != nullptr ? held->c_str() : nullptr;
}

constexpr weft_parameter_api kApi = {
    sizeof(weft_parameter_api), 0, is_set, get_bool, get_int, get_float, get_text};

const ParameterBinding* find_binding(const std::vector<ParameterBinding>& bindings, const std::string& name) {
  const auto found = std::find_if(bindings.begin(), bindings.end(),
                                  [&](const ParameterBinding& binding) { return binding.name == name; });
  return found == bindings.end() ? nullptr : &*found;
}

std::string to_json(const ParameterValue& value) {
  if (const bool* held = std::get_if<bool>(&value)) return *held ? "true" : "false";
  if (const auto* held = std::get_if<std::string>(&value)) return json_string(*held);
  char text[32];
  const auto [end, error] = std::holds_alternative<int64_t>(value)
                                ? std::to_chars(text, text + sizeof text, std::get<int64_t>(value))
                                : std::to_chars(text, text + sizeof text, std::get<double>(value));
  return std::string(text, end);
}

}  // namespace

const weft_parameter_api& parameter_api() { return kApi; }

Result<weft_parameters> make_parameters(const std::vector<ParameterDescriptor>& declared,
                                        const std::vector<ParameterBinding>& bindings, const IsKnown& known,
                                        const ReferenceText& reference) {
  weft_parameters parameters;
  parameters.items.reserve(declared.size());
  for (const ParameterDescriptor& descriptor : declared) {
    const std::string where = "parameter '" + descriptor.name + "'";
    const ParameterBinding* binding = find_binding(bindings, descriptor.name);
    Result<std::string> json = std::string();
    if (binding != nullptr && is_known(binding->value, known)) {
      json = render(binding->value, descriptor.type, reference);
      if (!json.ok()) return json.status().at(where);
    } else if (descriptor.default_json) {
      json = *descriptor.default_json;
    } else if (binding != nullptr || descriptor.optional || descriptor.type == "seed") {
      continue;
    } else {
      return Status(StatusCode::kInvalidArgument, "no value").at(where).expected(expected_value(descriptor));
    }
    Result<ParameterValue> value = parse_parameter(*json, descriptor);
    if (!value.ok()) return value.status().at(where);
    parameters.items.push_back({descriptor.name, *std::move(value)});
  }
  std::sort(parameters.items.begin(), parameters.items.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return parameters;
}

void set_parameter(weft_parameters& parameters, std::string name, ParameterValue value) {
  const auto place =
      std::lower_bound(parameters.items.begin(), parameters.items.end(), name,
                       [](const auto& item, const std::string& key) { return item.name < key; });
  if (place != parameters.items.end() && place->name == name) place->value = std::move(value);
  else parameters.items.insert(place, {std::move(name), std::move(value)});
}

std::string parameters_key(const weft_parameters& parameters) {
  std::string key;
  for (const weft_parameters::Item& item : parameters.items)
    key += item.name + "=" + to_json(item.value) + "\n";
  return key;
}

}  // namespace weft

const weft::ParameterValue* weft_parameters::find(std::string_view name) const {
  const auto place = std::lower_bound(items.begin(), items.end(), name,
                                      [](const Item& item, std::string_view key) { return item.name < key; });
  return place != items.end() && place->name == name ? &place->value : nullptr;
}
