/// The report of `weft bench kernels`: a row for each case, with its share of what this machine or device can do.
#ifndef WEFT_PIPELINE_CLI_KERNEL_REPORT_H
#define WEFT_PIPELINE_CLI_KERNEL_REPORT_H

#include <nlohmann/json.hpp>
#include <string>

#include "kernels/bench/kernel_case.h"

namespace weft::cli {

/// A row, without the shares. operations: 0, and the row tells of memory alone.
nlohmann::ordered_json kernel_row(const std::string& op, const std::string& name, double bytes,
                                  double operations, Arithmetic arithmetic, double seconds);

/// Adds each row's shares of "peaks" and prints the report as a table of at most 80 columns without a peer, or as JSON. It has
/// "kernels", "peaks" with the memory's (read_gb_per_s, or copy_gb_per_s of a device) and those of arithmetic, and "isa"
/// and "threads", or "device" and "description".
void print_kernel_report(nlohmann::ordered_json report, bool as_json);

}  // namespace weft::cli
#endif
