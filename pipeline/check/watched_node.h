/// Stands between the host and a plugin's node type and keeps count: which references the plugin holds, which it gave back
/// without owning them, what it let escape, which errors came without a word, how
/// long it went on after it was cancelled.
///
/// The watched type is handed to a NodeRunner in place of the real one; the plugin then works with tables of functions that
/// count and pass on. Those tables have no place for a context pointer, so one WatchedNode exists at a time in a process:
/// this is for weft-check-node, whose process serves one node. Thread safety: the counting, any thread.
#ifndef WEFT_PIPELINE_CHECK_WATCHED_NODE_H
#define WEFT_PIPELINE_CHECK_WATCHED_NODE_H

#include <weft/abi/plugin.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace weft {

class WatchedNode {
 public:
  explicit WatchedNode(const weft_node_type& type);
  ~WatchedNode();
  WatchedNode(const WatchedNode&) = delete;
  WatchedNode& operator=(const WatchedNode&) = delete;

  /// The type to run. Lives as long as this.
  const weft_node_type& type() const { return type_; }
  using Clock = std::chrono::steady_clock;
  /// Waits until an execute has begun, at most until `deadline`; whether one has.
  bool wait_for_execute(Clock::time_point deadline);
  /// Forgets the executes so far and the cancellation.
  void reset_clock();
  /// From now on the time is taken that the node goes on for.
  void note_cancelled();
  /// How long the longest execute went on after it was cancelled, or is going on; from its beginning, if that was later.
  /// The host's own work on its memory (guards are filled and checked) does not count.
  std::chrono::nanoseconds after_cancel() const;

  /// A host table that counts; for models, which are opened outside of the node.
  const weft_host* watch(const weft_host* host);

  struct Breach {
    const char* check;  // a check of checks.h
    std::string detail;
  };
  /// What happened since the last call.
  std::vector<Breach> take_breaches();
  /// What the plugin still holds a reference to, one phrase each: "a buffer of 64 bytes ('scale')".
  std::vector<std::string> held() const;

 private:
  struct Calls;  // the functions of the tables
  struct Watched {
    weft_host host;
    weft_memory_api memory;
    const weft_host* real;
    WatchedNode* owner;
  };
  struct Reference {
    int64_t count = 0;
    std::string what;
  };

  void begin_execute();
  void end_execute();
  /// Calls a function of the host whose time is not the node's.
  template <typename Call>
  auto untimed(Call&& call);
  std::chrono::nanoseconds worked_until(Clock::time_point now) const;  // with mutex_ held

  void breach(const char* check, std::string detail);
  void take(const void* object, const std::string& what);
  /// False if the plugin owns no reference to it: the release must not be passed on.
  bool give_back(const void* object, const char* kind);

  const weft_node_type& real_;
  weft_node_type type_;
  weft_node_api api_;
  weft_value_api values_;
  weft_request_api requests_;
  const weft_value_api* real_values_ = nullptr;
  const weft_memory_api* real_memory_ = nullptr;
  const weft_request_api* real_requests_ = nullptr;
  mutable std::mutex mutex_;
  std::map<const weft_host*, std::unique_ptr<Watched>> hosts_;
  std::unordered_map<const void*, Reference> references_;
  std::vector<Breach> breaches_;
  std::condition_variable execute_began_;
  bool executed_ = false;                   // since reset_clock()
  std::optional<Clock::time_point> began_;  // the execute that is at work
  std::optional<Clock::time_point> cancelled_;
  std::optional<Clock::time_point> host_since_;  // how long the host has been at its memory, if it is
  int host_calls_ = 0;                           // at work on it
  std::chrono::nanoseconds host_time_{0};        // since the execute began and was cancelled
  std::chrono::nanoseconds longest_{0};
};

}  // namespace weft
#endif
