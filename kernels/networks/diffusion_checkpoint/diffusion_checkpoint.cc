#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"

#include <system_error>

namespace weft {

const char* to_string(DiffusionKind kind) {
  switch (kind) {
    case DiffusionKind::kSd1: return "SD 1.x";
    case DiffusionKind::kSd2: return "SD 2.x";
    case DiffusionKind::kSdxl: return "SDXL";
    case DiffusionKind::kSdxlRefiner: return "SDXL refiner";
  }
  return "?";
}

Result<DiffusionCheckpoint> DiffusionCheckpoint::open(const std::filesystem::path& path,
                                                      const UntoldShapes& untold) {
  DiffusionCheckpoint checkpoint;
  std::error_code error;
  Status read = std::filesystem::is_directory(path, error) ? checkpoint.read_folder(path)
                                                           : checkpoint.read_single_file(path, untold);
  if (!read.ok()) return read;
  return checkpoint;
}

}  // namespace weft
