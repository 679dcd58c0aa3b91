/// weft: runs multimodal generation pipelines. Finds the command, parses its options, runs it; see commands/.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "pipeline/cli/command.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/version.h"
#include "pipeline/graph/diagnostic.h"

namespace weft::cli {
namespace {

std::string help_text() {
  std::string text =
      "Usage: weft COMMAND [options]\n\n"
      "Runs multimodal generation pipelines: a JSON file that describes how models and\n"
      "tools are connected. Nodes come from plugins.\n\nCommands:\n";
  for (const Command* command : commands()) {
    std::string line = "  " + std::string(command->name);
    line.resize(14, ' ');
    text += line + std::string(command->summary) + "\n";
  }
  return text +
         "\nweft COMMAND --help says more about one command, with examples.\n"
         "weft --version prints the version.\n"
         "\nExamples:\n"
         "  weft run assets/pipelines/hello.json\n"
         "  weft nodes text.generate\n";
}

int unknown_command(const std::string& name) {
  std::vector<std::string> names;
  for (const Command* command : commands()) names.emplace_back(command->name);
  const std::string near = nearest_name(name, names);
  const char* kind = name.rfind("-", 0) == 0 ? "unknown option '" : "unknown command '";
  return report_usage("", kind + name + "'" + (near.empty() ? "" : "; did you mean " + near + "?"));
}

int run_program(std::vector<std::string> arguments) {
  if (arguments.empty()) {
    write_all(STDERR_FILENO, help_text());
    return kUsage;
  }
  std::string name = arguments.front();
  arguments.erase(arguments.begin());
  if (name == "--version" || name == "-V") {
    print("weft " + std::string(kVersion) + "\n");
    return kSuccess;
  }
  if (name == "help" && !arguments.empty()) {
    name = arguments.front();
    arguments = {"--help"};
  } else if (name == "help" || name == "--help" || name == "-h") {
    print(help_text());
    return kSuccess;
  }
  const Command* command = find_command(name);
  if (command == nullptr) return unknown_command(name);
  Arguments parser(*command);
  const std::function<int()> action = command->declare(parser);
  if (const std::optional<int> done = parser.parse(std::move(arguments))) return *done;
  return action();
}

/// A closed standard descriptor would be given to the next file that is opened, and messages would land in it.
void open_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
      _exit(kInputOutput);
  }
}

}  // namespace
}  // namespace weft::cli

int main(int argc, char** argv) {
  using namespace weft;
  cli::open_standard_descriptors();
  // A reader that goes away is an error of writing, which is handled, and not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  int code = cli::kInternal;
  try {
    code = cli::run_program(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::bad_alloc&) {
    code = cli::report_error(Error{StatusCode::kOutOfMemory, "out of memory", {}, {}, {}, {}});
  } catch (const std::exception& error) {
    code = cli::report_error(
        Error{StatusCode::kInternal, error.what(), {}, {}, {}, "this is a bug in weft; please report it"});
  }
  if (code == cli::kSuccess && cli::printing_failed()) {
    code = cli::report_error(
        Error{StatusCode::kIoError, "standard output could not be written", {}, {}, {}, {}});
  }
  return code;
}
