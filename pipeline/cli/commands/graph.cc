/// weft graph: a picture of a pipeline.
#include <filesystem>

#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/pipeline_file.h"
#include "pipeline/cli/report.h"
#include "pipeline/files/durable_file.h"
#include "pipeline/graph/picture.h"

namespace weft::cli {
namespace {

struct Options {
  std::string pipeline, format, output;
};

/// What the name of the output says, where no format is given.
std::string format_of(const Options& options) {
  if (!options.format.empty()) return options.format;
  const std::string extension = std::filesystem::path(options.output).extension();
  return extension == ".dot" || extension == ".gv"   ? "dot"
         : extension == ".mmd" || extension == ".md" ? "mermaid"
                                                     : "svg";
}

int draw(const Options& options) {
  PipelineFile file;
  if (const std::optional<int> code = load_pipeline(options.pipeline, Messages::kText, file)) return *code;
  const std::string format = format_of(options);
  const std::string picture = format == "dot"       ? picture_dot(*file.graph)
                              : format == "mermaid" ? picture_mermaid(*file.graph)
                                                    : picture_svg(*file.graph);
  if (options.output.empty() || options.output == "-") {
    print(picture);
    return kSuccess;
  }
  FileSystem file_system;
  TemporaryFiles temporaries(file_system);
  const Status written = write_durably(temporaries, options.output, picture);
  return written.ok() ? static_cast<int>(kSuccess) : report_error(written);
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("PIPELINE", options->pipeline, "The pipeline file");
  arguments.choice("--format", options->format, {"svg", "dot", "mermaid"},
                   "Default: what the output's name says, else svg");
  arguments.option("--output,-o", options->output, "FILE", "Where to write; default: standard output");
  return [options] { return draw(*options); };
}

}  // namespace

const Command kGraphCommand = {"graph", "a picture of a pipeline: SVG, DOT or Mermaid", "",
                               "weft graph assets/pipelines/route.json --output route.svg\n"
                               "weft graph assets/pipelines/route.json --format mermaid\n"
                               "weft graph assets/pipelines/route.json --format dot | dot -Tpng > route.png",
                               declare};

}  // namespace weft::cli
