/// An Executor for tests and benches.
///
///   testing::Threads threads(3);
///   matmul(a, terms, 1, threads.executor());
#ifndef WEFT_KERNELS_TESTING_THREADS_H
#define WEFT_KERNELS_TESTING_THREADS_H

#include <weft/sdk/executor.h>

#include "kernels/threads/thread_pool.h"

namespace weft::testing {

class Threads {
 public:
  explicit Threads(uint32_t n_threads) : pool_(n_threads) {}
  Executor executor() const { return Executor(pool_.executor()); }

 private:
  ThreadPool pool_;
};

}  // namespace weft::testing
#endif
