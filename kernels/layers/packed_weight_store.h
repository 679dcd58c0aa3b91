/// Where packed weights live: the heap here, the host's disk-backed mapped cache in a program.
#ifndef WEFT_KERNELS_LAYERS_PACKED_WEIGHT_STORE_H
#define WEFT_KERNELS_LAYERS_PACKED_WEIGHT_STORE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft {

class PackedWeightStore {
 public:
  virtual ~PackedWeightStore() = default;
  /// `size_bytes` read-only bytes for `key`, aligned to 64, alive as long as the store. `fill` writes all of
  /// them, zero-initialised or not, if no valid copy exists. key: up to 200 characters of [a-zA-Z0-9._-], says
  /// all that the bytes depend on. Errors: what fill returned, kOutOfMemory.
  virtual Result<const std::byte*> get(const std::string& key, int64_t size_bytes,
                                       const std::function<Status(std::byte*)>& fill) = 0;
};

/// Keeps packed weights in this process's memory; packs at every get().
class HeapWeightStore final : public PackedWeightStore {
 public:
  Result<const std::byte*> get(const std::string& key, int64_t size_bytes,
                               const std::function<Status(std::byte*)>& fill) override;

 private:
  struct Free {
    void operator()(std::byte* bytes) const;
  };
  std::vector<std::unique_ptr<std::byte, Free>> blocks_;
};

}  // namespace weft
#endif
