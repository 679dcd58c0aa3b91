#include "pipeline/batch/disk_probe.h"

#include <string>
#include <utility>

namespace weft {
namespace {

constexpr size_t kProbeBytes = 1 << 20;

}  // namespace

Status probe_disk(TemporaryFiles& temporaries, const std::filesystem::path& folder) {
  Result<DurableFile> file = DurableFile::create(temporaries, folder / kDiskProbeName);
  Status status = file.ok() ? file->write(std::string(kProbeBytes, '\0')) : file.status();
  if (status.ok()) return {};
  return std::move(status).hint("run the same command again once the folder can be written");
}

}  // namespace weft
