/// Starts a new plugin from the template (plugins/template): what `weft new-plugin NAME` does.
///
/// Thread safety: no shared state.
///
///   Result<NewPlugin> plugin = new_plugin("sharpen", ".", default_template_folder());
///   // ./sharpen/sharpen.cc and ./sharpen/CMakeLists.txt; its nodes are sharpen.shout and sharpen.scale.
#ifndef WEFT_PIPELINE_NEW_PLUGIN_NEW_PLUGIN_H
#define WEFT_PIPELINE_NEW_PLUGIN_NEW_PLUGIN_H

#include <weft/sdk/status.h>

#include <filesystem>
#include <string>
#include <vector>

namespace weft {

struct NewPlugin {
  std::filesystem::path folder;              // parent/name
  std::vector<std::filesystem::path> files;  // written
  std::vector<std::string> next_steps;  // shell commands, run in the current folder: configure, build, check
};

/// ../share/weft/template beside the running program: the same in a build tree and an installation.
std::filesystem::path default_template_folder();

/// Writes parent/name from the template's files, with the template's name replaced by `name`.
/// Errors: kInvalidArgument (name: lower-case letters, digits and '_', a letter first), kAlreadyExists (the folder),
/// kNotFound (no template there), kIoError; after an error nothing is left behind.
Result<NewPlugin> new_plugin(const std::string& name, const std::filesystem::path& parent,
                             const std::filesystem::path& template_folder);

}  // namespace weft
#endif
