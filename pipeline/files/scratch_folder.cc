#include "pipeline/files/scratch_folder.h"

#include <stdlib.h>

#include <cerrno>
#include <system_error>

#include "pipeline/files/durable_file.h"

namespace weft {

namespace fs = std::filesystem;

Result<ScratchFolder> ScratchFolder::create(const std::string& purpose) {
  std::error_code error;
  std::string pattern = (fs::temp_directory_path(error) / ("weft-" + purpose + "-XXXXXX")).string();
  if (error || !::mkdtemp(pattern.data())) return io_error("creating a folder", pattern, errno);
  return ScratchFolder(pattern);
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace weft
