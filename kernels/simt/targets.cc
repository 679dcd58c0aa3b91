#include "kernels/simt/targets.h"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "kernels/simt/ptx/module.h"

namespace weft::simt {

std::string nvcc_output(const std::string& source, const std::string& architecture,
                        const std::string& ending) {
  const char* build = std::getenv("WEFT_BUILD_DIR");
  return std::string(build ? build : "build/cpu") + "/ptx/" + source + "." + architecture + "." + ending;
}

std::vector<Target> thread_orders() {
  std::vector<Target> made;
  for (int order = 0; order < kOrders; ++order)
    made.push_back({"order " + std::to_string(order), {.order = order}, nullptr});
  return made;
}

std::vector<Target> targets(const std::string& source) {
  std::vector<Target> made = thread_orders();
  int order = 0;
  for (const char* architecture : {"sm_80", "sm_90"}) {
    const std::string path = nvcc_output(source, architecture, "ptx");
    if (!std::filesystem::exists(path)) continue;
    Result<ptx::Module> module = ptx::Module::load(path);
    if (!module.ok()) throw std::runtime_error(module.status().error().message);
    const auto shared = std::make_shared<const ptx::Module>(std::move(*module));
    made.push_back({std::string("PTX for ") + architecture, {.order = order, .ptx = shared.get()}, shared});
    order += 2;
  }
  return made;
}

}  // namespace weft::simt
