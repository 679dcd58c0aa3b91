#include "pipeline/cli/bench_kernels.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "kernels/bench/kernel_case.h"
#include "kernels/bench/kernel_peer.h"
#include "kernels/threads/cpu_limits.h"
#include "kernels/threads/thread_pool.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kLeastSeconds = 0.2;  // a measurement
constexpr int kRounds = 3;             // of both sides in turn, where there is a peer

template <typename... Values>
void print_line(const char* format, Values... values) {
  char line[200];
  std::snprintf(line, sizeof line, format, values...);
  print(line);
}

Json peaks_json(const KernelPeaks& peaks) {
  Json json{{"read_gb_per_s", peaks.read_bytes * 1e-9}};
  for (const Arithmetic arithmetic : {Arithmetic::kF32, Arithmetic::kBF16, Arithmetic::kInt8}) {
    const double peak = peaks.operations[static_cast<int>(arithmetic)];
    if (peak > 0) json[std::string(to_string(arithmetic)) + "_gop_per_s"] = peak * 1e-9;
  }
  return json;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Both sides in turn, so that a neighbour at work meets both; the peer's seconds are 0 where it has no such operation.
struct Seconds {
  double weft = 0, peer = 0;
};
Result<Seconds> measure_in_turn(const KernelCase& kernel_case, KernelPeer* peer, Executor executor) {
  const KernelRun run = kernel_case.make(executor);
  if (!peer || kernel_case.peer_work.empty())
    return Seconds{measure_seconds(run, executor, kLeastSeconds), 0};
  std::vector<double> ours, theirs;
  for (int round = 0; round < kRounds; ++round) {
    ours.push_back(measure_seconds(run, executor, kLeastSeconds));
    const Result<double> answer = peer->measure(kernel_case.peer_work);
    if (!answer.ok()) return answer.status();
    theirs.push_back(*answer);
    if (*answer == 0) break;
  }
  return Seconds{median(ours), median(theirs)};
}

Json row_json(const KernelOp& op, const KernelCase& kernel_case, const Seconds& seconds) {
  Json row{{"op", op.name},
           {"case", kernel_case.name},
           {"microseconds", seconds.weft * 1e6},
           {"gb_per_s", kernel_case.bytes / seconds.weft * 1e-9}};
  if (kernel_case.operations > 0) {
    row["gop_per_s"] = kernel_case.operations / seconds.weft * 1e-9;
    row["arithmetic"] = to_string(kernel_case.arithmetic);
  }
  if (seconds.peer > 0) {
    row["peer_microseconds"] = seconds.peer * 1e6;
    row["ratio"] = seconds.peer / seconds.weft;
  }
  return row;
}

/// Seconds and operations of one pass of a model, over the measured cases that are part of it.
struct Total {
  Seconds seconds;
  double operations = 0;
  bool has_peer = true;
};
using Totals = std::map<std::pair<std::string, std::string>, Total>;  // by model, and by arithmetic

void add_to_total(const KernelCase& kernel_case, const Seconds& seconds, Totals& totals) {
  if (kernel_case.uses == 0) return;
  Total& total = totals[{kernel_case.model, to_string(kernel_case.arithmetic)}];
  total.seconds.weft += kernel_case.uses * seconds.weft;
  total.seconds.peer += kernel_case.uses * seconds.peer;
  total.operations += kernel_case.uses * kernel_case.operations;
  total.has_peer &= seconds.peer > 0;
}

Json total_json(const KernelOp& op, const Totals::value_type& entry) {
  const auto& [name, total] = entry;
  Json row{{"op", op.name},
           {"case", name.second + " " + name.first + ", weighed by use"},
           {"microseconds", total.seconds.weft * 1e6},
           {"gop_per_s", total.operations / total.seconds.weft * 1e-9},
           {"arithmetic", name.second}};
  if (total.has_peer) {
    row["peer_microseconds"] = total.seconds.peer * 1e6;
    row["ratio"] = total.seconds.peer / total.seconds.weft;
  }
  return row;
}

bool matches(const KernelCase& kernel_case, const std::string& filter) {
  return kernel_case.name.find(filter) != std::string::npos ||
         std::string_view(kernel_case.model).find(filter) != std::string_view::npos;
}

/// Appends a row for each case of the op that matches, and for each model's total.
Status measure_op(const KernelOp& op, const std::string& filter, KernelPeer* peer, Executor executor,
                  Json& rows) {
  Totals totals;
  for (const KernelCase& kernel_case : op.cases()) {
    if (!matches(kernel_case, filter)) continue;
    const Result<Seconds> seconds = measure_in_turn(kernel_case, peer, executor);
    if (!seconds.ok()) return seconds.status();
    rows.push_back(row_json(op, kernel_case, *seconds));
    add_to_total(kernel_case, *seconds, totals);
  }
  for (const Totals::value_type& total : totals) rows.push_back(total_json(op, total));
  return Status();
}

void compare_with_peaks(const Json& peaks, Json& row) {
  if (row.contains("gb_per_s"))
    row["percent_of_read_peak"] =
        100 * row.at("gb_per_s").get<double>() / peaks.at("read_gb_per_s").get<double>();
  if (!row.contains("arithmetic")) return;
  const std::string key = row.at("arithmetic").get<std::string>() + "_gop_per_s";
  if (peaks.contains(key))
    row["percent_of_arithmetic_peak"] = 100 * row.at("gop_per_s").get<double>() / peaks.at(key).get<double>();
}

/// The larger of each: a neighbour at work makes a peak look low, and nothing makes it look high.
void take_larger(const Json& other, Json& peaks) {
  for (auto& [name, value] : peaks.items())
    value = std::max(value.get<double>(), other.at(name).get<double>());
}

/// A number of the row in a column, or blanks.
void print_column(const Json& row, const char* name, const char* format, const char* blanks) {
  if (row.contains(name)) print_line(format, row.at(name).get<double>());
  else print(blanks);
}

void print_row(const Json& row) {
  print_line("  %-32s", row.at("case").get<std::string>().c_str());
  print_column(row, "microseconds", "%9.0f", "         ");
  print_column(row, "gb_per_s", "%6.1f", "      ");
  print_column(row, "percent_of_read_peak", "%4.0f%%", "     ");
  print_column(row, "gop_per_s", "%6.0f", "      ");
  print_column(row, "percent_of_arithmetic_peak", "%4.0f%%", "     ");
  if (row.contains("ratio")) {
    print_column(row, "peer_microseconds", "%9.0f", "");
    print_column(row, "ratio", "%6.2f", "");
  }
  print("\n");
}

void print_table(const Json& report) {
  print_line("level %s, %u threads; peaks measured here: read %.1f GB/s;\nGop/s:",
             report.at("isa").get<std::string>().c_str(), report.at("threads").get<uint32_t>(),
             report.at("peaks").at("read_gb_per_s").get<double>());
  for (const auto& [name, value] : report.at("peaks").items()) {
    if (name != "read_gb_per_s")
      print_line(" %s %.0f", name.substr(0, name.find('_')).c_str(), value.get<double>());
  }
  if (report.contains("peer")) print("; peer: " + report.at("peer").get<std::string>());
  std::string op;
  for (const Json& row : report.at("kernels")) {
    if (row.at("op") != op) {
      op = row.at("op").get<std::string>();
      print_line("\n%-34s%9s%6s%5s%6s%5s", op.c_str(), "us", "GB/s", "peak", "Gop/s", "peak");
      if (report.contains("peer")) print_line("%9s%6s", "peer us", "ratio");
      print("\n");
    }
    print_row(row);
  }
}

std::string op_names() {
  std::string names;
  for (const KernelOp& op : kernel_ops()) names += (names.empty() ? "" : ", ") + std::string(op.name);
  return names;
}

bool is_op(const std::string& name) {
  return std::ranges::any_of(kernel_ops(), [&](const KernelOp& op) { return name == op.name; });
}

}  // namespace

int bench_kernels(const KernelBenchOptions& options) {
  if (!options.op.empty() && !is_op(options.op)) {
    report_error(Status(StatusCode::kNotFound, "no such operation to measure")
                     .expected("one of " + op_names())
                     .got("'" + options.op + "'"));
    return kUsage;
  }
  const ThreadPool pool(options.threads > 0 ? options.threads : available_cpus());
  const Executor executor(pool.executor());
  std::optional<KernelPeer> peer;
  if (!options.peer.empty()) {
    Result<KernelPeer> started = KernelPeer::start(options.peer, executor.max_threads());
    if (!started.ok()) return report_error(started.status());
    peer = *std::move(started);
  }
  const IsaLevel level = active_isa();
  Json peaks = peaks_json(measure_peaks(executor, level, options.buffer_bytes));
  Json rows = Json::array();
  for (const KernelOp& op : kernel_ops()) {
    if (!options.op.empty() && options.op != op.name) continue;
    if (Status done = measure_op(op, options.filter, peer ? &*peer : nullptr, executor, rows); !done.ok())
      return report_error(done);
  }
  take_larger(peaks_json(measure_peaks(executor, level, options.buffer_bytes)), peaks);
  for (Json& row : rows) compare_with_peaks(peaks, row);
  Json report{{"isa", to_string(level)}, {"threads", executor.max_threads()}, {"peaks", peaks}};
  if (peer) report["peer"] = peer->name();
  report["kernels"] = rows;
  if (options.as_json) {
    print(report.dump() + "\n");
  } else {
    print_table(report);
  }
  return kSuccess;
}

}  // namespace weft::cli
