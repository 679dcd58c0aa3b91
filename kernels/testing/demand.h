/// For what a test is not about: the value, or an exception that fails the test.
#ifndef WEFT_KERNELS_TESTING_DEMAND_H
#define WEFT_KERNELS_TESTING_DEMAND_H

#include <weft/sdk/status.h>

#include <stdexcept>
#include <utility>

namespace weft::testing {

inline void demand(const Status& status) {
  if (!status.ok()) throw std::runtime_error(to_string(status.error()));
}

template <typename T>
T take(Result<T> result) {
  demand(result.status());
  return std::move(*result);
}

}  // namespace weft::testing
#endif
