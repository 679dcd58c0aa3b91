/// Stands between the host and a plugin's node type and keeps count: which references the plugin holds, which it gave back
/// without owning them, what it let escape, which errors came without a word.
///
/// The watched type is handed to a NodeRunner in place of the real one; the plugin then works with tables of functions that
/// count and pass on. Those tables have no place for a context pointer, so one WatchedNode exists at a time in a process:
/// this is for weft-check-node, whose process serves one node. Thread safety: the counting, any thread.
#ifndef WEFT_PIPELINE_CHECK_WATCHED_NODE_H
#define WEFT_PIPELINE_CHECK_WATCHED_NODE_H

#include <weft/abi/plugin.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
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
  std::map<const void*, Reference> references_;
  std::vector<Breach> breaches_;
};

}  // namespace weft
#endif
