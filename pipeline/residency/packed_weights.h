/// Packed weights on disk, mapped by every process that wants them: the host's side of
/// weft/abi/draft/packed_weights.h.
///
/// An entry is one file, `<key>.weft-packed`: a header page of 4096 bytes (magic "WEFTPACK", u32 version 1,
/// u32 0, u64 content bytes, u64 XXH3 of the content, u32 key length, the key; little-endian, zero-filled),
/// then the content. It appears by renaming a complete, synced temporary, so that several processes may make
/// the same one; a file whose header or content hash is wrong is replaced. Beyond the limit the entries used
/// longest ago are removed; a removed one stays valid where it is mapped. Without a usable folder (read-only,
/// full, absent) weights live in ordinary memory and one warning says so. Thread safety: any thread; two
/// threads that ask for one key share one fill. The store outlives what it hands out.
#ifndef WEFT_PIPELINE_RESIDENCY_PACKED_WEIGHTS_H
#define WEFT_PIPELINE_RESIDENCY_PACKED_WEIGHTS_H

#include <weft/abi/draft/packed_weights.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "pipeline/files/durable_file.h"

namespace weft {

class PackedWeights {
 public:
  struct Options {
    std::filesystem::path folder;        // empty: always ordinary memory
    uint64_t limit_bytes = 20ull << 30;  // of all entries on disk
    TemporaryFiles* temporaries = nullptr;
    std::function<void(const std::string&)> warning;  // one line; any thread; may be empty
    /// Whether what the calling thread gets is no longer wanted: asked while an entry is checked, reserved and synced, which
    /// ends with kCancelled then and leaves nothing. May be empty.
    std::function<bool()> cancelled;
  };
  explicit PackedWeights(Options options);
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  const weft_packed_weights_api* api() const;

  struct Statistics {
    uint64_t hits = 0, fills = 0, in_memory = 0;  // in_memory: fills that could not be kept on disk
    uint64_t live_entries = 0;
  };
  Statistics statistics() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
