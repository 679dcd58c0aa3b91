/// What the results of a queue's items depend on besides the items, by names that are the same on all machines, and how
/// many items a machine works on at once: both from preparing one item.
///
/// Thread safety: one thread.
#ifndef WEFT_PIPELINE_QUEUE_QUEUE_IDENTITY_H
#define WEFT_PIPELINE_QUEUE_QUEUE_IDENTITY_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <string>

#include "pipeline/batch/batch.h"
#include "pipeline/batch/identity.h"
#include "pipeline/run/run.h"

namespace weft {

/// As batch_identity, but pipelines are named by their path from the pipeline's folder, models by their name in the
/// pipeline and that of their file.
Facts queue_identity(const std::vector<PipelineSource>& sources, const PreparedRun& prepared,
                     const RunOptions& options);

/// Of those, the models: "model writer (a.gguf)" to hash.
Facts model_facts(const PreparedRun& prepared);

struct QueueProbe {
  Facts identity;
  BatchPlan plan;
};

/// Prepares an item with these inputs, a JSON object. concurrency: as BatchOptions has it.
/// Errors: those of prepare_run.
Result<QueueProbe> probe_item(const BatchSetup& setup, const std::string& inputs_json, uint32_t concurrency);

}  // namespace weft
#endif
