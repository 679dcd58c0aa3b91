#include "kernels/simt/targets.h"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "kernels/simt/ptx/module.h"

namespace weft::simt {

namespace {

constexpr int kCapabilities[] = {80, 90};  // that the build makes PTX for

template <typename T>
T take(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(to_string(result.status().error()));
  return *std::move(result);
}

/// Empty if there is none.
std::string ptx_file(const std::string& source, int capability) {
  const std::string path = nvcc_output(source, "sm_" + std::to_string(capability), "ptx");
  return std::filesystem::exists(path) ? path : "";
}

std::shared_ptr<const ptx::Module> load_module(const std::string& path) {
  return std::make_shared<const ptx::Module>(take(ptx::Module::load(path)));
}

}  // namespace

std::string nvcc_output(const std::string& source, const std::string& architecture,
                        const std::string& ending) {
  const char* build = std::getenv("WEFT_BUILD_DIR");
  return std::string(build ? build : "build/cpu") + "/ptx/" + source + "." + architecture + "." + ending;
}

std::vector<Target> thread_orders() {
  std::vector<Target> made;
  for (int order = 0; order < kOrders; ++order)
    made.push_back({.name = "order " + std::to_string(order), .options = {.order = order}});
  return made;
}

std::vector<Target> checked_targets(const std::string& source) {
  std::vector<Target> made = thread_orders();
  int order = 0;
  for (const int capability : kCapabilities) {
    const std::string path = ptx_file(source, capability);
    if (path.empty()) continue;
    const auto module = load_module(path);
    made.push_back({.name = "PTX for sm_" + std::to_string(capability),
                    .options = {.order = order, .ptx = module.get()},
                    .module = module});
    order += 2;
  }
  return made;
}

std::vector<Target> targets(const std::string& source) {
  const char* wanted = std::getenv("WEFT_TEST_TARGETS");
  std::vector<Target> made;
  if (!wanted || std::string(wanted) != "gpu") made = checked_targets(source);
  for (const int capability : kCapabilities) {
    const std::string path = ptx_file(source, capability);
    if (path.empty() || !Hardware::present() || Hardware::capability() < capability) continue;
    const auto module = load_module(path);
    const auto hardware = take(Hardware::load(path));
    made.push_back({.name = Hardware::name() + ", sm_" + std::to_string(capability),
                    .options = {.ptx = module.get(), .hardware = hardware.get()},
                    .module = module,
                    .hardware = hardware});
  }
  return made;
}

}  // namespace weft::simt
