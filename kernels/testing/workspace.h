/// Memory for a pass under test, aligned to 64 bytes and filled with NaN: nothing may be read before it is written.
#ifndef WEFT_KERNELS_TESTING_WORKSPACE_H
#define WEFT_KERNELS_TESTING_WORKSPACE_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

namespace weft::testing {

struct Workspace {
  explicit Workspace(int64_t bytes)
      : size(static_cast<size_t>((bytes + 63) / 64 * 64)),
        data(static_cast<std::byte*>(std::aligned_alloc(64, size)), &std::free) {
    std::memset(data.get(), 0xff, size);
  }
  std::span<std::byte> span() { return {data.get(), size}; }
  size_t size;
  std::unique_ptr<std::byte, void (*)(void*)> data;
};

}  // namespace weft::testing
#endif
