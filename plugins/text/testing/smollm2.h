/// The default model for tests that need a real one.
#ifndef WEFT_PLUGINS_TEXT_TESTING_SMOLLM2_H
#define WEFT_PLUGINS_TEXT_TESTING_SMOLLM2_H

#include <filesystem>
#include <string>

#include "pipeline/files/folders.h"

namespace weft::text::testing {

/// The file's path, or an empty one where scripts/fetch_models has not been run.
inline std::string smollm2_path() {
  for (const std::filesystem::path& folder : model_folders()) {
    const std::filesystem::path path = folder / "SmolLM2-135M-Instruct.Q4_1.gguf";
    if (std::filesystem::exists(path)) return path.string();
  }
  return {};
}

}  // namespace weft::text::testing
#endif
