/// Where an instance of a node works: on the CPU in its part of the arena, on a device in memory of the device's pool, which
/// comes and goes with each execute, on a stream of its own.
///
/// Ownership: the host outlives it. Thread safety: one thread at a time.
///
///   NodePlace place(host, planned, arena + planned.workspace_offset);
///   Status entered = place.enter(execution);   // stream and workspace are there
///   ... api.execute(..., &execution, ...)
///   place.leave();
#ifndef WEFT_PIPELINE_RUN_NODE_PLACE_H
#define WEFT_PIPELINE_RUN_NODE_PLACE_H

#include <weft/abi/node.h>
#include <weft/sdk/status.h>

#include "pipeline/memory/buffer.h"
#include "pipeline/memory/devices.h"
#include "pipeline/memory/stream.h"

namespace weft {

class Host;
struct PlannedNode;

class NodePlace {
 public:
  /// arena: this instance's workspace, for nodes on the CPU.
  NodePlace(Host& host, const PlannedNode& planned, char* arena)
      : host_(host), planned_(planned), arena_(arena) {}
  ~NodePlace();
  NodePlace(const NodePlace&) = delete;
  NodePlace& operator=(const NodePlace&) = delete;

  /// Errors: kOutOfMemory, those of a lost device.
  Status enter(weft_execution& execution);
  /// After execute: the workspace goes back behind the work that the node has queued. Work on weights is waited for, since they
  /// may be evicted from here on.
  void leave();

 private:
  Host& host_;
  const PlannedNode& planned_;
  char* const arena_;
  weft_stream cpu_stream_;
  Devices::Stream stream_;  // the device's
  Buffer workspace_;        // in the device's memory
};

}  // namespace weft
#endif
