#include "modalities/structure/structure_file.h"
#include "modalities/weights/mapped_file.h"

namespace weft {

Result<Structure> read_structure(const std::filesystem::path& path) {
  const Result<MappedFile> file = MappedFile::open(path);
  if (!file.ok()) return file.status();
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  return parse_structure(text, path.string());
}

}  // namespace weft
