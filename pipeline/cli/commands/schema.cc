/// weft schema: a JSON Schema of pipeline files, made from the installed plugins.
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/pipeline_file.h"
#include "pipeline/cli/report.h"
#include "pipeline/graph/json_schema.h"

namespace weft::cli {
namespace {

std::function<int()> declare(Arguments&) {
  return [] {
    print(json_schema(*find_plugins()));
    return static_cast<int>(kSuccess);
  };
}

}  // namespace

const Command kSchemaCommand = {
    "schema", "a JSON Schema of pipelines, for editors",
    "Made from the plugins that are installed. A pipeline names it with \"$schema\".",
    "weft schema > weft.schema.json", declare};

}  // namespace weft::cli
