/// Packed weights from the host's cache on disk (weft/abi/draft/packed_weights.h), mapped and shared between processes.
///
/// Ownership: keeps every entry that it got until it is destroyed; the extension's table lives as long as the process.
/// Thread safety: one thread at a time.
#ifndef WEFT_KERNELS_LAYERS_HOST_WEIGHT_STORE_H
#define WEFT_KERNELS_LAYERS_HOST_WEIGHT_STORE_H

#include <weft/abi/draft/packed_weights.h>

#include <vector>

#include "kernels/layers/packed_weight_store.h"

namespace weft {

class HostWeightStore final : public PackedWeightStore {
 public:
  explicit HostWeightStore(const weft_packed_weights_api* api) : api_(api) {}
  ~HostWeightStore() override;
  HostWeightStore(const HostWeightStore&) = delete;
  HostWeightStore& operator=(const HostWeightStore&) = delete;

  Result<const std::byte*> get(const std::string& key, int64_t size_bytes,
                               const std::function<Status(std::byte*)>& fill) override;

 private:
  const weft_packed_weights_api* api_;
  std::vector<weft_packed*> entries_;
};

}  // namespace weft
#endif
