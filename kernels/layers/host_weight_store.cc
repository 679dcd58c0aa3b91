#include "kernels/layers/host_weight_store.h"

#include <weft/sdk/error.h>

namespace weft {

HostWeightStore::~HostWeightStore() {
  for (weft_packed* entry : entries_) api_->release(entry);
}

Result<const std::byte*> HostWeightStore::get(const std::string& key, int64_t size_bytes,
                                              const std::function<Status(std::byte*)>& fill) {
  const auto fill_entry = [](void* context, void* destination, weft_error* error) -> weft_status {
    const auto& function = *static_cast<const std::function<Status(std::byte*)>*>(context);
    return sdk::barrier(error, [&] { return function(static_cast<std::byte*>(destination)); });
  };
  entries_.reserve(entries_.size() + 1);
  weft_packed* entry = nullptr;
  Status status = sdk::checked([&](weft_error* error) {
    return api_->get(api_->self, key.c_str(), static_cast<uint64_t>(size_bytes), fill_entry,
                     const_cast<void*>(static_cast<const void*>(&fill)), &entry, error);
  });
  if (!status.ok()) return status;
  entries_.push_back(entry);
  return static_cast<const std::byte*>(api_->data(entry));
}

}  // namespace weft
