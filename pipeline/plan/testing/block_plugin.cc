#include "pipeline/plan/testing/block_plugin.h"

#include <weft/sdk/error.h>

#include <cmath>
#include <limits>
#include <string_view>

#include "pipeline/memory/value.h"
#include "pipeline/memory/value_json.h"

namespace weft {
namespace {

int g_live_nodes = 0;

ParameterDescriptor parameter(std::string name, std::string type, std::string default_json) {
  ParameterDescriptor result;
  result.name = std::move(name);
  result.type = std::move(type);
  result.default_json = std::move(default_json);
  result.minimum = -INFINITY;
  result.maximum = INFINITY;
  return result;
}

std::vector<ParameterDescriptor> block_parameters() {
  std::vector<ParameterDescriptor> result = {
      parameter("workspace", "int", "0"), parameter("state", "int", "0"),   parameter("cost", "float", "0"),
      parameter("bytes", "int", "-1"),    parameter("count", "int", "-1"),  parameter("fail", "text", "\"\""),
      parameter("rows", "int", "1"),      parameter("gpu", "bool", "false")};
  result[0].minimum = 0;
  ParameterDescriptor seed = parameter("seed", "seed", "");
  seed.default_json.reset();
  ParameterDescriptor note = parameter("note", "text", "\"none\"");
  note.per_request = true;
  ParameterDescriptor model = parameter("model", "model", "");
  model.default_json.reset();
  model.optional = true;
  model.choices = {"test.model"};
  result.insert(result.end(), {seed, note, model});
  return result;
}

struct BlockNode {
  std::string type;
  int64_t workspace, state, bytes, count, rows;
  double cost;
  bool gpu;
  std::string fail;
};

weft_status fail(weft_error* error, weft_status code, std::string_view message) {
  return sdk::to_c(Status(static_cast<StatusCode>(code), std::string(message)), error);
}

template <int kType>
weft_status create(const weft_host* host, const weft_node_config* config, void** node, weft_error* error) {
  const weft_parameter_api& get = *host->parameters;
  const std::string what = get.get_text(config->parameters, "fail", nullptr);
  if (what == "create") return fail(error, WEFT_UNSUPPORTED, "create says no");
  constexpr const char* kTypes[] = {"block", "tensor", "list"};
  *node = new BlockNode{kTypes[kType],
                        get.get_int(config->parameters, "workspace"),
                        get.get_int(config->parameters, "state"),
                        get.get_int(config->parameters, "bytes"),
                        get.get_int(config->parameters, "count"),
                        get.get_int(config->parameters, "rows"),
                        get.get_float(config->parameters, "cost"),
                        get.get_bool(config->parameters, "gpu") != 0,
                        what};
  ++g_live_nodes;
  return WEFT_OK;
}

weft_status prepare(void* self, const weft_spec*, size_t, weft_node_plan* plan, weft_error* error) {
  const BlockNode& node = *static_cast<BlockNode*>(self);
  if (node.fail == "prepare") return fail(error, WEFT_OUT_OF_RANGE, "prepare says no");
  plan->workspace_bytes = static_cast<uint64_t>(node.workspace);
  plan->state_bytes = static_cast<uint64_t>(node.state);
  plan->cost_seconds = node.fail == "cost" ? std::numeric_limits<double>::quiet_NaN() : node.cost;
  plan->max_batch = node.fail == "batch" ? 0 : 8;
  if (node.gpu) plan->device = {WEFT_DEVICE_CUDA, 0};
  weft_spec& out = plan->outputs[0];
  if (node.type == "tensor") {
    out.dtype = WEFT_DTYPE_F32;
    out.device = plan->device;
    out.rank = 2;
    out.shape[0] = node.rows;
    out.shape[1] = 4;
  } else {
    out.max_bytes = node.bytes;
    if (node.type == "list") out.max_count = node.count;
    if (node.type == "block") plan->outputs[1].max_count = node.count;
  }
  return WEFT_OK;
}

weft_status execute(void*, weft_request* const*, size_t, const weft_execution*, weft_error*) {
  return WEFT_INTERNAL;
}

void destroy(void* self) {
  delete static_cast<BlockNode*>(self);
  --g_live_nodes;
}

template <int kType>
constexpr weft_node_api kApi = {sizeof(weft_node_api), 0, create<kType>, prepare, execute, destroy};

}  // namespace

Catalog block_catalog() {
  PluginDescriptor plugin;
  plugin.path = "/plugins/test.so";
  plugin.name = "test";
  const std::vector<PortDescriptor> nothing;
  plugin.nodes = {{"test.block",
                   1,
                   WEFT_NODE_PURE | WEFT_NODE_EXTRA_INPUTS,
                   "",
                   nothing,
                   {{"out", "text", "", false}, {"numbers", "list<int>", "", false}},
                   block_parameters()},
                  {"test.tensor",
                   1,
                   WEFT_NODE_EXTRA_INPUTS,
                   "",
                   nothing,
                   {{"out", "tensor", "", false}},
                   block_parameters()},
                  {"test.list",
                   1,
                   WEFT_NODE_EXTRA_INPUTS,
                   "",
                   nothing,
                   {{"out", "list<text>", "", false}},
                   block_parameters()}};
  plugin.models = {{"test.model", 1, "", {parameter("bytes", "int", "1000")}}};
  return Catalog({plugin}, {});
}

BlockEnvironment::BlockEnvironment()
    : pool_(std::make_unique<CpuPool>()), host_(std::make_unique<weft_host>()) {
  host_->struct_size = sizeof(weft_host);
  host_->abi_version = WEFT_ABI_VERSION;
  host_->values = value_api();
  host_->parameters = &parameter_api();
}

BlockEnvironment::~BlockEnvironment() = default;

int BlockEnvironment::live_nodes() { return g_live_nodes; }

Result<const weft_node_api*> BlockEnvironment::node_api(const Catalog::NodeEntry& type) {
  if (type.node->name == "test.tensor") return &kApi<1>;
  if (type.node->name == "test.list") return &kApi<2>;
  return &kApi<0>;
}

Result<OpenModel> BlockEnvironment::open_model(const Graph&, const ModelEntry&, const std::string& path,
                                               const weft_parameters& parameters) {
  opened.push_back(path);
  if (path == "missing") return Status(StatusCode::kNotFound, "no such model");
  std::unique_ptr<int>& model = models_[path + "\n" + parameters_key(parameters)];
  if (!model) model = std::make_unique<int>(0);
  OpenModel result;
  result.handle = model.get();
  result.path = "/models/" + path;
  result.estimate = {
      sizeof(weft_model_estimate), 0, static_cast<uint64_t>(parameter_api().get_int(&parameters, "bytes")), 7,
      {WEFT_DEVICE_CPU, 0},        0};
  return result;
}

Result<sdk::Value> BlockEnvironment::make_value(const std::string& json, const std::string& type) {
  Result<Value> value = value_from_json(json, type, *pool_);
  if (!value.ok()) return value.status();
  return sdk::Value::adopt(value_api(), value->release());
}

Result<std::string> BlockEnvironment::reference_text(const weft_value* value) {
  return value_to_template_text(Value::share(value));
}

int64_t BlockEnvironment::seed(const std::string& node, const std::string& parameter) {
  seeds.push_back(node + "." + parameter);
  return 999 + static_cast<int64_t>(seeds.size());
}

}  // namespace weft
