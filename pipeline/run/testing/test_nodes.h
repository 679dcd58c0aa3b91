/// What the files of the test plugin share: a base of plain nodes, ports, and their lists. Private to this folder.
#ifndef WEFT_PIPELINE_RUN_TESTING_TEST_NODES_H
#define WEFT_PIPELINE_RUN_TESTING_TEST_NODES_H

#include <weft/sdk/plugin.h>

#include <chrono>
#include <cstdint>
#include <span>
#include <thread>

namespace weft::testing {

/// Unbounded outputs, batches of one.
struct Simple {
  explicit Simple(const sdk::NodeConfig&) {}
  Status prepare(const sdk::Specs&, const sdk::Plan&) { return {}; }
};

/// Sleeps in steps of a millisecond; kCancelled as soon as the request is.
inline Status sleep_polling(sdk::Request& request, int64_t ms) {
  for (int64_t i = 0; i < ms; ++i) {
    if (request.cancelled()) return sdk::Request::cancelled_status();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return {};
}

inline constexpr weft_port kIntOut[] = {sdk::port("y", "int", "A number.")};
inline constexpr weft_port kTextOut[] = {sdk::port("text", "text", "A text.")};
inline constexpr weft_port kOptionalAny[] = {sdk::optional_port("x", "any", "Anything.")};
inline constexpr weft_port kOptionalText[] = {sdk::optional_port("x", "text", "A text.")};
inline constexpr weft_port kTextPort[] = {sdk::port("text", "text", "A text.")};

std::span<const weft_node_type> value_nodes();
std::span<const weft_node_type> failing_nodes();
std::span<const weft_node_type> waiting_nodes();
std::span<const weft_node_type> resource_nodes();
std::span<const weft_model_type> test_models();

}  // namespace weft::testing
#endif
