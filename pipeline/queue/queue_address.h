/// Where a queue is: a NATS server and a name on it, as --queue gives them.
///
/// Thread safety: plain values.
#ifndef WEFT_PIPELINE_QUEUE_QUEUE_ADDRESS_H
#define WEFT_PIPELINE_QUEUE_QUEUE_ADDRESS_H

#include <weft/sdk/status.h>

#include <string>

namespace weft {

struct QueueAddress {
  std::string server;  // "nats://host:4222", with user and password if they were given
  std::string name;    // letters, digits, "-" and "_"; at most 64
  std::string shown;   // for messages: without user and password
};

/// "nats://[USER:PASSWORD@]HOST[:PORT]/NAME", or tls://. Errors: kInvalidArgument.
Result<QueueAddress> parse_queue_address(const std::string& text);

}  // namespace weft
#endif
