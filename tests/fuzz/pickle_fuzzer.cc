// Any bytes as a pickle: an error, or values that refer to one another within bounds.
#include <cstdlib>

#include "modalities/weights/pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  constexpr std::string_view kGlobals[] = {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2",
                                           "torch.FloatStorage"};
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  const Result<Pickle> pickle = read_pickle(bytes, kGlobals, "fuzz.pkl");
  if (!pickle.ok()) {
    if (pickle.error().where.empty() || pickle.error().message.empty()) std::abort();
    return 0;
  }
  if (pickle->root >= pickle->values.size()) std::abort();
  for (const PickleValue& value : pickle->values)
    for (const uint32_t item : value.items)
      if (item >= pickle->values.size()) std::abort();
  return 0;
}
