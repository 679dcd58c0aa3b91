/// The services of one process: threads, memory, models, packed weights, and the weft_host table that plugins
/// get.
///
/// A Host is made once, before any plugin is asked for anything, and outlives every run, plan and loaded
/// plugin. Thread safety: all members from any thread, except where a service says otherwise.
///
///   Host host({.threads = 8, .max_memory_bytes = 4ull << 30, .log = print});
///   const weft_host* table = host.table();
#ifndef WEFT_PIPELINE_RUN_HOST_H
#define WEFT_PIPELINE_RUN_HOST_H

#include <weft/abi/host.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft {

class Devices;
class FileHashCache;
class GuardPool;
class KnownFiles;
class MemoryService;
class ModelStore;
class PackedWeights;
class Pool;
class Previews;
class TemporaryFiles;

using LogHandler = std::function<void(weft_log_level level, const std::string& message)>;  // any thread

struct HostOptions {
  uint32_t threads = 0;           // of the executor and of nodes at work; 0: as many as this process may use
  uint64_t max_memory_bytes = 0;  // of memory and of resident models, each, on every device; 0: no limit
  std::filesystem::path cache_folder;  // file hashes and packed weights; empty: nothing is kept on disk
  uint64_t packed_limit_bytes = 20ull << 30;
  std::vector<std::filesystem::path> model_folders;
  std::filesystem::path preview_folder;  // where nodes show what they are making; empty: nobody looks
  enum class Guards {
    kOff,
    kOn
  } guards = Guards::kOff;                // guard bytes around every buffer, for `weft check` and tests
  LogHandler log;                         // may be empty
  TemporaryFiles* temporaries = nullptr;  // shared with an Interrupt; null: the host's own
};

class Host {
 public:
  explicit Host(HostOptions options);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  const weft_host* table() const;
  const HostOptions& options() const;
  uint32_t threads() const;  // after 0 was resolved
  MemoryService& memory();
  Pool& cpu_pool();
  Devices& devices();
  KnownFiles& known_files();
  GuardPool* guards();  // null unless guards are on
  ModelStore& models();
  PackedWeights& packed_weights();
  Previews& previews();
  const FileHashCache& hashes() const;
  TemporaryFiles& temporaries();
  void log(weft_log_level level, const std::string& message) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
