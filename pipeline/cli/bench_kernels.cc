#include "pipeline/cli/bench_kernels.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "kernels/bench/kernel_case.h"
#include "kernels/threads/cpu_limits.h"
#include "kernels/threads/thread_pool.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kLeastSeconds = 0.2;  // a case

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

Json measure(const KernelOp& op, const KernelCase& kernel_case, Executor executor) {
  const double seconds = measure_seconds(kernel_case, executor, kLeastSeconds);
  Json row{{"op", op.name},
           {"case", kernel_case.name},
           {"microseconds", seconds * 1e6},
           {"gb_per_s", kernel_case.bytes / seconds * 1e-9}};
  if (kernel_case.operations > 0) {
    row["gop_per_s"] = kernel_case.operations / seconds * 1e-9;
    row["arithmetic"] = to_string(kernel_case.arithmetic);
  }
  return row;
}

void compare_with_peaks(const Json& peaks, Json& row) {
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

void print_row(const Json& row) {
  const std::string name = row.at("op").get<std::string>() + ": " + row.at("case").get<std::string>();
  print_line("%-56s%12.1f%10.1f%6.0f%%", name.c_str(), row.at("microseconds").get<double>(),
             row.at("gb_per_s").get<double>(), row.at("percent_of_read_peak").get<double>());
  if (row.contains("percent_of_arithmetic_peak")) {
    print_line("%10.1f%6.0f%% %s", row.at("gop_per_s").get<double>(),
               row.at("percent_of_arithmetic_peak").get<double>(),
               row.at("arithmetic").get<std::string>().c_str());
  }
  print("\n");
}

void print_table(const Json& report) {
  print_line("level %s, %u threads; peaks measured here: read %.1f GB/s; Gop/s:",
             report.at("isa").get<std::string>().c_str(), report.at("threads").get<uint32_t>(),
             report.at("peaks").at("read_gb_per_s").get<double>());
  for (const auto& [name, value] : report.at("peaks").items()) {
    if (name != "read_gb_per_s")
      print_line(" %s %.0f", name.substr(0, name.find('_')).c_str(), value.get<double>());
  }
  print_line("\n%-56s%12s%10s%7s%10s%7s\n", "", "us", "GB/s", "peak", "Gop/s", "peak");
  for (const Json& row : report.at("kernels")) print_row(row);
}

std::string op_names() {
  std::string names;
  for (const KernelOp& op : kernel_ops()) names += (names.empty() ? "" : ", ") + std::string(op.name);
  return names;
}

}  // namespace

int bench_kernels(const KernelBenchOptions& options) {
  bool found = options.op.empty();
  for (const KernelOp& op : kernel_ops()) found |= options.op == op.name;
  if (!found) {
    report_error(Status(StatusCode::kNotFound, "no such operation to measure")
                     .expected("one of " + op_names())
                     .got("'" + options.op + "'"));
    return kUsage;
  }
  const ThreadPool pool(options.threads > 0 ? options.threads : available_cpus());
  const Executor executor(pool.executor());
  const IsaLevel level = active_isa();
  Json peaks = peaks_json(measure_peaks(executor, level, options.buffer_bytes));
  Json rows = Json::array();
  for (const KernelOp& op : kernel_ops()) {
    if (!options.op.empty() && options.op != op.name) continue;
    for (const KernelCase& kernel_case : op.cases()) rows.push_back(measure(op, kernel_case, executor));
  }
  take_larger(peaks_json(measure_peaks(executor, level, options.buffer_bytes)), peaks);
  for (Json& row : rows) compare_with_peaks(peaks, row);
  const Json report{
      {"isa", to_string(level)}, {"threads", executor.max_threads()}, {"peaks", peaks}, {"kernels", rows}};
  if (options.as_json) {
    print(report.dump() + "\n");
  } else {
    print_table(report);
  }
  return kSuccess;
}

}  // namespace weft::cli
