#include "pipeline/loader/library_loading.h"

#include <dlfcn.h>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>

namespace weft {

Result<const weft_plugin*> load_and_enter(const std::string& path) {
  namespace dll = boost::dll;
  std::error_code failure;
  dll::shared_library library;
  library.load(std::filesystem::path(path), dll::load_mode::rtld_now | dll::load_mode::rtld_local, failure);
  if (failure) {
    const char* reason = ::dlerror();  // Boost's code says no more than "cannot open"
    return Status(StatusCode::kIoError, reason != nullptr ? reason : failure.message()).at(path);
  }
  if (!library.has("weft_plugin_entry")) {
    return Status(StatusCode::kNotFound, "the library exports no symbol weft_plugin_entry")
        .at(path)
        .hint("it is not a Weft plugin, or its entry is not declared extern \"C\"");
  }
  // One more reference that nobody gives back: destructors of the plugin never run while its values are alive.
  ::dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  return library.get<const weft_plugin*(uint32_t)>("weft_plugin_entry")(WEFT_ABI_VERSION);
}

}  // namespace weft
