/// A plugin inside the test program: nodes for everything that a run does with a node, without a shared library.
///
///   test.noop      x?: int -> y: int                 hands on, or 0
///   test.int       -> y: int                         parameter value
///   test.text      text?: text -> text               text and parameter suffix; per request
///   test.split     -> items: list<text>              parameter text, split at spaces
///   test.join      items: list<text> -> text         parameter separator
///   test.seeded    -> y: int                         parameter seed
///   test.compare   x: int -> yes: bool               x > parameter than
///   test.maybe     -> y: int                         optional output, set if parameter set
///   test.merge     a?: any, b?: any -> text          JSON-free text of what is there: "a", "b", "ab", "none"
///   test.stream    -> text                           emits parameter text in parts of three bytes
///   test.fails     x?: text -> text                  fails the first `times` executions of each `key`, after a part
///   test.throws    -> y: int                         throws through the SDK's barrier
///   test.silent    -> y: int                         completes without its output
///   test.twice     -> y: int                         sets its output twice
///   test.beyond    -> text                           exceeds its bound
///   test.sleep     x?: any -> y: int                 parameter ms; polls cancellation
///   test.stubborn  -> y: int                         parameter ms; does not poll
///   test.later     x?: text -> text                  batches of 8, completed on another thread, last first
///   test.batch     text: text -> text                batches of at most 4; notes their sizes
///   test.meet      text: text -> text                answers when parameter n requests are there, those that join included;
///                                                    before, each shows its text as a preview and says so by its progress
///   test.pure      x?: int, t?: text -> y: int       pure: x + parameter add; counts executions
///   test.tensor    -> t: tensor                      f32 [n]; notes the address
///   test.ones      -> ones_N: tensor [N] of ones, for every such output that is referred to; counts as test.pure does
///   test.total     t: tensor -> y: float             sum; notes the address
///   test.write     text: text -> path                writes parameter path (per request), parameter then: ok, fail, leave
///   test.read      -> text                           reads parameter path
///   test.scratch   x?: any -> y: int                 fills its workspace of parameter bytes, waits, checks it
///   test.model     -> y: int, offloaded: int         number in the file of parameter model (type test.number), and what bytes that has
///                                                    left on the CPU; workspace of as many as that parameter says, on the model's device
#ifndef WEFT_PIPELINE_RUN_TESTING_TEST_PLUGIN_H
#define WEFT_PIPELINE_RUN_TESTING_TEST_PLUGIN_H

#include <weft/abi/plugin.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "pipeline/loader/catalog.h"
#include "pipeline/run/run.h"

namespace weft::testing {

/// What the nodes notice. One for the test program, since a plugin has no other way to its test; cleared by each test.
struct Observations {
  std::mutex mutex;
  std::map<std::string, int> failures;  // by key
  std::vector<size_t> batch_sizes;
  std::vector<const void*> addresses;
  std::atomic<int> pure_executions{0}, now_running{0}, most_running{0}, models_loaded{0};
  void clear();
};
Observations& observations();

const weft_plugin& test_plugin();
/// The catalog of that plugin. Lives as long as the program.
const Catalog& test_catalog();
PluginProvider test_provider();

}  // namespace weft::testing
#endif
