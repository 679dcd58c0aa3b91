/// The conformance suite that `weft check` runs on any plugin.
///
/// Every claim of the plugin contract that can be tried from outside is tried: the descriptor, then each node with inputs
/// made from its port types and with each parameter at its default, smallest, largest and every choice. Behaviour is
/// tried in child processes (`weft-check-node`), so that a crash is a finding, not the end.
/// Thread safety: any thread; starts children and waits for them.
///
///   CheckReport report = check_plugin("my_plugin.so", default_check_options());
///   for (const CheckResult& result : report.results) ...
#ifndef WEFT_PIPELINE_CHECK_CHECK_H
#define WEFT_PIPELINE_CHECK_CHECK_H

#include <chrono>
#include <string>
#include <vector>

#include "pipeline/loader/describe.h"

namespace weft {

enum class Verdict {
  kPassed,
  kFailed,
  kNotExercised,  // could not be tried: the node needs a model, or refused every input that was made up
};

struct CheckResult {
  std::string node;   // "" for what concerns the whole plugin
  std::string check;  // a name of kChecks (checks.h): "memory", "cancellation" ...
  Verdict verdict = Verdict::kPassed;
  std::string detail;  // what went wrong, or why it was not exercised; one line
};

struct CheckOptions {
  DescribeOptions describe;
  std::string check_program;                  // absolute path of weft-check-node
  std::vector<std::string> models;            // files or folders to try for parameters of type model
  std::chrono::seconds node_time_limit{600};  // for all checks of one node
};

/// From the place of the running program, as default_scan_options().
CheckOptions default_check_options();

struct CheckReport {
  std::string path;
  PluginDescriptor descriptor;  // empty if it could not be read
  std::vector<CheckResult> results;
  bool passed() const;  // nothing failed
};

/// Never fails as a whole: a file that is no plugin gives a report whose check "descriptor" failed.
CheckReport check_plugin(const std::string& path, const CheckOptions& options);

/// One line of text a result, and a last line with the sum.
std::string to_text(const CheckReport& report);
/// One JSON object: {"path", "plugin", "passed", "results": [{"node", "check", "verdict", "detail"}]}.
std::string to_json(const CheckReport& report);

}  // namespace weft
#endif
