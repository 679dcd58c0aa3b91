#include "pipeline/cli/process_clock.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace weft::cli {
namespace {

int64_t now_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

int64_t process_start_monotonic_ns() {
  // proc(5): starttime is field 22, in ticks since boot; the name, field 2, may contain blanks and ")".
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return now_ns(CLOCK_MONOTONIC);
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  for (int number = 3; number < 22; ++number) fields >> field;
  int64_t ticks = 0;
  if (!(fields >> ticks)) return now_ns(CLOCK_MONOTONIC);
  const int64_t since_boot_ns = ticks * (1'000'000'000 / sysconf(_SC_CLK_TCK));
  // Time that the machine slept counts since boot, and not on the monotonic clock.
  return since_boot_ns - (now_ns(CLOCK_BOOTTIME) - now_ns(CLOCK_MONOTONIC));
}

uint64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace weft::cli
