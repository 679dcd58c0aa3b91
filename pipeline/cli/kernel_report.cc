#include "pipeline/cli/kernel_report.h"

#include <cstdio>
#include <utility>

#include "pipeline/cli/report.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

template <typename... Values>
void print_line(const char* format, Values... values) {
  char line[200];
  std::snprintf(line, sizeof line, format, values...);
  print(line);
}

void compare_with_peaks(const Json& peaks, Json& row) {
  const Json& memory =
      peaks.contains("copy_gb_per_s") ? peaks.at("copy_gb_per_s") : peaks.at("read_gb_per_s");
  if (row.contains("gb_per_s"))
    row["percent_of_memory_peak"] = 100 * row.at("gb_per_s").get<double>() / memory.get<double>();
  if (!row.contains("arithmetic")) return;
  const std::string key = row.at("arithmetic").get<std::string>() + "_gop_per_s";
  if (peaks.contains(key))
    row["percent_of_arithmetic_peak"] = 100 * row.at("gop_per_s").get<double>() / peaks.at(key).get<double>();
}

/// A number of the row in a column, or blanks.
void print_column(const Json& row, const char* name, const char* format, const char* blanks) {
  if (row.contains(name)) print_line(format, row.at(name).get<double>());
  else print(blanks);
}

void print_row(const Json& row) {
  print_line("  %-32s", row.at("case").get<std::string>().c_str());
  print_column(row, "microseconds", "%9.1f", "         ");
  print_column(row, "gb_per_s", "%6.1f", "      ");
  print_column(row, "percent_of_memory_peak", "%4.0f%%", "     ");
  print_column(row, "gop_per_s", "%6.0f", "      ");
  print_column(row, "percent_of_arithmetic_peak", "%4.0f%%", "     ");
  if (row.contains("ratio")) {
    print_column(row, "peer_microseconds", "%9.1f", "");
    print_column(row, "ratio", "%6.2f", "");
  }
  print("\n");
}

void print_heading(const Json& report) {
  const Json& peaks = report.at("peaks");
  if (report.contains("device")) {
    print_line("%s, %s; a copy measured here: %.0f GB/s read and written",
               report.at("device").get<std::string>().c_str(),
               report.at("description").get<std::string>().c_str(), peaks.at("copy_gb_per_s").get<double>());
    if (peaks.contains("bf16_gop_per_s"))
      print_line(";\nmade for, in Gop/s: f32 %.0f bf16 %.0f", peaks.at("f32_gop_per_s").get<double>(),
                 peaks.at("bf16_gop_per_s").get<double>());
    if (report.contains("peer")) print("; peer: " + report.at("peer").get<std::string>());
    return;
  }

  print_line("level %s, %u threads; peaks measured here: read %.1f GB/s;\nGop/s:",
             report.at("isa").get<std::string>().c_str(), report.at("threads").get<uint32_t>(),
             peaks.at("read_gb_per_s").get<double>());
  for (const auto& [name, value] : peaks.items()) {
    if (name != "read_gb_per_s")
      print_line(" %s %.0f", name.substr(0, name.find('_')).c_str(), value.get<double>());
  }
  if (report.contains("peer")) print("; peer: " + report.at("peer").get<std::string>());
}

void print_table(const Json& report) {
  print_heading(report);
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

}  // namespace

Json kernel_row(const std::string& op, const std::string& name, double bytes, double operations,
                Arithmetic arithmetic, double seconds) {
  Json row{{"op", op}, {"case", name}, {"microseconds", seconds * 1e6}, {"gb_per_s", bytes / seconds * 1e-9}};
  if (operations > 0) {
    row["gop_per_s"] = operations / seconds * 1e-9;
    row["arithmetic"] = to_string(arithmetic);
  }
  return row;
}

void print_kernel_report(Json report, bool as_json) {
  for (Json& row : report.at("kernels")) compare_with_peaks(report.at("peaks"), row);
  if (as_json) print(report.dump() + "\n");
  else print_table(report);
}

}  // namespace weft::cli
