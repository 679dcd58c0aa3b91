/// Runs a shell command for a test and collects what it prints.
#ifndef WEFT_TESTS_ABI_COMMAND_H
#define WEFT_TESTS_ABI_COMMAND_H

#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace weft {

struct CommandOutcome {
  int exit_status = -1;
  std::string output;  // standard output and error together
};

inline CommandOutcome run_command(const std::string& command) {
  CommandOutcome outcome;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return outcome;
  char block[4096];
  for (size_t got; (got = std::fread(block, 1, sizeof block, pipe)) > 0;) outcome.output.append(block, got);
  const int status = ::pclose(pipe);
  outcome.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return outcome;
}

inline bool command_exists(const std::string& program) {
  return run_command("command -v " + program).exit_status == 0;
}

}  // namespace weft
#endif
