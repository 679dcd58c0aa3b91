// weft-describe-plugin LIBRARY: loads one plugin and writes its description to file descriptor 3; see describe.h.
//
// Runs what it loads under limits, and ends with _exit, so that nothing the library registered runs afterwards.
// Exit status 0: a description was written. 1: the first problem in it says why the library could not be asked.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <string>

#include "pipeline/loader/child_process.h"
#include "pipeline/loader/descriptor_json.h"
#include "pipeline/loader/descriptor_reader.h"
#include "pipeline/loader/library_loading.h"

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kLimitMemory = false;  // a sanitizer's shadow memory is larger than any sensible limit
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kLimitMemory = false;
#else
constexpr bool kLimitMemory = true;
#endif
#else
constexpr bool kLimitMemory = true;
#endif

void limit(int resource, rlim_t most) {
  rlimit current;
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &current) != 0) return;
  current.rlim_max = current.rlim_max < most ? current.rlim_max : most;
  current.rlim_cur = current.rlim_max;
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &current);
}

void limit_this_process() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // no orphan when the host is killed
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, 20);   // seconds
  limit(RLIMIT_FSIZE, 0);  // writes no file
  if (kLimitMemory) limit(RLIMIT_DATA, rlim_t{2} << 30);
}

void answer(const weft::Description& description) {
  const std::string json = weft::description_to_json(description);
  for (size_t written = 0; written < json.size();) {
    const ssize_t n = ::write(weft::kAnswerDescriptor, json.data() + written, json.size() - written);
    if (n <= 0) ::_exit(2);
    written += static_cast<size_t>(n);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: weft-describe-plugin LIBRARY 3>answer.json\n", stderr);
    return 2;
  }
  limit_this_process();
  const weft::Result<const weft_plugin*> plugin = weft::load_and_enter(argv[1]);
  if (!plugin.ok()) {
    answer({{}, {plugin.error()}});
    ::_exit(1);
  }
  weft::DescriptorReading reading = weft::read_descriptor(*plugin);
  const bool other_abi =
      reading.problems.size() == 1 && reading.problems[0].code == weft::StatusCode::kVersionMismatch;
  answer({std::move(reading.descriptor), std::move(reading.problems)});
  ::_exit(other_abi ? 1 : 0);
}
