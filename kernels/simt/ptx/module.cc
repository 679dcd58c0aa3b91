#include "kernels/simt/ptx/module.h"

#include <cctype>
#include <fstream>
#include <sstream>

#include "kernels/simt/ptx/parser.h"

namespace weft::simt::ptx {
namespace {

/// The name with every anonymous namespace's component, "12_GLOBAL__N_1" or "44_GLOBAL__N__5fb263a1_...", as "@".
std::string without_anonymous_names(const std::string& name) {
  std::string result = name;
  for (size_t at = 0; (at = result.find("_GLOBAL__N_", at)) != std::string::npos;) {
    size_t digits = at;
    while (digits > 0 && std::isdigit(static_cast<unsigned char>(result[digits - 1]))) --digits;
    if (digits == at) {
      ++at;
      continue;
    }
    const size_t length = std::stoul(result.substr(digits, at - digits));
    result.replace(digits, at - digits + length, "@");
    at = digits;
  }
  return result;
}

}  // namespace

Result<Module> Module::parse(const std::string& text, const std::string& name) {
  return Parser(text, name).module();
}

Result<Module> Module::load(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Status(StatusCode::kNotFound, path + ": cannot be read");
  std::ostringstream text;
  text << file.rdbuf();
  return parse(text.str(), path);
}

const Kernel* Module::find(const std::string& mangled_name) const {
  const std::string wanted = without_anonymous_names(mangled_name);
  for (const Kernel& kernel : kernels) {
    if (without_anonymous_names(kernel.name) == wanted) return &kernel;
  }
  return nullptr;
}

}  // namespace weft::simt::ptx
