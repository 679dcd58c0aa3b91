#include "pipeline/check/check.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>
#include <utility>

#include "pipeline/check/checks.h"
#include "pipeline/files/folders.h"
#include "pipeline/loader/child_process.h"
#include "pipeline/loader/scan.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// A folder that is gone when the check is.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code failure;
    std::string pattern = (fs::temp_directory_path(failure) / "weft_check_XXXXXX").string();
    if (!failure && ::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Collects the results of one node over all the processes that it took.
class NodeResults {
 public:
  explicit NodeResults(std::string node) : node_(std::move(node)) {}

  /// Takes over a line of weft-check-node; anything else (a plugin may write there too) is passed over.
  void read_line(const std::string& line) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_array() || json.empty() || !json[0].is_string()) return;
    if (json[0] == "end") {
      ended_ = true;
    } else if (json[0] == "begin" && json.size() == 2 && json[1].is_number_unsigned()) {
      begun_ = json[1].get<size_t>() + 1;
    } else if (json[0] == "result" && json.size() == 4 && json[1].is_string() &&
               json[2].is_number_unsigned() && json[2] <= static_cast<unsigned>(Verdict::kNotExercised) &&
               json[3].is_string()) {
      add({node_, json[1], static_cast<Verdict>(json[2].get<unsigned>()), json[3]});
    }
  }
  /// The worst verdict of a check stays.
  void add(CheckResult result) {
    const auto same = std::find_if(results_.begin(), results_.end(),
                                   [&](const CheckResult& other) { return other.check == result.check; });
    if (same == results_.end()) {
      results_.push_back(std::move(result));
    } else if (same->verdict != Verdict::kFailed && result.verdict == Verdict::kFailed) {
      *same = std::move(result);
    }
  }
  size_t begun() const { return begun_; }  // how many passes have begun
  bool ended() const { return ended_; }    // the last one came to its end
  std::vector<CheckResult> take() { return std::move(results_); }

 private:
  std::string node_;
  size_t begun_ = 0;
  bool ended_ = false;
  std::vector<CheckResult> results_;
};

std::vector<CheckResult> check_in_children(const std::string& library, const std::string& node,
                                           const CheckOptions& options) {
  NodeResults results(node);
  const size_t passes = std::size(checks::kPasses);
  for (size_t pass = 0; pass < passes;) {
    const TemporaryFolder folder;
    std::vector<std::string> arguments = {library, node, std::to_string(pass), folder.path()};
    for (const std::string& model : options.models) arguments.push_back(fs::absolute(model).string());
    const Result<ChildOutcome> child = run_child(options.check_program, arguments, options.node_time_limit);
    if (!child.ok()) {
      results.add({node, checks::kExecution, Verdict::kFailed, to_string(child.error())});
      break;
    }
    std::istringstream lines(child->answer);
    for (std::string line; std::getline(lines, line);) results.read_line(line);
    if (results.ended()) break;
    // The pass that had begun did not come to its end: it counts as failed, and the next one is tried.
    const size_t broken = results.begun() > pass ? results.begun() - 1 : pass;
    if (child->ending != ChildOutcome::Ending::kExited || child->code != checks::kStuckStatus) {
      results.add({node, checks::kPasses[broken], Verdict::kFailed, "the node " + child->describe()});
    }
    pass = broken + 1;
  }
  return results.take();
}

const char* word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPassed: return "passed";
    case Verdict::kFailed: return "FAILED";
    case Verdict::kNotExercised: return "not exercised";
  }
  return "";
}

size_t count(const CheckReport& report, Verdict verdict) {
  return static_cast<size_t>(
      std::count_if(report.results.begin(), report.results.end(),
                    [&](const CheckResult& result) { return result.verdict == verdict; }));
}

}  // namespace

CheckOptions default_check_options() {
  CheckOptions options;
  options.describe = default_scan_options().describe;
  options.check_program = (program_prefix() / "libexec/weft/weft-check-node").string();
  return options;
}

bool CheckReport::passed() const { return count(*this, Verdict::kFailed) == 0; }

CheckReport check_plugin(const std::string& path, const CheckOptions& options) {
  CheckReport report;
  std::error_code failure;
  const fs::path canonical = fs::canonical(path, failure);
  report.path = failure ? path : canonical.string();
  Result<Description> description = describe_plugin(report.path, options.describe);
  if (!description.ok()) {
    report.results.push_back({{}, checks::kDescriptor, Verdict::kFailed, to_string(description.error())});
    return report;
  }
  report.descriptor = std::move(description->descriptor);
  for (const Error& problem : description->problems) {
    report.results.push_back({{}, checks::kDescriptor, Verdict::kFailed, to_string(problem)});
  }
  if (!report.results.empty()) return report;  // nothing runs on a descriptor that cannot be trusted
  report.results.push_back({{}, checks::kDescriptor, Verdict::kPassed, {}});
  for (const NodeTypeDescriptor& node : report.descriptor.nodes) {
    for (CheckResult& result : check_in_children(report.path, node.name, options)) {
      report.results.push_back(std::move(result));
    }
  }
  return report;
}

std::string to_text(const CheckReport& report) {
  std::string text;
  for (const CheckResult& result : report.results) {
    std::string line = std::string(word(result.verdict));
    line.resize(15, ' ');
    line += (result.node.empty() ? "" : result.node + " ") + result.check;
    text += line + (result.detail.empty() ? "" : ": " + result.detail) + "\n";
  }
  text += report.path + ": " + std::to_string(count(report, Verdict::kPassed)) + " passed, " +
          std::to_string(count(report, Verdict::kFailed)) + " failed, " +
          std::to_string(count(report, Verdict::kNotExercised)) + " not exercised\n";
  return text;
}

std::string to_json(const CheckReport& report) {
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  for (const CheckResult& result : report.results) {
    static constexpr const char* kVerdicts[] = {"passed", "failed", "not exercised"};
    results.push_back({{"node", result.node},
                       {"check", result.check},
                       {"verdict", kVerdicts[static_cast<size_t>(result.verdict)]},
                       {"detail", result.detail}});
  }
  const nlohmann::ordered_json json = {{"path", report.path},
                                       {"plugin", report.descriptor.name},
                                       {"passed", report.passed()},
                                       {"results", results}};
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace weft
