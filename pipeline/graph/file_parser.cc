#include "pipeline/graph/file_parser.h"

#include <weft/sdk/device.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "pipeline/graph/literal.h"
#include "pipeline/graph/parameter_value.h"
#include "pipeline/graph/parse.h"
#include "pipeline/loader/port_type.h"

namespace weft {
namespace {

const std::vector<std::string> kSections = {"$schema", "weft",   "name",   "help",  "description",
                                            "device",  "inputs", "models", "nodes", "outputs"};
const std::vector<std::string> kInputMembers = {"type", "default", "help", "description"};
const std::vector<std::string> kPlainTypes = {"bool", "int",   "float",  "text", "json",
                                              "path", "bytes", "tensor", "image"};

}  // namespace

std::shared_ptr<const Graph> FileParser::parse(std::string folder) {
  const size_t errors_before = report_.errors();
  graph_.folder = std::move(folder);
  graph_.file = report_.file();
  for (JsonId id : tree_.duplicates()) {
    duplicates_.insert(id);
    report_.error_at_name(id, {"'" + std::string(tree_[id].key) + "' stands twice in one object",
                               {},
                               {},
                               "only one of the two can be meant: remove or rename the other"});
  }
  const JsonId root = 0;
  if (!expect(root, JsonKind::kObject, "a pipeline")) return nullptr;
  check_names(root, kSections, "of a pipeline");
  parse_version(root);
  graph_.name = text_member(root, "name", "the name of the pipeline");
  graph_.help = help_member(root);
  graph_.device = device_member(root, "the device of the pipeline");
  parse_inputs(root);
  draft_nodes(root);
  parse_models(root);
  for (Draft& draft : drafts_) fill_node(draft);
  resolve_model_types();
  parse_outputs(root);
  sort_nodes();
  if (report_.errors() != errors_before) return nullptr;
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    if (input_used_[i]) continue;
    report_.warning_at_name(input_ids_[i],
                            {"nothing uses the input '" + graph_.inputs[i].name + "'", {}, {}, {}});
  }
  return std::make_shared<const Graph>(std::move(graph_));
}

std::vector<JsonId> FileParser::members(JsonId object) const {
  std::vector<JsonId> result = tree_.children(object);
  if (!duplicates_.empty()) std::erase_if(result, [&](JsonId id) { return duplicates_.contains(id); });
  return result;
}

std::vector<JsonId> FileParser::entries(JsonId root, std::string_view section) {
  const JsonId id = tree_.find(root, section);
  if (id == kNoJson || !expect(id, JsonKind::kObject, "\"" + std::string(section) + "\"")) return {};
  return members(id);
}

bool FileParser::expect(JsonId id, JsonKind kind, const std::string& what) {
  if (tree_.kind(id) == kind) return true;
  report_.error(id, {what + " is " + describe(tree_.kind(id)), describe(kind), {}, {}});
  return false;
}

std::string FileParser::text_member(JsonId object, std::string_view key, const std::string& what) {
  const JsonId id = tree_.find(object, key);
  if (id == kNoJson || !expect(id, JsonKind::kString, what)) return {};
  return std::string(tree_[id].text);
}

std::string FileParser::device_member(JsonId object, const std::string& what) {
  const JsonId id = tree_.find(object, "device");
  if (id == kNoJson || !expect(id, JsonKind::kString, what)) return {};
  const std::optional<weft_device> device = sdk::device_named(tree_[id].text);
  if (device) return sdk::device_name(*device);
  report_.error(id, {what + " is '" + std::string(tree_[id].text) + "'",
                     std::string("one of ") + sdk::kDeviceNames,
                     {},
                     "`weft doctor` lists the devices of this machine"});
  return {};
}

std::string FileParser::help_member(JsonId object) {
  const JsonId help = tree_.find(object, "help"), description = tree_.find(object, "description");
  if (help != kNoJson && description != kNoJson) {
    report_.error_at_name(description,
                          {"both 'help' and 'description'", {}, {}, "they mean the same: keep one"});
  }
  return text_member(object, help != kNoJson ? "help" : "description", "the help");
}

void FileParser::check_names(JsonId object, const std::vector<std::string>& known, const std::string& what) {
  for (JsonId member : members(object)) {
    const std::string name(tree_[member].key);
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string expected;
    for (const std::string& one : known) {
      if (one[0] != '$' && one != "description") expected += (expected.empty() ? "" : ", ") + one;
    }
    report_.error_at_name(
        member, {"unknown member '" + name + "' " + what, expected, report_.nearest(name, known), {}});
  }
}

bool FileParser::check_new_name(JsonId entry, const char* what) {
  const std::string name(tree_[entry].key);
  if (!is_pipeline_name(name)) {
    report_.error_at_name(entry, {std::string("the name of ") + what + " is '" + name + "'",
                                  "a letter or '_', then letters, digits, '_' and '-', at most 128",
                                  {},
                                  {}});
    return false;
  }
  return true;
}

void FileParser::parse_version(JsonId root) {
  const std::string wanted = std::to_string(kPipelineVersion);
  const JsonId id = tree_.find(root, "weft");
  if (id == kNoJson) {
    report_.error(root, {"no format version", "\"weft\": " + wanted, {}, {}});
    return;
  }
  const std::string_view text = tree_[id].text;
  int64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (tree_.kind(id) != JsonKind::kNumber || error != std::errc() || end != text.data() + text.size() ||
      version < 0) {
    report_.error(id, {"the format version is " + tree_.compact(id), wanted, {}, {}});
  } else if (version > kPipelineVersion) {
    report_.error(id, {"format version " + std::to_string(version) + " is newer than this program",
                       "at most " + wanted,
                       {},
                       "use a newer weft"});
  } else if (version < kPipelineVersion) {
    // Version 0 was written before the format was fixed; it reads as version 1.
    report_.warning_at_name(id, {"format version " + std::to_string(version) + " was migrated to " + wanted,
                                 {},
                                 {},
                                 "write \"weft\": " + wanted});
  }
}

void FileParser::parse_inputs(JsonId root) {
  for (JsonId entry : entries(root, "inputs")) {
    if (!check_new_name(entry, "an input")) continue;
    PipelineInput input;
    input.name = tree_[entry].key;
    input.position = position(entry);
    input_index_.emplace(tree_[entry].key, static_cast<uint32_t>(graph_.inputs.size()));
    input_ids_.push_back(entry);
    input_names_.push_back(input.name);
    input_used_.push_back(0);
    const std::string what = "the input '" + input.name + "'";
    if (expect(entry, JsonKind::kObject, what)) {
      check_names(entry, kInputMembers, "of an input");
      input.help = help_member(entry);
      const JsonId type = tree_.find(entry, "type"), value = tree_.find(entry, "default");
      if (type == kNoJson) {
        report_.error(entry, {what + " has no type", "\"type\": \"text\", say", {}, {}});
      } else if (expect(type, JsonKind::kString, "the type of " + what)) {
        input.type = tree_[type].text;
        if (!is_port_type(input.type)) {
          report_.error(
              type,
              {"unknown type '" + input.type + "' of " + what,
               "bool, int, float, text, json, path, bytes, tensor, image, a plugin's own type or list<...>",
               report_.nearest(input.type, kPlainTypes),
               {}});
          input.type.clear();
        }
      }
      if (value != kNoJson && !input.type.empty()) {
        if (!has_literals(input.type)) {
          report_.error(value, {what + " cannot have a default",
                                {},
                                {},
                                "a value of type " + input.type + " cannot be written in a pipeline"});
        } else {
          input.default_json = tree_.compact(value);
          if (Result<ParameterValue> checked = parse_value(*input.default_json, input.type); !checked.ok()) {
            report_.error(
                value,
                {"the default of " + what + " is " + checked.error().got, checked.error().expected, {}, {}});
          }
        }
      }
    }
    graph_.inputs.push_back(std::move(input));
  }
}

void FileParser::parse_outputs(JsonId root) {
  for (JsonId entry : entries(root, "outputs")) {
    if (!check_new_name(entry, "an output")) continue;
    if (!expect(entry, JsonKind::kString, "the output '" + std::string(tree_[entry].key) + "'")) continue;
    const std::optional<Port> port = resolve(tree_[entry].text, entry, tree_[entry].begin, nullptr);
    if (port) graph_.outputs.push_back({std::string(tree_[entry].key), port->source, port->type});
  }
}

}  // namespace weft
