#include "plugins/image/control.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace weft::image {
namespace {

Status unreadable(std::string got) {
  return Status(StatusCode::kInvalidShape, "not what image.control makes")
      .at("port 'control'")
      .expected("f32 [controls, height, width, 3] with a list \"controls\" as attribute")
      .got(std::move(got));
}

bool read(const nlohmann::json& item, Control& control) {
  const auto is_number = [&](const char* key) { return item.contains(key) && item[key].is_number(); };
  if (!item.is_object() || !item.contains("network") || !item["network"].is_string() ||
      !is_number("strength") || !is_number("start") || !is_number("end")) {
    return false;
  }
  control = {item["network"].get<std::string>(), item["strength"].get<double>(), item["start"].get<double>(),
             item["end"].get<double>()};
  return true;
}

}  // namespace

Result<Controls> controls_of(const sdk::Value& value) {
  const weft_tensor tensor = value.as_tensor();
  if (tensor.rank != 4 || tensor.dtype != WEFT_DTYPE_F32 || !sdk::is_contiguous(tensor) ||
      tensor.shape[3] != kControlChannels || sdk::element_count(tensor) == 0) {
    return unreadable("a tensor of rank " + std::to_string(tensor.rank));
  }
  const nlohmann::json attributes = nlohmann::json::parse(value.attributes(), nullptr, false);
  if (!attributes.is_object() || !attributes.contains("controls") || !attributes["controls"].is_array() ||
      attributes["controls"].size() != static_cast<size_t>(tensor.shape[0]) ||
      tensor.shape[0] > kMaxControls) {
    return unreadable(std::string(value.attributes()));
  }
  Controls controls;
  for (const nlohmann::json& item : attributes["controls"]) {
    if (!read(item, controls.list.emplace_back())) return unreadable(item.dump());
  }
  controls.pictures = {static_cast<const float*>(tensor.data),
                       static_cast<size_t>(sdk::element_count(tensor))};
  controls.height = tensor.shape[1];
  controls.width = tensor.shape[2];
  return controls;
}

std::string control_attributes(const std::vector<Control>& list) {
  nlohmann::ordered_json items = nlohmann::ordered_json::array();
  for (const Control& control : list) {
    items.push_back({{"network", control.network},
                     {"strength", control.strength},
                     {"start", control.start},
                     {"end", control.end}});
  }
  return nlohmann::ordered_json{{"controls", items}}.dump();
}

int64_t control_bound(const weft_spec& input) {
  if (input.kind == 0) return 0;
  const bool known = input.rank == 4 && input.shape[0] != WEFT_UNBOUNDED;
  return known ? std::min(input.shape[0], kMaxControls) : kMaxControls;
}

Result<Controls> input_controls(const sdk::Request& request, size_t port) {
  const sdk::Value value = request.input(port);
  return value ? controls_of(value) : Result<Controls>(Controls{});
}

Result<const NamedControl*> control_network(const DiffusionModel& model, const std::string& name) {
  const std::vector<NamedControl>& all = model.controls();
  if (name.empty() && all.size() == 1) return &all.front();
  std::string names;
  for (const NamedControl& control : all) {
    if (control.name == name) return &control;
    names += (names.empty() ? "" : ", ") + control.name;
  }
  return Status(StatusCode::kNotFound, "the model has no such control network")
      .at("parameter 'network'")
      .expected(all.empty() ? "an option \"control\" of the model" : "one of: " + names)
      .got(name.empty() ? "none" : "'" + name + "'")
      .hint(R"("models": {"painter": {"path": "...", "control": [{"name": "edges", "path": "FILE"}]}})");
}

}  // namespace weft::image
