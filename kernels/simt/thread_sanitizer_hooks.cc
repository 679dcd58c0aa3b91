// What -fsanitize=thread calls before every load and store of a kernel, given to the checker instead of to libtsan. Code
// of the host in the same file calls them too, outside of any launch: that is let through.

#include <cstring>

#include "kernels/simt/worker.h"

using weft::simt::Use;
using weft::simt::Worker;

namespace {

void touch(void* return_address, const void* address, size_t size, Use use) {
  if (Worker* worker = Worker::current(); worker != nullptr && worker->in_kernel())
    worker->access(reinterpret_cast<uintptr_t>(return_address), address, size, use);
}

}  // namespace

#define WEFT_CALLER __builtin_return_address(0)
#define WEFT_HOOKS_OF_SIZE(n)                                                      \
  void __tsan_read##n(void* p) { touch(WEFT_CALLER, p, n, Use::kRead); }           \
  void __tsan_write##n(void* p) { touch(WEFT_CALLER, p, n, Use::kWrite); }         \
  void __tsan_unaligned_read##n(void* p) { touch(WEFT_CALLER, p, n, Use::kRead); } \
  void __tsan_unaligned_write##n(void* p) { touch(WEFT_CALLER, p, n, Use::kWrite); }

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
WEFT_HOOKS_OF_SIZE(1)
WEFT_HOOKS_OF_SIZE(2)
WEFT_HOOKS_OF_SIZE(4)
WEFT_HOOKS_OF_SIZE(8)
WEFT_HOOKS_OF_SIZE(16)
void __tsan_read_range(void* p, unsigned long size) { touch(WEFT_CALLER, p, size, Use::kRead); }
void __tsan_write_range(void* p, unsigned long size) { touch(WEFT_CALLER, p, size, Use::kWrite); }
}
