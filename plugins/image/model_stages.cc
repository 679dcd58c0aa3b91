#include "plugins/image/model_stages.h"

#include <chrono>

namespace weft::image {

Result<ModelStages::Use> ModelStages::enter(ModelStage stage, const StopRequest& stop, weft_stream* stream) {
  Use use;
  if (keeps_ == Keeps::kAll) return use;
  std::unique_lock lock(mutex_);
  while (users_ > 0 && current_ != stage) {
    if (stop.requested != nullptr && stop.requested(stop.context)) {
      return Status(StatusCode::kCancelled, "cancelled while another picture had the model's memory");
    }
    left_.wait_for(lock, std::chrono::milliseconds(20));  // a cancellation wakes nobody
  }
  if (current_ != stage) {
    if (current_) unload_(*current_);
    current_.reset();
    if (Status status = load_(stage, stop, stream); !status.ok()) {
      unload_(stage);
      return status;
    }
    current_ = stage;
  }
  ++users_;
  use.stages_ = this;
  return use;
}

void ModelStages::leave() {
  {
    const std::lock_guard lock(mutex_);
    --users_;
  }
  left_.notify_all();
}

Status ModelStages::load_all(const StopRequest& stop, weft_stream* stream) {
  if (keeps_ == Keeps::kOne) return {};
  for (const ModelStage stage : kModelStages) {
    if (Status status = load_(stage, stop, stream); !status.ok()) {
      for (const ModelStage loaded : kModelStages) unload_(loaded);
      return status;
    }
  }
  return {};
}

void ModelStages::unload_all() {
  for (const ModelStage stage : kModelStages) unload_(stage);
  current_.reset();
}

}  // namespace weft::image
