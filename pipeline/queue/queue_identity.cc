#include "pipeline/queue/queue_identity.h"

#include <filesystem>
#include <utility>

#include "pipeline/batch/concurrency.h"
#include "pipeline/batch/run_items.h"
#include "pipeline/run/host.h"
#include "pipeline/run/run_record.h"
#include "pipeline/run/shared_runs.h"

namespace weft {

Facts queue_identity(const std::vector<PipelineSource>& sources, const PreparedRun& prepared,
                     const RunOptions& options) {
  std::vector<PipelineSource> named = sources;
  for (PipelineSource& source : named) source.file = from_folder(source.file, prepared.graph().folder);
  Facts facts = batch_identity(named, prepared, options);
  for (const UsedModel& model : prepared.used_models()) facts.erase("model " + model.path);
  facts.merge(model_facts(prepared));
  return facts;
}

Facts model_facts(const PreparedRun& prepared) {
  Facts facts;
  for (const UsedModel& model : prepared.used_models()) {
    const std::string file = std::filesystem::path(model.path).filename().string();
    facts["model " + model.name + " (" + file + ")"] = model.sha256;
  }
  return facts;
}

Result<QueueProbe> probe_item(const BatchSetup& setup, const std::string& inputs_json, uint32_t concurrency) {
  RunItemsOptions items;
  items.run = setup.run;
  Item item;
  item.inputs_json = inputs_json;
  Result<RunOptions> run = item_run_options(items, item);
  if (!run.ok()) return run.status();
  SharedRuns runs(setup.graph, setup.plugins, setup.host,
                  {.at_once = concurrency, .available_bytes = available_bytes(), .varying = {}});
  Result<std::shared_ptr<PreparedRun>> prepared = runs.find(*run);
  if (!prepared.ok()) return prepared.status();
  return QueueProbe{queue_identity(setup.run.sources, **prepared, setup.run),
                    plan_of(**prepared, concurrency, setup.host.threads(), setup.run.max_memory_bytes)};
}

}  // namespace weft
