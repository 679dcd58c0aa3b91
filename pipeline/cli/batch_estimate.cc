#include "pipeline/cli/batch_estimate.h"

#include <nlohmann/json.hpp>

#include "pipeline/cli/byte_size.h"
#include "pipeline/cli/terminal.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kWidth = 80, kColumn = 10;

std::string row(std::string name, const std::string& text) {
  name.resize(kColumn, ' ');
  return wrap(name + text, kWidth, kColumn) + "\n";
}

std::string time_text(const BatchEstimate& estimate) {
  if (estimate.n_measured == 0) return "not known: none of the first items succeeded";
  const std::string basis = estimate.n_measured == 1
                                ? "measured on the first item, loading of models included"
                                : "measured on the first " + std::to_string(estimate.n_measured) + " items";
  return "about " + format_duration(estimate.seconds()) + ": " + format_duration(estimate.seconds_per_item) +
         " an item, " + std::to_string(estimate.plan.concurrency) + " at once; " + basis;
}

}  // namespace

std::string estimate_text(const BatchEstimate& estimate) {
  std::string items = std::to_string(estimate.n_items);
  if (!estimate.invalid.empty()) items += ", of which some cannot be run as they are written";
  if (estimate.n_recorded > 0) items += "; " + std::to_string(estimate.n_recorded) + " have a record already";
  std::string text = row("items", items) + row("time", time_text(estimate));
  text += row("memory", "at most " + format_byte_size(estimate.memory_bytes()) + ": " +
                            format_byte_size(estimate.plan.weight_bytes) + " of weights, " +
                            format_byte_size(estimate.plan.bytes_per_item) + " for each item at work; " +
                            format_byte_size(estimate.plan.mapped_bytes) + " of mapped files on top");
  text += row("disk", "about " + format_byte_size(estimate.disk_bytes()) + " in files, " +
                          format_byte_size(estimate.free_disk_bytes) + " are free");
  for (const InvalidItem& item : estimate.invalid) text += row("invalid", to_string(item.error));
  return text;
}

std::string estimate_line(const BatchEstimate& estimate) {
  Json json{{"event", "estimate"},
            {"items", estimate.n_items},
            {"recorded", estimate.n_recorded},
            {"concurrency", estimate.plan.concurrency},
            {"measured_items", estimate.n_measured},
            {"seconds_per_item", estimate.seconds_per_item},
            {"seconds", estimate.seconds()},
            {"memory_bytes", estimate.memory_bytes()},
            {"disk_bytes", estimate.disk_bytes()},
            {"free_disk_bytes", estimate.free_disk_bytes},
            {"invalid", Json::array()}};
  for (const InvalidItem& item : estimate.invalid) json["invalid"].push_back(to_string(item.error));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace weft::cli
