#include "pipeline/files/folders.h"

#include <cstdlib>
#include <string>
#include <system_error>

namespace weft {
namespace {

std::filesystem::path from_environment(const char* variable, const char* below_home) {
  if (const char* value = std::getenv(variable); value && value[0] == '/')
    return std::filesystem::path(value) / "weft";
  if (const char* home = std::getenv("HOME"); home && home[0] == '/') {
    return std::filesystem::path(home) / below_home / "weft";
  }
  return {};
}

}  // namespace

std::filesystem::path cache_folder() { return from_environment("XDG_CACHE_HOME", ".cache"); }

std::filesystem::path data_folder() { return from_environment("XDG_DATA_HOME", ".local/share"); }

std::filesystem::path program_prefix() {
  std::error_code failure;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failure);
  return failure ? std::filesystem::path() : program.parent_path().parent_path();
}

std::vector<std::filesystem::path> model_folders(const std::filesystem::path& prefix) {
  std::vector<std::filesystem::path> folders;
  if (const char* listed = std::getenv("WEFT_MODELS")) {
    const std::string text = listed;
    for (size_t begin = 0; begin <= text.size();) {
      size_t end = text.find(':', begin);
      if (end == std::string::npos) end = text.size();
      if (end > begin) folders.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  if (const auto data = data_folder(); !data.empty()) folders.push_back(data / "models");
  if (!prefix.empty()) folders.push_back(prefix / "share/weft/models");
  return folders;
}

}  // namespace weft
