#include "kernels/layers/device_passes.h"

#include <cstring>
#include <utility>

namespace weft {

// Nothing of the stream's is at work: run() waits.
Status DevicePasses::reserve(int64_t staging_bytes) {
  const auto needed = static_cast<uint64_t>(staging_bytes);
  if (needed <= staging_.size_bytes()) return {};
  passes_.for_each([](Pass& pass) { pass.graph.reset(); });  // they have its addresses
  staging_ = PinnedBuffer();
  Result<PinnedBuffer> memory = PinnedBuffer::allocate(stream_.device(), needed);
  if (!memory.ok()) return memory.status();
  staging_ = *std::move(memory);
  return {};
}

size_t DevicePasses::n_graphs() {
  size_t count = 0;
  passes_.for_each([&](const Pass& pass) { count += pass.graph ? 1 : 0; });
  return count;
}

Status DevicePasses::run(DevicePassShape shape, std::span<std::byte> workspace, const StopRequest& stop,
                         const std::function<void(LayerPass&)>& walk) {
  const std::string_view whose = shape.whose;
  const auto [pass, known] = passes_.find({std::move(shape), workspace.data()});
  if (!known) pass->memory = LayerPass::measure_on_device(walk);
  Status ready = LayerPass::check_workspace(workspace, pass->memory.workspace_bytes, whose);
  if (ready.ok()) ready = reserve(pass->memory.staging_bytes);
  const auto comes = known ? Comes::kAgain : Comes::kFirst;
  Status done = ready.ok() ? run(*pass, comes, workspace, stop, walk) : std::move(ready);
  if (!done.ok() && !known) passes_.forget_last();  // a graph is captured of what has run once
  return done;
}

Status DevicePasses::run(Pass& pass, Comes comes, std::span<std::byte> workspace, const StopRequest& stop,
                         const std::function<void(LayerPass&)>& walk) {
  using Layers = LayerPass::OnDevice::Layers;
  LayerPass::OnDevice device{.stream = stream_,
                             .workspace = workspace.data(),
                             .staging = staging_.data(),
                             .stop = stop,
                             .layers = pass.graph               ? Layers::kInGraph
                                       : comes == Comes::kAgain ? Layers::kCaptured
                                                                : Layers::kQueued};
  const auto queue = [&]() -> Status {
    LayerPass layers(&device);
    walk(layers);
    if (!device.status.ok() || !device.stopped) return device.status;
    return Status(StatusCode::kCancelled, "stopped on request");
  };
  Status done;
  if (device.layers == Layers::kCaptured) {
    Result<DeviceGraph> graph = DeviceGraph::capture(stream_, queue);
    if (graph.ok()) pass.graph.emplace(*std::move(graph));
    else done = graph.status();
  } else {
    done = queue();
  }
  const auto queue_copies = [&](const std::vector<LayerPass::OnDevice::Copy>& copies) {
    for (size_t i = 0; done.ok() && i < copies.size(); ++i) done = LayerPass::queue_copy(stream_, copies[i]);
  };
  queue_copies(device.before);
  if (done.ok() && pass.graph) done = pass.graph->launch(stream_);
  queue_copies(device.after);
  Status passed = stream_.synchronize();  // even so: memory must not be written later
  if (!done.ok()) return done;
  if (!passed.ok()) return passed;
  for (const auto& result : device.results) std::memcpy(result.to, result.from, result.size_bytes);
  return {};
}

SparePasses::Lease SparePasses::take(DeviceStream stream) {
  std::unique_ptr<DevicePasses> passes;
  {
    const std::lock_guard lock(mutex_);
    if (!spare_.empty()) {
      passes = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  if (passes) passes->move_to(std::move(stream));
  else passes = std::make_unique<DevicePasses>(std::move(stream));
  return Lease(passes.release(), GiveBack{this});
}

void SparePasses::give(std::unique_ptr<DevicePasses> passes) {
  const std::lock_guard lock(mutex_);
  spare_.push_back(std::move(passes));
}

void SparePasses::clear() {
  const std::lock_guard lock(mutex_);
  spare_.clear();
}

}  // namespace weft
