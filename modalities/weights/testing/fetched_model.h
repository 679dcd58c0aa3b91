/// Where scripts/fetch_models put a model that a test uses if it is there.
#ifndef WEFT_MODALITIES_WEIGHTS_TESTING_FETCHED_MODEL_H
#define WEFT_MODALITIES_WEIGHTS_TESTING_FETCHED_MODEL_H

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace weft::testing {

/// The path of a model in the folders of WEFT_MODELS or the XDG data folder; empty if it is in none.
inline std::filesystem::path fetched_model(const std::string& name) {
  namespace fs = std::filesystem;
  std::vector<fs::path> folders;
  if (const char* listed = std::getenv("WEFT_MODELS")) {
    const std::string text = listed;
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(':', begin), text.size());
      if (end > begin) folders.emplace_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  if (const char* data = std::getenv("XDG_DATA_HOME")) folders.push_back(fs::path(data) / "weft/models");
  if (const char* home = std::getenv("HOME")) folders.push_back(fs::path(home) / ".local/share/weft/models");
  for (const fs::path& folder : folders) {
    std::error_code error;
    if (fs::exists(folder / name, error)) return folder / name;
  }
  return {};
}

}  // namespace weft::testing
#endif
