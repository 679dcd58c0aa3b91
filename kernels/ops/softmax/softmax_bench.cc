// What `weft bench kernels softmax` measures: scores of heads in a cache, and the logits of two vocabularies.
#include "kernels/bench/kernel_case.h"
#include "kernels/ops/softmax/softmax.h"
#include "kernels/testing/random.h"

namespace weft {

std::vector<KernelCase> softmax_cases() {
  std::vector<KernelCase> cases;
  struct Shape {
    int64_t rows, cols;
  };
  for (const Shape shape : {Shape{512, 512}, Shape{4096, 77}, Shape{32, 49152}, Shape{8, 262144}}) {
    const int64_t rows = shape.rows, cols = shape.cols;
    KernelCase c;
    const double elements = static_cast<double>(rows * cols);
    c.name = std::to_string(rows) + " x " + std::to_string(cols);
    c.bytes = 8 * elements;
    c.operations = 26 * elements;  // 22 of them are the exponential
    c.peer_work = "softmax f32 rows=" + std::to_string(rows) + " cols=" + std::to_string(cols);
    c.make = [rows, cols](Executor) -> KernelRun {
      return [rows, cols, x = testing::random_normal(rows * cols, 1),
              y = std::vector<float>(static_cast<size_t>(rows * cols))](Executor executor) mutable {
        (void)softmax(1, x.data(), cols, y.data(), cols, rows, cols, executor);
      };
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace weft
