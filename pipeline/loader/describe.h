/// Reads the descriptor of a plugin in a child process, so that nothing a library does while it loads or describes
/// itself (crash, endless loop, exit, garbage on standard output, huge allocations) reaches the host.
///
/// The child is the program `weft-describe-plugin`; it limits itself, loads the library, copies the descriptor and writes
/// it as JSON to a pipe of its own. Thread safety: any thread; each call starts one child and waits for it.
#ifndef WEFT_PIPELINE_LOADER_DESCRIBE_H
#define WEFT_PIPELINE_LOADER_DESCRIBE_H

#include <weft/sdk/status.h>

#include <chrono>
#include <string>
#include <vector>

#include "pipeline/loader/catalog.h"

namespace weft {

struct DescribeOptions {
  std::string program;  // absolute path of weft-describe-plugin
  /// After that the child is killed. It takes milliseconds; on a machine that is overloaded, with large libraries, seconds.
  std::chrono::milliseconds time_limit{20'000};
};

struct Description {
  PluginDescriptor descriptor;
  std::vector<Error> problems;  // all rules of the contract that the descriptor breaks; empty: usable
};

/// Errors (the library could not be asked at all): kNotFound, kIoError (not a library, a missing dependency or symbol),
/// kInternal (it crashed or ended the process), kTimedOut, kVersionMismatch (another ABI), kCorruptData (no valid answer).
Result<Description> describe_plugin(const std::string& path, const DescribeOptions& options);

/// Checks what is known without the library: names, types, defaults, ranges, duplicates, contradictory flags, missing
/// metadata. Every broken rule is one Error whose `where` names the node, port or parameter.
std::vector<Error> validate_descriptor(const PluginDescriptor& descriptor);

}  // namespace weft
#endif
