#include "kernels/threads/cpu_limits.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace weft {
namespace {

/// quota and period in microseconds -> processors, rounded up; 0 for "no limit".
uint32_t processors(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return 0;
  const double count = quota / period;
  if (count > 1e6) return 0;
  const uint32_t whole = static_cast<uint32_t>(count);
  return whole + (count > whole ? 1 : 0);
}

/// "max 100000" or "150000 100000".
uint32_t read_cpu_max(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0, period = 0;
  return file >> quota >> period ? processors(quota, period) : 0;
}

uint32_t read_cfs_quota(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us"), period_file(folder + "/cpu.cfs_period_us");
  double quota = 0, period = 0;
  return quota_file >> quota && period_file >> period ? processors(quota, period) : 0;
}

uint32_t tighter(uint32_t a, uint32_t b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

/// The tightest limit of `path` and its parents below `mount`.
template <typename Read>
uint32_t along_path(const std::string& mount, std::string path, Read read) {
  uint32_t limit = read(mount);
  while (path.size() > 1) {
    limit = tighter(limit, read(mount + path));
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
  return limit;
}

bool lists_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

}  // namespace

uint32_t cgroup_cpu_quota(const std::string& cgroup_file, const std::string& cgroup_root) {
  std::ifstream file(cgroup_file);
  uint32_t limit = 0;
  // Each line is "hierarchy:controllers:path"; version 2 is "0::path".
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (path.find("..") != std::string::npos) continue;  // outside of what this namespace can see
    if (controllers.empty()) {
      limit = tighter(limit, along_path(cgroup_root, path, read_cpu_max));
    } else if (lists_cpu(controllers)) {
      limit = tighter(limit, along_path(cgroup_root + "/" + controllers, path, read_cfs_quota));
      limit = tighter(limit, along_path(cgroup_root + "/cpu", path, read_cfs_quota));
    }
  }
  return limit;
}

uint32_t available_cpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  uint32_t count = 0;
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) {
    count = static_cast<uint32_t>(CPU_COUNT(&mask));
  } else {
    // More processors than cpu_set_t has bits for.
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    count = online > 0 ? static_cast<uint32_t>(online) : 1;
  }
  return std::max(1u, tighter(count, cgroup_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup")));
}

}  // namespace weft
