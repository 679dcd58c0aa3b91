/// A command's options and positional arguments, declared one by one, parsed by CLI11, which only arguments.cc includes.
///
/// Targets are the caller's variables and outlive the call of parse(); their values before it are the defaults.
///
///   Arguments arguments(command);
///   arguments.positional("PIPELINE", options.path, "The pipeline file");
///   arguments.option("--threads", options.threads, 1, 4096, "N", "Threads to use; default: all cores");
#ifndef WEFT_PIPELINE_CLI_ARGUMENTS_H
#define WEFT_PIPELINE_CLI_ARGUMENTS_H

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace weft::cli {

struct Command;

class Arguments {
 public:
  explicit Arguments(const Command& command);
  Arguments(Arguments&&) noexcept;
  ~Arguments();

  /// Must be given.
  void positional(const char* name, std::string& value, const char* help);
  void optional_positional(const char* name, std::string& value, const char* help);
  /// At least `minimum` of them.
  void positionals(const char* name, std::vector<std::string>& values, int minimum, const char* help);

  void flag(const char* names, bool& value, const char* help);
  void option(const char* names, std::string& value, const char* metavar, const char* help);
  /// May be given several times, each with one value.
  void option(const char* names, std::vector<std::string>& values, const char* metavar, const char* help);
  void option(const char* names, int64_t& value, int64_t minimum, int64_t maximum, const char* metavar,
              const char* help);
  void option(const char* names, double& value, double minimum, double maximum, const char* metavar,
              const char* help);
  void choice(const char* names, std::string& value, const std::vector<std::string>& choices,
              const char* help);
  /// A size in bytes: 4096, 512MiB, 2G (powers of 1024); empty if not given.
  void bytes(const char* names, std::optional<uint64_t>& value, const char* help);

  /// arguments: without the program's and the command's name. Returns an exit code if the program is done: help was asked
  /// for and printed, or the arguments are wrong and standard error says so.
  std::optional<int> parse(std::vector<std::string> arguments);

 private:
  const Command& command_;
  std::unique_ptr<CLI::App> app_;
};

}  // namespace weft::cli
#endif
