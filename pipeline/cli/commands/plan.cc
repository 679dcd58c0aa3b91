/// weft plan: shapes, workspace, model bytes and peak memory of a pipeline, before a weight is loaded.
#include "pipeline/plan/plan.h"

#include <unistd.h>
#include <weft/sdk/device.h>
#include <weft/sdk/value.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "pipeline/cli/byte_size.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/pipeline_setup.h"
#include "pipeline/cli/report.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string pipeline;
  std::vector<std::string> settings;
  HostSettings host;
  bool as_json = false;
};

const char* dtype_text(weft_dtype dtype) { return dtype == 0 ? "any" : sdk::dtype_name(dtype); }

std::string bound(int64_t value) { return value == WEFT_UNBOUNDED ? "?" : std::to_string(value); }

std::string bound_bytes(int64_t value) {
  return value == WEFT_UNBOUNDED ? "any size" : "at most " + format_byte_size(static_cast<uint64_t>(value));
}

/// "f32 [1, 768]", "at most 4 KiB", "list of at most 3 (each at most 1 KiB)".
std::string shape_text(const weft_spec& spec) {
  switch (spec.kind) {
    case WEFT_KIND_BOOL: return "bool";
    case WEFT_KIND_INT: return "int";
    case WEFT_KIND_FLOAT: return "float";
    case WEFT_KIND_BYTES: return bound_bytes(spec.max_bytes);
    case WEFT_KIND_LIST:
      return "list of " +
             (spec.max_count == WEFT_UNBOUNDED ? "any length" : "at most " + std::to_string(spec.max_count)) +
             " (each " + bound_bytes(spec.max_bytes) + ")";
    case WEFT_KIND_TENSOR: break;
    default: return "unknown";
  }
  std::string text = std::string(dtype_text(spec.dtype)) + " [";
  for (int32_t i = 0; i < spec.rank; ++i) text += (i > 0 ? ", " : "") + bound(spec.shape[i]);
  return text + "]";
}

std::string shown_name(weft_device device) {
  return device.kind == WEFT_DEVICE_CPU ? "CPU" : sdk::device_name(device);
}

std::string left_column(std::string text, size_t width) {
  text.resize(std::max(text.size() + 2, width), ' ');
  return text;
}

void print_node(const PlannedNode& planned, size_t depth) {
  const Node& node = *planned.node;
  const std::string indent(2 * depth, ' ');
  std::string facts = node.uses;
  if (node.for_each) {
    const bool any = planned.max_batch == std::numeric_limits<uint32_t>::max();
    facts += any ? ", for each element, all at once"
                 : ", for each element, up to " + std::to_string(planned.max_batch) + " at once";
  }
  print_wrapped(indent + left_column(planned.path, 24) + facts, indent.size() + 24);
  for (size_t i = 0; i < planned.outputs.size() && i < node.output_names.size(); ++i) {
    print_wrapped(indent + "  " + left_column(node.output_names[i], 22) + node.output_types[i] + ", " +
                      shape_text(planned.outputs[i]),
                  indent.size() + 24);
  }
  if (planned.device.kind != WEFT_DEVICE_CPU)
    print(indent + "  " + left_column("device", 22) + sdk::device_name(planned.device) + "\n");
  if (planned.workspace_bytes > 0)
    print(indent + "  " + left_column("workspace", 22) + format_byte_size(planned.workspace_bytes) + "\n");
  if (planned.state_bytes > 0)
    print(indent + "  " + left_column("state", 22) + format_byte_size(planned.state_bytes) + "\n");
  for (const PlannedNode& child : planned.children) print_node(child, depth + 1);
}

void print_plan(const Plan& plan, std::optional<uint64_t> limit_bytes) {
  print("Nodes, with bounds of their outputs:\n");
  for (const PlannedNode& node : plan.nodes) print_node(node, 1);
  if (!plan.models.empty()) print("\nModels:\n");
  for (const PlannedModelEntry& entry : plan.models) {
    const weft_model_estimate& estimate = entry.model.estimate;
    print_wrapped("  " + left_column(entry.name, 24) + entry.type + ", " +
                      format_byte_size(estimate.resident_bytes) + " resident, " +
                      format_byte_size(estimate.mapped_bytes) + " mapped" +
                      (estimate.offloaded_bytes == 0
                           ? ""
                           : ", " + format_byte_size(estimate.offloaded_bytes) + " waiting on the CPU"),
                  26);
    const bool cpu = estimate.device.kind == WEFT_DEVICE_CPU;
    print("    " + entry.model.path + (cpu ? "" : ", on " + sdk::device_name(estimate.device)) + "\n");
  }
  for (const DeviceMemory& memory : plan.devices) {
    print("\nPeak memory, " + shown_name(memory.device) + ": " + format_byte_size(memory.peak_bytes) + "\n");
    const struct {
      const char* name;
      uint64_t bytes;
    } parts[] = {{"weights", memory.weight_bytes},
                 {"state of nodes", memory.state_bytes},
                 {"workspace", memory.workspace_bytes},
                 {"values between nodes", memory.value_bytes},
                 {"mapped, can be dropped", memory.mapped_bytes}};
    for (const auto& part : parts)
      print("  " + left_column(part.name, 24) + format_byte_size(part.bytes) + "\n");
  }
  if (!plan.unbounded.empty()) {
    std::string names;
    for (const std::string& name : plan.unbounded) names += (names.empty() ? "" : ", ") + name;
    print_wrapped("\nNot counted, since their size is not known before they exist: " + names, 2);
  }
  if (limit_bytes) print("\nFits --max-memory " + format_byte_size(*limit_bytes) + ".\n");
}

Json node_json(const PlannedNode& planned) {
  const Node& node = *planned.node;
  Json json{{"node", planned.path},
            {"uses", node.uses},
            {"device", sdk::device_name(planned.device)},
            {"workspace_bytes", planned.workspace_bytes},
            {"state_bytes", planned.state_bytes},
            {"max_batch", planned.max_batch},
            {"outputs", Json::object()}};
  for (size_t i = 0; i < planned.outputs.size() && i < node.output_names.size(); ++i) {
    const weft_spec& spec = planned.outputs[i];
    Json output{{"type", node.output_types[i]}};
    const auto bounded = [](int64_t value) { return value == WEFT_UNBOUNDED ? Json(nullptr) : Json(value); };
    if (spec.kind == WEFT_KIND_BYTES || spec.kind == WEFT_KIND_LIST)
      output["max_bytes"] = bounded(spec.max_bytes);
    if (spec.kind == WEFT_KIND_LIST) output["max_count"] = bounded(spec.max_count);
    if (spec.kind == WEFT_KIND_TENSOR) {
      output["dtype"] = dtype_text(spec.dtype);
      output["shape"] = Json::array();
      for (int32_t axis = 0; axis < spec.rank; ++axis) output["shape"].push_back(bounded(spec.shape[axis]));
    }
    json["outputs"][node.output_names[i]] = output;
  }
  for (const PlannedNode& child : planned.children) json["children"].push_back(node_json(child));
  return json;
}

Json plan_json(const Plan& plan) {
  Json json{{"nodes", Json::array()},
            {"models", Json::array()},
            {"devices", Json::array()},
            {"unbounded", plan.unbounded}};
  for (const PlannedNode& node : plan.nodes) json["nodes"].push_back(node_json(node));
  for (const PlannedModelEntry& entry : plan.models) {
    json["models"].push_back({{"name", entry.name},
                              {"type", entry.type},
                              {"path", entry.model.path},
                              {"device", sdk::device_name(entry.model.estimate.device)},
                              {"resident_bytes", entry.model.estimate.resident_bytes},
                              {"mapped_bytes", entry.model.estimate.mapped_bytes},
                              {"offloaded_bytes", entry.model.estimate.offloaded_bytes}});
  }
  for (const DeviceMemory& memory : plan.devices) {
    json["devices"].push_back({{"device", shown_name(memory.device)},
                               {"peak_bytes", memory.peak_bytes},
                               {"weight_bytes", memory.weight_bytes},
                               {"state_bytes", memory.state_bytes},
                               {"workspace_bytes", memory.workspace_bytes},
                               {"value_bytes", memory.value_bytes},
                               {"mapped_bytes", memory.mapped_bytes}});
  }
  return json;
}

int show_plan(const Options& options) {
  Cancellation cancellation;
  const Messages messages = options.as_json ? Messages::kJson : Messages::kText;
  PipelineSetup setup;
  if (const std::optional<int> code =
          set_up(options.pipeline, options.settings, options.host, messages, cancellation, setup)) {
    return *code;
  }
  const Result<PreparedRun> prepared =
      prepare_run(*setup.file.graph, plugin_provider(), *setup.host, setup.options);
  if (!prepared.ok()) return setup.display->fail(prepared.error(), exit_code_before_run(prepared.code()));
  if (options.as_json) {
    print(plan_json(prepared->plan()).dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  } else {
    print_plan(prepared->plan(), options.host.max_memory_bytes);
  }
  return kSuccess;
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("PIPELINE", options->pipeline, "The pipeline file");
  arguments.option("--set", options->settings, "NAME=VALUE", "Give an input, as with weft run");
  options->host.declare(arguments);
  arguments.flag("--json", options->as_json, "Print one JSON object");
  return [options] { return show_plan(*options); };
}

}  // namespace

const Command kPlanCommand = {
    "plan", "shapes, workspaces, model bytes and peak memory, before loading",
    "Reads the headers of models, no weights. With --max-memory it says whether the run fits; exit code 5 if "
    "not.",
    "weft plan assets/pipelines/hello.json\nweft plan assets/pipelines/hello.json --max-memory 4GiB --json",
    declare};

}  // namespace weft::cli
