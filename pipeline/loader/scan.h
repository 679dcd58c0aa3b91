/// Finds the plugins of an installation and describes them: what every command of the program starts with.
///
/// Folders, in this order: those of the environment variable WEFT_PLUGINS (a list with ':'), the user's
/// ($XDG_DATA_HOME/weft/plugins, by default ~/.local/share/weft/plugins), then ../lib/weft/plugins beside the program.
/// Every *.so in them is a candidate; the same file reached twice counts once. Descriptions come from the descriptor
/// cache ($XDG_CACHE_HOME/weft/descriptors) where the file is unchanged, else from a child process (describe.h).
/// A plugin that cannot be used is a problem in the Catalog, never an error of the scan.
///
///   Catalog catalog = scan_plugins(default_scan_options());
#ifndef WEFT_PIPELINE_LOADER_SCAN_H
#define WEFT_PIPELINE_LOADER_SCAN_H

#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/files/folders.h"
#include "pipeline/loader/catalog.h"
#include "pipeline/loader/describe.h"

namespace weft {

struct ScanOptions {
  std::vector<std::string> folders;
  std::string cache_folder;  // empty: no cache
  DescribeOptions describe;
};

/// From the environment and the installation's prefix, by default that of the running program; see above.
ScanOptions default_scan_options(const std::filesystem::path& prefix = program_prefix());

/// Missing folders are passed over. Problems with the cache (read-only, full) become warnings, at most one.
Catalog scan_plugins(const ScanOptions& options, std::vector<std::string>* warnings = nullptr);

/// One library, with the same cache: for `--plugin file.so` and `weft check`. Errors: as describe_plugin; a descriptor
/// that breaks rules is kInvalidArgument with all of them in its message.
Result<PluginDescriptor> scan_plugin(const std::string& path, const ScanOptions& options);

}  // namespace weft
#endif
