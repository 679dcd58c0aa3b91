/// weft doctor: what this machine and installation offer, and what is missing.
#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/device/device.h"
#include "kernels/device/loader.h"
#include "kernels/device/ops.h"
#include "kernels/threads/cpu_limits.h"
#include "pipeline/cli/byte_size.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/version.h"
#include "pipeline/files/folders.h"
#include "pipeline/loader/scan.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

struct Fact {
  std::string section, name, value;
};

/// The value after "key :" in a file of /proc; "" if there is none.
std::string proc_value(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const size_t colon = line.find(':');
    const size_t start = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

std::string proc_kilobytes(const char* key) {
  const std::string value = proc_value("/proc/meminfo", key);
  return value.empty() ? "unknown" : format_byte_size(std::stoull(value) * 1024);
}

std::string address_space_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return "none";
  return format_byte_size(limit.rlim_cur);
}

void describe_machine(std::vector<Fact>& facts, std::vector<std::string>& problems) {
  utsname system{};
  uname(&system);
  const std::string model = proc_value("/proc/cpuinfo", "model name");
  facts.push_back(
      {"machine", "system", std::string(system.sysname) + " " + system.release + " " + system.machine});
  facts.push_back({"machine", "processor", model.empty() ? "unknown" : model});
  facts.push_back({"machine", "threads", std::to_string(available_cpus()) + " usable by this process"});
  std::string levels;
  for (int level = 0; level < kIsaLevelCount; ++level) {
    if (isa_available(static_cast<IsaLevel>(level)))
      levels += std::string(" ") + to_string(static_cast<IsaLevel>(level));
  }
  facts.push_back(
      {"machine", "ISA level", std::string(to_string(active_isa())) + " in use; available:" + levels});
  if (const Status request = check_isa_request(); !request.ok())
    problems.push_back(to_string(request.error()));
  facts.push_back(
      {"machine", "memory", proc_kilobytes("MemTotal") + ", available " + proc_kilobytes("MemAvailable")});
  facts.push_back({"machine", "address space limit", address_space_limit()});
}

/// Asks the CUDA driver library, which is absent on most machines, without linking it.
void describe_gpus(std::vector<Fact>& facts) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) {
    facts.push_back({"GPU", "NVIDIA driver", "none: libcuda.so.1 is not installed"});
    return;
  }
  const auto init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  const auto version = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDriverGetVersion"));
  const auto count = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
  const auto get = reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet"));
  const auto name = reinterpret_cast<int (*)(char*, int, int)>(dlsym(driver, "cuDeviceGetName"));
  const auto memory = reinterpret_cast<int (*)(size_t*, int)>(dlsym(driver, "cuDeviceTotalMem_v2"));
  if (!init || !version || !count || !get || !name || !memory) {
    facts.push_back({"GPU", "NVIDIA driver", "present, but too old: functions are missing"});
    return;
  }
  if (const int error = init(0); error != 0) {
    facts.push_back({"GPU", "NVIDIA driver",
                     "present, but it finds no usable device (CUDA error " + std::to_string(error) + ")"});
    return;
  }
  int number = 0, devices = 0;
  version(&number);
  count(&devices);
  facts.push_back(
      {"GPU", "NVIDIA driver",
       "serves CUDA " + std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10)});
  for (int index = 0; index < devices; ++index) {
    int device = 0;
    char text[256] = "";
    size_t size_bytes = 0;
    if (get(&device, index) != 0 || name(text, sizeof text, device) != 0 || memory(&size_bytes, device) != 0)
      continue;
    facts.push_back(
        {"GPU", "device " + std::to_string(index), std::string(text) + ", " + format_byte_size(size_bytes)});
  }
}

/// The libraries of NVIDIA's that CUDA devices use where they are installed.
void describe_vendor_libraries(std::vector<Fact>& facts) {
  const auto library = load_device_library("cuda");
  if (!library.ok() || !(*library)->vendor_libraries) return;  // describe_devices() says so
  for (const VendorLibraryFacts& vendor : (*library)->vendor_libraries())
    facts.push_back(
        {"GPU", vendor.name, (vendor.version.empty() ? "" : vendor.version + ", ") + vendor.state});
}

/// Appends an op to a list of those before it: "activation (add, soft_cap), attention".
void add_op(std::string& names, const std::string& op) {
  const size_t slash = op.find('/');
  const std::string folder = op.substr(0, slash);
  const size_t last = names.rfind(", " + folder) == std::string::npos ? 0 : names.rfind(", " + folder) + 2;
  const bool same = slash != std::string::npos && names.compare(last, folder.size(), folder) == 0;
  if (!same) names += (names.empty() ? "" : ", ") + op;
  else if (names.ends_with(")")) names.replace(names.size() - 1, 1, ", " + op.substr(slash + 1) + ")");
  else names += " (" + op.substr(slash + 1) + ")";
}

/// The devices of one kind that this installation can open, with the ops that run there.
void describe_devices(const char* kind, std::vector<Fact>& facts) {
  const auto library = load_device_library(kind);
  if (!library.ok()) {
    const bool absent = library.status().code() == StatusCode::kNotFound;
    if (std::string_view(kind) == "cuda" || !absent)
      facts.push_back({"devices", kind,
                       absent ? "not in this build: preset cuda builds it in" : to_string(library.error())});
    return;
  }
  const auto devices = (*library)->devices();
  if (!devices.ok()) {
    facts.push_back({"devices", kind, to_string(devices.error())});
    return;
  }
  for (const DeviceFacts& device : *devices) {
    std::string text = device.description + ", " + format_byte_size(device.memory_bytes);
    if (device.compute_major > 0)
      text += ", compute capability " + std::to_string(device.compute_major) + "." +
              std::to_string(device.compute_minor) + ", " + std::to_string(device.multiprocessors) +
              " multiprocessors";
    facts.push_back({"devices", device.name, text});
    const auto opened = ComputeDevice::open(device.name);
    if (!opened.ok()) {
      facts.push_back({"devices", device.name, "cannot be opened: " + to_string(opened.error())});
      continue;
    }
    std::string served, missing;
    (*opened)->ops().for_each([&](const auto& op) { add_op(op.served() ? served : missing, op.name()); });
    facts.push_back({"devices", "ops on " + device.name, served});
    if (!missing.empty()) facts.push_back({"devices", "ops on the CPU", missing});
  }
}

std::string folder_state(const fs::path& folder) {
  if (folder.empty()) return "none: neither HOME nor the XDG variables are set";
  std::error_code error;
  fs::path existing = folder;
  while (!existing.empty() && !fs::exists(existing, error) && existing != existing.parent_path())
    existing = existing.parent_path();
  const bool writable = access(existing.c_str(), W_OK) == 0;
  std::string text = folder.string();
  if (existing != folder) text += writable ? " (not there yet)" : " (not there, cannot be made)";
  else if (!writable) text += " (read-only)";
  struct statvfs space {};
  if (writable && statvfs(existing.c_str(), &space) == 0) {
    text += ", " + format_byte_size(uint64_t{space.f_bavail} * space.f_frsize) + " free";
  }
  return text;
}

void describe_folders(const ScanOptions& scan, std::vector<Fact>& facts, std::vector<std::string>& problems) {
  facts.push_back({"folders", "cache", folder_state(cache_folder())});
  size_t found = 0;
  for (const fs::path& folder : model_folders()) {
    std::error_code error;
    size_t files = 0;
    for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
         it.increment(error))
      ++files;
    found += files;
    facts.push_back({"folders", "models",
                     folder.string() + (fs::is_directory(folder) ? ": " + std::to_string(files) + " entries"
                                                                 : " (not there)")});
  }
  if (found == 0)
    problems.push_back(
        "no models are installed; in a clone of the project, scripts/fetch_models fetches small ones");
  for (const std::string& folder : scan.folders) {
    facts.push_back({"folders", "plugins", folder + (fs::is_directory(folder) ? "" : " (not there)")});
  }
}

void describe_plugins(const ScanOptions& scan, std::vector<Fact>& facts, std::vector<std::string>& problems) {
  const Catalog catalog = scan_plugins(scan, &problems);
  for (const PluginDescriptor& plugin : catalog.plugins()) {
    facts.push_back(
        {"plugins", plugin.name, plugin.version + ", " + std::to_string(plugin.nodes.size()) + " nodes"});
  }
  for (const PluginProblem& problem : catalog.problems())
    problems.push_back(problem.path + ": " + problem.reason);
  if (catalog.plugins().empty()) problems.push_back("no plugins are installed: no pipeline can run");
}

int doctor(bool as_json) {
  std::vector<Fact> facts;
  std::vector<std::string> problems;
  const ScanOptions scan = default_scan_options();
  facts.push_back({"program", "weft", kVersion});
  facts.push_back({"program", "plugin contract",
                   std::to_string(WEFT_ABI_VERSION_MAJOR) + "." + std::to_string(WEFT_ABI_VERSION_MINOR)});
  facts.push_back({"program", "compiler", __VERSION__});
  describe_machine(facts, problems);
  describe_gpus(facts);
  describe_vendor_libraries(facts);
  for (const char* kind : kDeviceKinds) describe_devices(kind, facts);
  facts.push_back({"devices", "used by pipelines",
                   "cpu, where nothing names another; models of text.*, image.* and vision.* may be on any"});
  describe_folders(scan, facts, problems);
  describe_plugins(scan, facts, problems);
  if (as_json) {
    Json json;
    for (const Fact& fact : facts) json[fact.section].push_back({{"name", fact.name}, {"value", fact.value}});
    json["problems"] = problems;
    print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    return kSuccess;
  }
  std::string section;
  for (const Fact& fact : facts) {
    if (fact.section != section) print((section.empty() ? "" : "\n") + fact.section + "\n");
    section = fact.section;
    std::string line = "  " + fact.name;
    line.resize(std::max<size_t>(line.size() + 2, 23), ' ');
    print_wrapped(line + fact.value, 23);
  }
  print(problems.empty() ? "\nNo problems found.\n" : "\nproblems\n");
  for (const std::string& problem : problems) print_wrapped("  " + problem, 4);
  return kSuccess;
}

std::function<int()> declare(Arguments& arguments) {
  auto as_json = std::make_shared<bool>(false);
  arguments.flag("--json", *as_json, "Print one JSON object");
  return [as_json] { return doctor(*as_json); };
}

}  // namespace

const Command kDoctorCommand = {"doctor", "what this machine offers, and what is missing",
                                "Prints the processor and the ISA level in use, memory, GPU and driver or "
                                "their absence, the folders that weft uses "
                                "and the plugins that it finds.",
                                "weft doctor\nweft doctor --json\nWEFT_ISA=avx2 weft doctor", declare};

}  // namespace weft::cli
