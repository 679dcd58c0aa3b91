#include "pipeline/run/node_place.h"

#include <utility>

#include "pipeline/plan/plan.h"
#include "pipeline/run/host.h"

namespace weft {

NodePlace::~NodePlace() { leave(); }

Status NodePlace::enter(weft_execution& execution) {
  execution.workspace_bytes = planned_.workspace_bytes;
  execution.workspace = planned_.workspace_bytes > 0 ? arena_ : nullptr;
  execution.stream = &cpu_stream_;
  if (planned_.device.kind == WEFT_DEVICE_CPU) return {};
  if (!stream_.get()) {
    auto stream = host_.devices().stream(planned_.device);
    if (!stream.ok()) return stream.status();
    stream_ = *std::move(stream);
  }
  execution.stream = stream_.get();
  if (planned_.workspace_bytes == 0) return {};
  auto workspace = allocate_buffer(*host_.memory().pool(planned_.device), planned_.workspace_bytes, 0,
                                   stream_.get(), "workspace");
  if (!workspace.ok()) return workspace.status();
  workspace_ = *std::move(workspace);
  execution.workspace = workspace_.data();
  return {};
}

void NodePlace::leave() {
  if (!stream_.get()) return;
  const weft_memory_api& api = *host_.memory().api();
  api.release(workspace_.release(), stream_.get());
  // What goes wrong there is told by the next call on the device.
  if (!planned_.models.empty()) (void)api.synchronize(stream_.get());
}

}  // namespace weft
