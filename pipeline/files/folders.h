/// Where Weft keeps things between runs, following the XDG base directory specification.
///
/// The environment is read at each call; nothing is created. Thread safety: as that of getenv.
#ifndef WEFT_PIPELINE_FILES_FOLDERS_H
#define WEFT_PIPELINE_FILES_FOLDERS_H

#include <filesystem>
#include <vector>

namespace weft {

/// $XDG_CACHE_HOME/weft, else ~/.cache/weft; empty if neither variable is set to an absolute path.
std::filesystem::path cache_folder();
/// $XDG_DATA_HOME/weft, else ~/.local/share/weft; empty as above.
std::filesystem::path data_folder();
/// What the running program was installed to, or its build folder, which has the same layout; empty if the system does not
/// say where the program is.
std::filesystem::path program_prefix();
/// Where models are looked for after the pipeline's own folder: the parts of WEFT_MODELS (separated by ':'),
/// then data_folder()/models, then those that ship with Weft: prefix/share/weft/models.
std::vector<std::filesystem::path> model_folders(const std::filesystem::path& prefix = program_prefix());

}  // namespace weft
#endif
