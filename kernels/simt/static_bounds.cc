#include "kernels/simt/static_bounds.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <vector>

#include "kernels/simt/ptx/module.h"
#include "kernels/simt/targets.h"

#if __has_include(<cuda_occupancy.h>)
#include <cuda_occupancy.h>
#endif

namespace weft::simt {
namespace {

struct Resources {
  std::string kernel;  // mangled
  int registers = 0, spill_bytes = 0, shared_bytes = 0;
};

int number_before(const std::string& line, const char* unit) {
  const size_t end = line.find(unit);
  if (end == std::string::npos || end == 0) return 0;
  size_t start = end;
  while (start > 0 && std::isdigit(static_cast<unsigned char>(line[start - 1]))) --start;
  return start == end ? 0 : std::stoi(line.substr(start, end - start));
}

/// The output of `ptxas -v`.
std::vector<Resources> read_resources(const std::string& path) {
  std::ifstream file(path);
  std::vector<Resources> all;
  for (std::string line; std::getline(file, line);) {
    const std::string entry = "Compiling entry function '";
    if (const size_t at = line.find(entry); at != std::string::npos) {
      const size_t start = at + entry.size();
      all.push_back({line.substr(start, line.find('\'', start) - start)});
    } else if (!all.empty() && line.find("spill stores") != std::string::npos) {
      all.back().spill_bytes =
          number_before(line, " bytes spill stores") + number_before(line, " bytes spill loads");
    } else if (!all.empty() && line.find("Used ") != std::string::npos) {
      all.back().registers = number_before(line, " registers");
      all.back().shared_bytes = number_before(line, " bytes smem");
    }
  }
  return all;
}

/// What a multiprocessor has. Source: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
struct Architecture {
  const char* name;
  const char* ptx;  // that it runs
  int major, minor, max_threads;
  size_t shared_bytes;
};
constexpr Architecture kArchitectures[] = {{"sm_80", "sm_80", 8, 0, 2048, 164 << 10},
                                           {"sm_89", "sm_80", 8, 9, 1536, 100 << 10},
                                           {"sm_90", "sm_90", 9, 0, 2048, 228 << 10}};

double occupancy(const Architecture& architecture, const Resources& used, int threads,
                 int dynamic_shared_bytes) {
#if __has_include(<cuda_occupancy.h>)
  cudaOccDeviceProp device;
  device.computeMajor = architecture.major;
  device.computeMinor = architecture.minor;
  device.maxThreadsPerBlock = 1024;
  device.maxThreadsPerMultiprocessor = architecture.max_threads;
  device.regsPerBlock = device.regsPerMultiprocessor = 65536;
  device.warpSize = 32;
  device.sharedMemPerBlock = 48 << 10;
  device.sharedMemPerMultiprocessor = architecture.shared_bytes;
  device.sharedMemPerBlockOptin = architecture.shared_bytes - 1024;
  device.reservedSharedMemPerBlock = 1024;
  device.numSms = 1;
  cudaOccFuncAttributes function;
  function.maxThreadsPerBlock = threads;
  function.numRegs = used.registers;
  function.sharedSizeBytes = static_cast<size_t>(used.shared_bytes);
  function.partitionedGCConfig = PARTITIONED_GC_OFF;
  function.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
  function.maxDynamicSharedSizeBytes = architecture.shared_bytes;
  const cudaOccDeviceState state;
  cudaOccResult result;
  if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &function, &state, threads,
                                              static_cast<size_t>(dynamic_shared_bytes)) != CUDA_OCC_SUCCESS)
    return 0;
  return static_cast<double>(result.activeBlocksPerMultiprocessor * threads) / architecture.max_threads;
#else
  (void)architecture, (void)used, (void)threads, (void)dynamic_shared_bytes;
  return 0;
#endif
}

std::string check(const Architecture& architecture, const Resources& used, const ptx::Module& module,
                  std::span<const StaticBounds> bounds) {
  const ptx::Kernel* kernel = module.find(used.kernel);
  const int threads = kernel ? static_cast<int>(kernel->max_threads) : 0;
  if (threads == 0) return used.kernel + " has no __launch_bounds__\n";
  for (const StaticBounds& bound : bounds) {
    if (used.kernel.find(bound.kernel) == std::string::npos) continue;
    const double share = occupancy(architecture, used, threads, bound.dynamic_shared_bytes);
    if (used.registers <= bound.registers && used.spill_bytes == 0 && share >= bound.occupancy) return "";
    char text[256];
    std::snprintf(text, sizeof text,
                  " on %s: %d registers (allowed %d), %d bytes spilled, %d bytes shared, occupancy %.2f (at "
                  "least %.2f)\n",
                  architecture.name, used.registers, bound.registers, used.spill_bytes, used.shared_bytes,
                  share, bound.occupancy);
    return used.kernel + text;
  }
  return used.kernel + " has no bounds\n";
}

}  // namespace

bool has_nvcc_output(const std::string& source) {
  return std::filesystem::exists(nvcc_output(source, "sm_80", "resources"));
}

std::string beyond_static_bounds(const std::string& source, std::span<const StaticBounds> bounds) {
  std::string text;
  for (const Architecture& architecture : kArchitectures) {
    const Result<ptx::Module> module = ptx::Module::load(nvcc_output(source, architecture.ptx, "ptx"));
    if (!module.ok()) return to_string(module.status().error());
    const std::vector<Resources> all = read_resources(nvcc_output(source, architecture.name, "resources"));
    if (all.empty()) text += std::string("ptxas said nothing of kernels on ") + architecture.name + "\n";
    for (const Resources& used : all) text += check(architecture, used, *module, bounds);
  }
  return text;
}

}  // namespace weft::simt
