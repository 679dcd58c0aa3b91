// Where Weft is built without libnats.
#include "pipeline/queue/jetstream.h"

namespace weft {

Result<std::unique_ptr<JetStream>> connect_jetstream(const std::string&, const std::string&) {
  return Status(StatusCode::kUnsupported, "this build of Weft has no queues: libnats was not there")
      .hint("scripts/install_packages queue, and build again; --shard I/N needs no queue");
}

}  // namespace weft
