/// Runs a program of this project that asks a plugin something, and collects its answer, whatever the plugin does to it.
///
/// The child writes its answer to file descriptor 3; its standard output is dropped, so that a library that prints does
/// no harm, and the end of its standard error is kept for messages. It runs in a process group of its own, which is
/// killed when the child ends or its time is over. Thread safety: any thread.
#ifndef WEFT_PIPELINE_LOADER_CHILD_PROCESS_H
#define WEFT_PIPELINE_LOADER_CHILD_PROCESS_H

#include <weft/sdk/status.h>

#include <chrono>
#include <string>
#include <vector>

namespace weft {

/// Where the child writes its answer.
inline constexpr int kAnswerDescriptor = 3;

struct ChildOutcome {
  enum class Ending { kExited, kSignalled, kTimedOut } ending = Ending::kExited;
  int code = 0;            // exit status or signal
  std::string answer;      // at most 16 MiB
  std::string last_words;  // the last line of standard error

  /// "crashed: Segmentation fault", "ended with exit status 1", "ran out of time"; with the last words.
  std::string describe() const;
};

/// Errors: kNotFound and kIoError if the program cannot be started; how it ended is in the outcome.
Result<ChildOutcome> run_child(const std::string& program, const std::vector<std::string>& arguments,
                               std::chrono::milliseconds time_limit);

}  // namespace weft
#endif
