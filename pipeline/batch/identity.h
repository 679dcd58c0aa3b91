/// What the results of a batch depend on besides its items: pipeline files, plugins, models, ISA level, shared settings.
///
/// Kept as facts in the journal by content hash; a batch that goes on compares them with what is there now, so that one
/// output folder never holds results of two different pipelines. Thread safety: plain values.
#ifndef WEFT_PIPELINE_BATCH_IDENTITY_H
#define WEFT_PIPELINE_BATCH_IDENTITY_H

#include <weft/sdk/status.h>

#include <map>
#include <string>
#include <vector>

#include "pipeline/graph/parse.h"
#include "pipeline/run/run.h"

namespace weft {

/// Facts by name: "pipeline postcard.json", "plugin text", "model /models/a.gguf", "isa level", "numerics profile".
using Facts = std::map<std::string, std::string>;

/// sources: the pipeline's files as they were parsed. prepared: a run of one of its items, for the models.
Facts batch_identity(const std::vector<PipelineSource>& sources, const PreparedRun& prepared,
                     const RunOptions& options);

/// The facts of `now` whose value in `before` is another one, and those of `before` that are no longer true, as
/// "model '/models/a.gguf' (was b179c952, is 0d6fa2c1)". Models are compared where both sides know them: items may use
/// different ones. Facts of other kinds, as the batch's seed, do not count.
std::vector<std::string> changed_facts(const Facts& before, const Facts& now);
/// The same in one text, with commas between; empty if nothing has changed.
std::string changes_text(const Facts& before, const Facts& now);

}  // namespace weft
#endif
