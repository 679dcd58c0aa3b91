// Lets an exception leave execute.
#include <stdexcept>

#include "../plain_plugin.h"

namespace {

weft_status execute(void*, weft_request* const*, size_t, const weft_execution*, weft_error*) {
  throw std::runtime_error("the kettle is empty");
}

constexpr weft_node_api kApi = {sizeof(weft_node_api), 0,       plain_create,
                                plain_prepare,         execute, plain_destroy};

}  // namespace

const weft_plugin* weft_plugin_entry(uint32_t) { return plain_plugin_with(&kApi, nullptr); }
