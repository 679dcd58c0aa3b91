/// Loading a shared library and finding its entry: the one place where the system's loader is asked.
#ifndef WEFT_PIPELINE_LOADER_LIBRARY_LOADING_H
#define WEFT_PIPELINE_LOADER_LIBRARY_LOADING_H

#include <weft/abi/plugin.h>
#include <weft/sdk/status.h>

#include <string>

namespace weft {

/// Loads the library for the rest of the process (it is never unloaded) and calls weft_plugin_entry. The result may be
/// NULL: the plugin's answer. Symbols stay local to the library and are resolved at once, so that a missing one shows
/// here and not in the middle of a run.
/// Errors: kIoError with the system loader's message; kNotFound if the library has no weft_plugin_entry.
Result<const weft_plugin*> load_and_enter(const std::string& path);

}  // namespace weft
#endif
