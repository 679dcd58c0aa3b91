// A plugin exports its entry and nothing else, so that two plugins can never see each other's symbols.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/abi/command.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

TEST(ExportedSymbols, OfEveryPluginAreTheEntryAlone) {
  const char* build = std::getenv("WEFT_BUILD_DIR");
  const fs::path folder = fs::path(build != nullptr ? build : "build/cpu") / "lib/weft/plugins";
  size_t plugins = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".so") continue;
    ++plugins;
    const CommandOutcome outcome =
        run_command("nm -D --defined-only --format=just-symbols " + entry.path().string());
    ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
    EXPECT_EQ(outcome.output, "weft_plugin_entry\n") << entry.path();
  }
  EXPECT_GE(plugins, 1u);
}

}  // namespace
}  // namespace weft
