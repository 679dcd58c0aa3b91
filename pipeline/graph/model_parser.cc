// The part of FileParser that reads "models": before the nodes what stands there, after them what type each entry has.
#include <algorithm>

#include "pipeline/graph/file_parser.h"
#include "pipeline/graph/literal.h"
#include "pipeline/graph/parameter_value.h"

namespace weft {
namespace {

const std::vector<std::string> kModelMembers = {"path", "sha256", "type", "help", "description"};

bool is_sha256(std::string_view text) {
  const auto hexadecimal = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  return text.size() == 64 && std::all_of(text.begin(), text.end(), hexadecimal);
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

void FileParser::parse_models(JsonId root) {
  ParameterDescriptor path;
  path.name = "path";
  path.type = "path";
  for (JsonId entry : entries(root, "models")) {
    if (!check_new_name(entry, "a model")) continue;
    ModelEntry model;
    model.name = tree_[entry].key;
    model.position = position(entry);
    const std::string what = "the model '" + model.name + "'";
    model_index_.emplace(tree_[entry].key, static_cast<uint32_t>(graph_.models.size()));
    model_ids_.push_back(entry);
    model_names_.push_back(model.name);
    if (expect(entry, JsonKind::kObject, what)) {
      help_member(entry);
      const JsonId place = tree_.find(entry, "path"), hash = tree_.find(entry, "sha256");
      if (place == kNoJson) {
        report_.error(entry, {what + " has no path", "\"path\": \"model.gguf\", say", {}, {}});
      } else if (auto literal =
                     parse_literal(place, {path, Allowed::kInputs, nullptr, "the path of " + what})) {
        model.path = *std::move(literal);
        if (tree_[place].text.empty())
          report_.error(place, {"the path of " + what + " is empty", {}, {}, {}});
      }
      if (hash != kNoJson) {
        model.sha256 = tree_[hash].text;
        if (tree_.kind(hash) != JsonKind::kString || !is_sha256(model.sha256)) {
          report_.error(hash, {"the sha256 of " + what + " is no SHA-256", "64 hexadecimal digits", {}, {}});
        }
        std::transform(model.sha256.begin(), model.sha256.end(), model.sha256.begin(),
                       [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
      }
      model.type = text_member(entry, "type", "the type of " + what);
    }
    graph_.models.push_back(std::move(model));
  }
  model_users_.resize(graph_.models.size());
}

void FileParser::resolve_model_types() {
  for (size_t i = 0; i < graph_.models.size(); ++i) {
    if (tree_.kind(model_ids_[i]) == JsonKind::kObject) resolve_model_type(i);
  }
}

// The one type that all users accept.
void FileParser::resolve_model_type(size_t index) {
  ModelEntry& model = graph_.models[index];
  const std::string what = "the model '" + model.name + "'";
  const std::vector<ModelUser>& users = model_users_[index];
  if (users.empty()) {
    report_.warning_at_name(model_ids_[index], {"nothing uses " + what, {}, {}, {}});
    if (model.type.empty()) return;  // nothing says what its options mean
  }
  std::vector<std::string> types;
  if (!model.type.empty()) types.push_back(model.type);
  for (size_t i = 0; i < users.size(); ++i) {
    if (i == 0 && types.empty()) types = *users[0].accepted;
    std::vector<std::string> common;
    for (const std::string& type : types) {
      if (std::find(users[i].accepted->begin(), users[i].accepted->end(), type) != users[i].accepted->end()) {
        common.push_back(type);
      }
    }
    if (common.empty()) {
      report_.error(users[i].id,
                    {what + " is of type " + joined(types) + (model.type.empty() ? " for other nodes" : ""),
                     joined(*users[i].accepted),
                     {},
                     "name another entry of \"models\""});
      return;
    }
    types = std::move(common);
  }
  std::vector<std::string> offered;
  for (const std::string& type : types) {
    if (catalog_.find_model(type).model != nullptr) offered.push_back(type);
  }
  const JsonId id = model_ids_[index];
  if (offered.empty()) {
    report_.error(
        id, {"no plugin offers the type " + joined(types) + " of " + what, {}, {}, "see `weft plugins`"});
  } else if (offered.size() > 1) {
    report_.error(id, {what + " could be of several types", "\"type\": one of " + joined(offered), {}, {}});
  } else {
    model.type = offered[0];
    model.offered = catalog_.find_model(model.type);
    parse_model_options(index, *model.offered.model);
  }
}

void FileParser::parse_model_options(size_t index, const ModelTypeDescriptor& type) {
  ModelEntry& model = graph_.models[index];
  const JsonId entry = model_ids_[index];
  std::vector<std::string> known = kModelMembers;
  for (const ParameterDescriptor& parameter : type.parameters) known.push_back(parameter.name);
  for (JsonId member : members(entry)) {
    const std::string name(tree_[member].key);
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    report_.error_at_name(
        member,
        {"unknown option '" + name + "' of model type " + type.name, {}, report_.nearest(name, known), {}});
  }
  for (const ParameterDescriptor& parameter : type.parameters) {
    const bool reserved =
        std::find(kModelMembers.begin(), kModelMembers.end(), parameter.name) != kModelMembers.end();
    const JsonId value = reserved ? kNoJson : tree_.find(entry, parameter.name);
    const std::string what = "option '" + parameter.name + "' of the model '" + model.name + "'";
    if (value != kNoJson) {
      if (auto literal = parse_literal(value, {parameter, Allowed::kInputs, nullptr, what})) {
        model.options.push_back({parameter.name, *std::move(literal), position(value)});
      }
    } else if (parameter.default_json) {
      model.options.push_back({parameter.name, *parameter.default_json, position(entry)});
    } else if (!parameter.optional && parameter.type != "seed") {
      report_.error(entry, {what + " is missing", expected_value(parameter), {}, {}});
    }
  }
}

}  // namespace weft
