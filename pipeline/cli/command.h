/// One command of the program: what --help says about it, its options, and what it does.
#ifndef WEFT_PIPELINE_CLI_COMMAND_H
#define WEFT_PIPELINE_CLI_COMMAND_H

#include <functional>
#include <span>
#include <string_view>

#include "pipeline/cli/arguments.h"

namespace weft::cli {

struct Command {
  std::string_view name;
  std::string_view summary;   // one line
  std::string_view details;   // what --help adds to it; may be empty
  std::string_view examples;  // lines that run as they are
  /// Declares the options and returns what to do once they are parsed; that returns the exit code.
  std::function<int()> (*declare)(Arguments& arguments);
};

/// All commands, in the order in which help lists them (commands.cc).
std::span<const Command* const> commands();
/// Null if there is none of that name.
const Command* find_command(std::string_view name);

}  // namespace weft::cli
#endif
