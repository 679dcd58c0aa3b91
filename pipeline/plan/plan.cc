#include "pipeline/plan/plan.h"

#include <weft/sdk/device.h>
#include <weft/sdk/model.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "pipeline/plan/planner.h"

namespace weft {
namespace {

constexpr size_t kShownUsers = 6;

using sdk::same_device;

std::string bytes_text(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " bytes";
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  char text[48];
  std::snprintf(text, sizeof text, "%.1f %s", value, kUnits[unit]);
  return text;
}

template <typename Visit>
void for_each_leaf(const std::vector<PlannedNode>& nodes, const Visit& visit) {
  for (const PlannedNode& node : nodes) {
    if (node.instance.api() != nullptr) visit(node);
    for_each_leaf(node.children, visit);
  }
}

uint32_t most_elements(const std::vector<PlannedNode>& nodes) {
  uint32_t most = 1;
  for (const PlannedNode& node : nodes) {
    if (!node.children.empty()) most = std::max({most, node.max_batch, most_elements(node.children)});
  }
  return most;
}

// The most bytes of weights that one node needs at once.
uint64_t largest_need(const Plan& plan, weft_device device) {
  uint64_t largest = 0;
  for_each_leaf(plan.nodes, [&](const PlannedNode& node) {
    std::vector<uint32_t> models;
    for (const PlannedModel& use : node.models) models.push_back(use.model);
    std::sort(models.begin(), models.end());
    models.erase(std::unique(models.begin(), models.end()), models.end());
    uint64_t bytes = 0;
    for (uint32_t index : models) bytes += sdk::bytes_on(plan.models[index].model.estimate, device);
    largest = std::max(largest, bytes);
  });
  return largest;
}

// "model 'writer' 94.1 MiB, state of 'idea' 45.0 MiB, ..."
std::string largest_users(const Plan& plan, const DeviceMemory& memory) {
  std::vector<std::pair<uint64_t, std::string>> users;
  for (const PlannedModelEntry& entry : plan.models) {
    users.emplace_back(sdk::bytes_on(entry.model.estimate, memory.device), "model '" + entry.name + "'");
  }
  for_each_leaf(plan.nodes, [&](const PlannedNode& node) {
    if (!same_device(node.device, memory.device)) return;
    users.emplace_back(node.state_bytes, "state of '" + node.path + "'");
    users.emplace_back(node.workspace_bytes, "workspace of '" + node.path + "'");
  });
  users.emplace_back(memory.value_bytes, "values between nodes");
  std::stable_sort(users.begin(), users.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (size_t i = 0; i < std::min(users.size(), kShownUsers) && users[i].first > 0; ++i) {
    text += (text.empty() ? "" : ", ") + users[i].second + " " + bytes_text(users[i].first);
  }
  return text;
}

}  // namespace

NodeInstance::NodeInstance(NodeInstance&& other) noexcept
    : api_(std::exchange(other.api_, nullptr)), node_(std::exchange(other.node_, nullptr)) {}

NodeInstance& NodeInstance::operator=(NodeInstance&& other) noexcept {
  std::swap(api_, other.api_);
  std::swap(node_, other.node_);
  return *this;
}

NodeInstance::~NodeInstance() {
  if (api_ != nullptr) api_->destroy(node_);
}

Result<Plan> create_plan(const Graph& graph, std::span<const sdk::Value> inputs, PlanEnvironment& environment,
                         const PlanWidth& width, std::span<const weft_spec> bounds) {
  return Planner(environment, width).plan(graph, inputs, bounds);
}

uint32_t elements_at_once(const Plan& plan) { return most_elements(plan.nodes); }

uint32_t useful_items(const Plan& plan) {
  uint32_t most = 1;
  for_each_leaf(plan.nodes, [&](const PlannedNode& node) { most = std::max(most, node.useful_batch); });
  return most;
}

Result<Budget> check_budget(const Plan& plan, weft_device device, uint64_t limit_bytes) {
  const auto memory = std::find_if(plan.devices.begin(), plan.devices.end(),
                                   [&](const DeviceMemory& one) { return same_device(one.device, device); });
  if (memory == plan.devices.end() || limit_bytes == 0) return Budget{};
  const uint64_t fixed = memory->peak_bytes - memory->weight_bytes;
  const uint64_t left = limit_bytes > fixed ? limit_bytes - fixed : 0;
  if (memory->peak_bytes <= limit_bytes) return Budget{left, Budget::Models::kAllResident};
  const uint64_t need = largest_need(plan, device);
  if (fixed <= limit_bytes && need <= left) return Budget{left, Budget::Models::kTakeTurns};
  return Status(StatusCode::kOutOfMemory, "the run does not fit: " + largest_users(plan, *memory))
      .at(device.kind == WEFT_DEVICE_CPU ? "" : sdk::device_name(device))
      .expected("at most " + bytes_text(limit_bytes))
      .got(bytes_text(fixed + need) + ", even with weights taking turns");
}

}  // namespace weft
