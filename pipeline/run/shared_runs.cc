#include "pipeline/run/shared_runs.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "pipeline/graph/graph.h"
#include "pipeline/memory/value_json.h"
#include "pipeline/run/run_state.h"

namespace weft {
namespace {

constexpr size_t kMostRuns = 4;  // kept for later items; a grid of such inputs seldom alternates between more
constexpr int64_t kLeastBytes = 256;  // of an input's bound

/// The text that an item gives the input, with a letter for how it is meant.
std::string given_text(const PipelineInput& input, const RunOptions& item) {
  const auto given = item.inputs.find(input.name);
  if (given == item.inputs.end()) return "d" + input.default_json.value_or("");
  if (given->second.value) return "v" + value_to_json(given->second.value, UINT64_MAX);
  return given->second.json.empty() ? "t" + given->second.text : "j" + given->second.json;
}

bool within(const std::map<std::string, int64_t>& sizes, const std::map<std::string, int64_t>& bounds) {
  return std::all_of(sizes.begin(), sizes.end(),
                     [&](const auto& size) { return size.second <= bounds.at(size.first); });
}

/// Whether no seed that was drawn is the same for all items.
bool draws_own_seeds(PreparedRun& run) {
  const PreparedRun::State& state = run.state();
  return std::all_of(state.item.seeds.begin(), state.item.seeds.end(), [&](const DrawnSeed& seed) {
    return seed.parameter == DrawnSeed::kToday ||
           std::find(state.item_seeds.begin(), state.item_seeds.end(),
                     std::pair(seed.node, seed.parameter)) != state.item_seeds.end();
  });
}

}  // namespace

SharedRuns::SharedRuns(const Graph& graph, PluginProvider plugins, Host& host, const ItemOptions& items)
    : graph_(graph), plugins_(std::move(plugins)), host_(host), items_(items) {}

std::string SharedRuns::key_of(const RunOptions& item) const {
  std::string key;
  for (const PipelineInput& input : graph_.inputs) {
    if (!input.needed_before_run) continue;
    const std::string text = given_text(input, item);
    key += std::to_string(text.size()) + ":" + text;
  }
  return key;
}

SharedRuns::Sizes SharedRuns::sizes_of(const RunOptions& item) const {
  Sizes sizes;
  for (const PipelineInput& input : graph_.inputs) {
    if (!input.needed_before_run) sizes[input.name] = static_cast<int64_t>(given_text(input, item).size());
  }
  return sizes;
}

Result<std::shared_ptr<PreparedRun>> SharedRuns::find(const RunOptions& item) {
  const auto prepare = [&](const RunOptions& options) -> Result<std::shared_ptr<PreparedRun>> {
    Result<PreparedRun> prepared = prepare_run(graph_, plugins_, host_, options);
    if (!prepared.ok()) return prepared.status();
    return std::make_shared<PreparedRun>(*std::move(prepared));
  };
  RunOptions alone = item;
  alone.items.reset();
  if (way_ == Way::kEachItsOwn) return prepare(alone);

  const std::string key = key_of(item);
  Sizes sizes = sizes_of(item);
  const auto known =
      std::find_if(shared_.begin(), shared_.end(), [&](const Shared& shared) { return shared.key == key; });
  if (known != shared_.end() && within(sizes, known->bounds) && known->run->models_unchanged()) {
    std::rotate(shared_.begin(), known, known + 1);
    return shared_.front().run;
  }
  for (auto& [name, bytes] : sizes) {
    bytes = std::max(kLeastBytes, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(bytes))));
    if (known != shared_.end()) bytes = std::max(bytes, known->bounds.at(name));
  }
  RunOptions together = alone;
  together.items = items_;
  together.items->varying = sizes;
  Result<std::shared_ptr<PreparedRun>> prepared = prepare(together);
  // Larger items than before, and not so many of them fit.
  for (; prepared.code() == StatusCode::kOutOfMemory && known != shared_.end() && together.items->at_once > 1;
       prepared = prepare(together)) {
    together.items->at_once /= 2;
  }
  if (known != shared_.end()) shared_.erase(known);
  if (prepared.code() == StatusCode::kOutOfMemory) return prepared;
  if (!prepared.ok() || !draws_own_seeds(**prepared)) {
    // Perhaps a node wants to see the values; then an item can be prepared by itself.
    Result<std::shared_ptr<PreparedRun>> own = prepare(alone);
    if (own.ok()) way_ = Way::kEachItsOwn;
    return own;
  }
  shared_.insert(shared_.begin(), {key, std::move(sizes), *prepared});
  if (shared_.size() > kMostRuns) shared_.pop_back();
  return prepared;
}

}  // namespace weft
