/// How many processors this process may use. Thread safety: reads the system's state; no state of its own.
#ifndef WEFT_KERNELS_THREADS_CPU_LIMITS_H
#define WEFT_KERNELS_THREADS_CPU_LIMITS_H

#include <cstdint>
#include <string>

namespace weft {

/// Processors in this process's affinity mask, cut to the CPU quota of its cgroup, at least 1.
uint32_t available_cpus();

/// The CPU quota, in processors rounded up, that applies to the process whose cgroup file is given: the
/// smallest along the path to the root, of version 2 (cpu.max) and version 1 (cpu.cfs_quota_us). 0 if there
/// is none or it cannot be read. cgroup_file: "/proc/self/cgroup". cgroup_root: where the hierarchy is
/// mounted, "/sys/fs/cgroup".
uint32_t cgroup_cpu_quota(const std::string& cgroup_file, const std::string& cgroup_root);

}  // namespace weft
#endif
