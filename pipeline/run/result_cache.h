/// Results of nodes declared pure, kept on disk between runs.
///
/// An entry is one file named by its key: magic "WEFTRSLT", u32 version 1, u32 number of outputs, u64 payload
/// bytes, u64 XXH3 of the payload, then per output a u8 (1: present) and its encoding (memory/value_codec.h);
/// little-endian. Entries appear whole (temporary, sync, rename), so any number of processes may share the
/// folder; one that does not verify is removed and counts as a miss. Beyond the limit the entries used
/// longest ago are removed. Thread safety: any thread.
#ifndef WEFT_PIPELINE_RUN_RESULT_CACHE_H
#define WEFT_PIPELINE_RUN_RESULT_CACHE_H

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <mutex>

#include "pipeline/files/durable_file.h"
#include "pipeline/memory/pool.h"
#include "pipeline/memory/value.h"

namespace weft {

/// What a result depends on. Two nodes whose keys agree give equal results.
struct ResultKey {
  std::string plugin_sha256;
  std::string node_type;
  uint32_t node_version = 0;
  std::string isa_level;
  std::string numerics_profile;
  std::vector<std::string> parameters;    // "name=JSON", sorted
  std::vector<std::string> model_hashes;  // "parameter=version:sha256:options:parts' sha256s", sorted
  std::vector<std::string> inputs;        // "port=xxh128" of those present, in port order
  std::vector<std::string> outputs;       // names of those beside the declared ones, in port order

  /// 64 hexadecimal digits over every field and its length.
  std::string digest() const;
};

class ResultCache {
 public:
  /// folder is created when first written; one that cannot be written makes every store a no-op.
  ResultCache(std::filesystem::path folder, uint64_t limit_bytes, TemporaryFiles& temporaries);

  using Outputs = std::vector<Value>;  // by port; null where the node set none
  /// The stored outputs, or nothing.
  std::optional<Outputs> find(const std::string& digest, size_t n_outputs, Pool& pool);
  /// Errors: kIoError and kUnsupported, after which the run goes on without: the caller decides whether to
  /// mention it.
  Status store(const std::string& digest, const Outputs& outputs);

  struct Statistics {
    uint64_t hits = 0, misses = 0, stores = 0;
  };
  Statistics statistics() const;

 private:
  std::filesystem::path entry_path(const std::string& digest) const;
  void trim();

  std::filesystem::path folder_;
  uint64_t limit_bytes_;
  TemporaryFiles& temporaries_;
  mutable std::mutex mutex_;
  Statistics statistics_;
  uint64_t stored_bytes_ = 0;  // an estimate: counted at the first store, then kept up to date
  bool counted_ = false;
};

}  // namespace weft
#endif
