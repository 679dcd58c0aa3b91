#include "pipeline/cli/pipeline_setup.h"

#include <map>
#include <utility>

#include "pipeline/cli/exit_code.h"

namespace weft::cli {

std::optional<int> set_up(const std::string& pipeline, const std::vector<std::string>& settings,
                          const HostSettings& host_settings, Messages messages, Cancellation& cancellation,
                          PipelineSetup& setup) {
  if (const std::optional<int> code = load_pipeline(pipeline, messages, setup.file)) return code;
  RunDisplay& display =
      setup.display.emplace(*setup.file.graph, messages, parse_log_level(host_settings.log_level));
  setup.options = run_options(host_settings);
  Result<std::map<std::string, InputValue>> inputs = input_values(setup.file, settings);
  if (!inputs.ok()) return display.fail(inputs.error(), exit_code_before_run(inputs.code()));
  setup.options.inputs = *std::move(inputs);
  apply_file(setup.file, settings, setup.options);
  setup.host = make_host(
      host_settings, cancellation.temporaries(),
      [&display](weft_log_level level, const std::string& message) { display.log(level, message); });
  return std::nullopt;
}

}  // namespace weft::cli
