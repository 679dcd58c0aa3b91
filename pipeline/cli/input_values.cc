#include "pipeline/cli/input_values.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "pipeline/cli/report.h"
#include "pipeline/graph/find_input.h"

namespace weft::cli {
namespace {

Result<std::string> read_all(int fd, const std::string& name) {
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t size = read(fd, buffer, sizeof buffer);
    if (size == 0) return text;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Error{StatusCode::kIoError, std::strerror(errno), name, {}, {}, {}};
    text.append(buffer, static_cast<size_t>(size));
    if (text.size() > kMaxInputBytes) {
      return Error{StatusCode::kOutOfRange, "the input is too large", name, "at most 256 MiB", "more", {}};
    }
  }
}

Result<std::string> read_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const StatusCode code = errno == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError;
    return Error{code, std::strerror(errno), path, {}, {}, {}};
  }
  Result<std::string> text = read_all(fd, path);
  close(fd);
  return text;
}

Status check_missing(const Graph& graph, const std::map<std::string, InputValue>& values) {
  std::string missing, example;
  for (const PipelineInput& input : graph.inputs) {
    if (input.default_json || values.count(input.name) > 0) continue;
    missing += (missing.empty() ? "" : ", ") + ("'" + input.name + "' (" + input.type + ")");
    example += " --set " + input.name + "=...";
  }
  if (missing.empty()) return {};
  return Error{
      StatusCode::kInvalidArgument, "the pipeline needs a value for " + missing, {}, {}, {}, "add" + example};
}

}  // namespace

Result<std::map<std::string, InputValue>> read_settings(const Graph& graph,
                                                        const std::vector<std::string>& settings,
                                                        std::map<std::string, InputValue> known) {
  std::map<std::string, InputValue> values = std::move(known);
  std::string from_standard_input;
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error{StatusCode::kInvalidArgument,       "not a setting",     "--set",
                   "name=value, name=@file or name=-", "'" + setting + "'", {}};
    }
    const std::string name = setting.substr(0, equals);
    std::string value = setting.substr(equals + 1);
    const PipelineInput* input = find_input(graph, name);
    if (input == nullptr) return unknown_input(graph, name, "--set");
    if (value == "-") {
      if (!from_standard_input.empty()) {
        return Error{
            StatusCode::kInvalidArgument,
            "standard input can be read once, not for '" + from_standard_input + "' and '" + name + "'",
            "--set",
            {},
            {},
            {}};
      }
      from_standard_input = name;
      Result<std::string> text = read_all(STDIN_FILENO, "standard input");
      if (!text.ok()) return text.status();
      value = *std::move(text);
    } else if (value.rfind("@@", 0) == 0) {
      value.erase(0, 1);
    } else if (value.rfind("@", 0) == 0) {
      Result<std::string> text = read_file(value.substr(1));
      if (!text.ok()) return text.status().at("--set " + name);
      value = *std::move(text);
    } else if (input->type == "path") {
      std::error_code error;
      if (std::filesystem::exists(value, error)) value = std::filesystem::absolute(value, error).string();
    }
    values[name] = InputValue{std::move(value), {}};
  }
  return values;
}

Result<std::map<std::string, InputValue>> read_input_values(const Graph& graph,
                                                            const std::vector<std::string>& settings,
                                                            std::map<std::string, InputValue> known) {
  Result<std::map<std::string, InputValue>> values = read_settings(graph, settings, std::move(known));
  if (!values.ok()) return values;
  if (Status missing = check_missing(graph, *values); !missing.ok()) return missing;
  return values;
}

}  // namespace weft::cli
