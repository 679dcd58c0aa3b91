// The test plugin as a shared library, for tests of programs that load plugins.
#include "pipeline/run/testing/test_plugin.h"

extern "C" const weft_plugin* weft_plugin_entry(uint32_t /*host_abi_version*/) {
  return &weft::testing::test_plugin();
}
