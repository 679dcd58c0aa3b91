#include "plugins/onnx/lent_cores.h"

#include <tbb/global_control.h>

#include <mutex>
#include <optional>

namespace weft::onnx {
namespace {

/// oneTBB's limit, which is the process's: a thread that calls counts as one, every core lent beyond it is a worker.
class WorkerLimit {
 public:
  void change(int64_t workers) {
    const std::lock_guard lock(mutex_);
    workers_ += workers;
    limit_.reset();  // of several limits the lowest counts
    limit_.emplace(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(1 + workers_));
  }

 private:
  std::mutex mutex_;
  int64_t workers_ = 0;
  std::optional<tbb::global_control> limit_;
};

// Never destroyed: at the process's end oneTBB may be gone before it.
WorkerLimit& worker_limit() {
  static auto* limit = new WorkerLimit;
  return *limit;
}

}  // namespace

LentCores::LentCores(const sdk::Host& host, uint32_t most)
    : api_(host.extension<weft_cores_api>(WEFT_CORES_ID)),
      count_(api_ != nullptr ? api_->borrow(api_->self, most) : most) {
  worker_limit().change(int64_t{count_} - 1);
}

LentCores::~LentCores() {
  worker_limit().change(1 - int64_t{count_});
  if (api_ != nullptr) api_->give_back(api_->self, count_);
}

}  // namespace weft::onnx
