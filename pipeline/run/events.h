/// What a run reports while it works.
///
/// Events are delivered one at a time, in order, on the thread that called execute(); text views live as long
/// as the call. A handler that is slow delays the display, never the nodes.
#ifndef WEFT_PIPELINE_RUN_EVENTS_H
#define WEFT_PIPELINE_RUN_EVENTS_H

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <weft/sdk/status.h>

namespace weft {

/// Nodes of a subgraph are named "outer/inner".
struct NodeStarted {
  std::string_view node;
  uint32_t n_requests = 1;  // elements of a for_each
};
struct NodeFinished {
  std::string_view node;
  double seconds = 0;
  enum class Origin { kComputed, kCached } origin = Origin::kComputed;
};
struct NodeSkipped {
  std::string_view node;
  std::string reason;  // "'when' is false", "its input 'image' comes from a skipped node"
};
struct NodeFailed {
  std::string_view node;
  Error error;
};
/// Which element of a for_each: its own, or that of the nearest subgraph around the node that has one; 0 without. `outer`:
/// those of the for_each further out, outermost first.
struct
    TextPart {  // of an output, as it is made: the parts of one (node, port, element, outer), joined, are the output
  std::string_view node;
  std::string_view port;
  uint32_t element = 0;
  std::string text;  // valid UTF-8
  std::vector<uint32_t> outer = {};
};
/// A failed attempt is repeated: forget the parts of (node, element, outer) so far. Of a node that is a subgraph: of all
/// nodes within, as far as they are of that element.
struct PartsDiscarded {
  std::string_view node;
  uint32_t element = 0;
  uint32_t attempt = 1;  // the one that failed, from 1
  Error error;           // why
  std::vector<uint32_t> outer = {};
};
struct Progress {
  std::string_view node;
  uint32_t element = 0;
  int64_t done = 0, total = 0;  // total <= 0: not known
  std::string unit;
  std::vector<uint32_t> outer = {};
};
struct FileWritten {
  std::string_view node;
  std::string path;  // relative to the output folder
  uint64_t size_bytes = 0;
};

using Event = std::variant<NodeStarted, NodeFinished, NodeSkipped, NodeFailed, TextPart, PartsDiscarded,
                           Progress, FileWritten>;
using EventHandler = std::function<void(const Event&)>;

}  // namespace weft
#endif
