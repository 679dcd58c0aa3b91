#include "pipeline/cli/bench_kernels.h"

#include <weft/sdk/measure.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "kernels/bench/device_case.h"
#include "kernels/bench/kernel_case.h"
#include "kernels/bench/kernel_peer.h"
#include "kernels/device/loader.h"
#include "kernels/ops/gemm/product_engine.h"
#include "kernels/threads/cpu_limits.h"
#include "kernels/threads/thread_pool.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/kernel_report.h"
#include "pipeline/cli/report.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kLeastSeconds = 0.2;  // a measurement
constexpr int kRounds = 3;             // of both sides in turn, where there is a peer

Json peaks_json(const KernelPeaks& peaks) {
  Json json{{"read_gb_per_s", peaks.read_bytes * 1e-9}};
  for (const Arithmetic arithmetic : {Arithmetic::kF32, Arithmetic::kBF16, Arithmetic::kInt8}) {
    const double peak = peaks.operations[static_cast<int>(arithmetic)];
    if (peak > 0) json[std::string(to_string(arithmetic)) + "_gop_per_s"] = peak * 1e-9;
  }
  return json;
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
  return Seconds{sdk::median(ours), sdk::median(theirs)};
}

void add_peer(const Seconds& seconds, Json& row) {
  if (seconds.peer == 0) return;
  row["peer_microseconds"] = seconds.peer * 1e6;
  row["ratio"] = seconds.peer / seconds.weft;
}

Json row_json(const KernelOp& op, const KernelCase& kernel_case, const Seconds& seconds) {
  Json row = kernel_row(op.name, kernel_case.name, kernel_case.bytes, kernel_case.operations,
                        kernel_case.arithmetic, seconds.weft);
  add_peer(seconds, row);
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

/// The larger of each: a neighbour at work makes a peak look low, and nothing makes it look high.
void take_larger(const Json& other, Json& peaks) {
  for (auto& [name, value] : peaks.items())
    value = std::max(value.get<double>(), other.at(name).get<double>());
}

template <typename Op>
bool is_op(std::span<const Op> ops, const std::string& name) {
  return std::ranges::any_of(ops, [&](const Op& op) { return name == op.name; });
}

/// The exit code, after the message.
template <typename Op>
int refuse_op(std::span<const Op> ops, const std::string& name) {
  std::string names;
  for (const Op& op : ops) names += (names.empty() ? "" : ", ") + std::string(op.name);
  report_error(Status(StatusCode::kNotFound, "no such operation to measure")
                   .expected("one of " + names)
                   .got("'" + name + "'"));
  return kUsage;
}

/// Of our kernel and of the vendor's library, which is 0 where that does not do the work.
Result<Seconds> measure_on_device(const DeviceStream& stream, const DeviceCase& device_case) {
  Seconds seconds;
  const auto measure = [&](const auto& make, double& into) -> Status {
    const Result<DeviceRun> run = make(stream);
    if (!run.ok()) return run.status();
    const Result<double> measured = measure_device_seconds(stream, *run, kLeastSeconds);
    if (measured.ok()) into = *measured;
    return measured.status();
  };
  if (Status status = measure(device_case.make, seconds.weft); !status.ok()) return status;
  if (!device_case.make_by_library) return seconds;
  const Status status = measure(device_case.make_by_library, seconds.peer);
  if (!status.ok() && !no_library_serves(status.code())) return status;
  return seconds;
}

/// "cuBLASLt 13.1.0": the vendor's libraries that a device's ops can use.
std::string vendor_libraries(const std::string& device) {
  std::string names;
  const auto parsed = parse_device_name(device);
  if (!parsed.ok()) return names;
  const auto library = load_device_library(parsed->kind);
  if (!library.ok() || !(*library)->vendor_libraries) return names;
  for (const VendorLibraryFacts& vendor : (*library)->vendor_libraries())
    if (!vendor.version.empty()) names += (names.empty() ? "" : ", ") + vendor.name + " " + vendor.version;
  return names;
}

/// The ops of options.device.
int bench_device_kernels(const KernelBenchOptions& options) {
  const std::span<const DeviceKernelOp> ops = device_kernel_ops();
  if (!options.op.empty() && !is_op(ops, options.op)) return refuse_op(ops, options.op);
  auto device = ComputeDevice::open(options.device);
  if (!device.ok()) return report_error(device.status());
  auto stream = DeviceStream::create(*device);
  if (!stream.ok()) return report_error(stream.status());
  const auto copied = copy_bytes_per_second(*stream, options.buffer_bytes);
  if (!copied.ok()) return report_error(copied.status());
  Json rows = Json::array();
  for (const DeviceKernelOp& op : ops) {
    if (!options.op.empty() && options.op != op.name) continue;
    for (const DeviceCase& device_case : op.cases()) {
      if (device_case.name.find(options.filter) == std::string::npos) continue;
      const Result<Seconds> seconds = measure_on_device(*stream, device_case);
      if (!seconds.ok()) return report_error(seconds.status());
      Json row = kernel_row(op.name, device_case.name, device_case.bytes, device_case.operations,
                            device_case.arithmetic, seconds->weft);
      add_peer(*seconds, row);
      rows.push_back(std::move(row));
    }
  }
  const DeviceFacts& facts = (*device)->facts();
  Json report{{"device", facts.name},
              {"description", facts.description},
              {"peaks", {{"copy_gb_per_s", *copied * 1e-9}}}};
  for (const Arithmetic arithmetic : {Arithmetic::kF32, Arithmetic::kBF16, Arithmetic::kInt8})
    if (const double peak = peak_operations_per_second(facts, arithmetic); peak > 0)
      report["peaks"][std::string(to_string(arithmetic)) + "_gop_per_s"] = peak * 1e-9;
  if (const std::string peer = vendor_libraries(options.device); !peer.empty()) report["peer"] = peer;
  report["kernels"] = rows;
  print_kernel_report(std::move(report), options.as_json);
  return kSuccess;
}

}  // namespace

int bench_kernels(const KernelBenchOptions& options) {
  if (!options.device.empty() && options.device != "cpu") return bench_device_kernels(options);
  if (!options.op.empty() && !is_op(kernel_ops(), options.op)) return refuse_op(kernel_ops(), options.op);
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
  Json report{{"isa", to_string(level)}, {"threads", executor.max_threads()}, {"peaks", peaks}};
  if (peer) report["peer"] = peer->name();
  report["kernels"] = rows;
  print_kernel_report(std::move(report), options.as_json);
  return kSuccess;
}

}  // namespace weft::cli
