/// Which part of a batch this process runs, where several machines share it.
///
/// Thread safety: plain values; detect_shard reads the environment.
#ifndef WEFT_PIPELINE_BATCH_SHARD_H
#define WEFT_PIPELINE_BATCH_SHARD_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace weft {

/// Items are dealt out in turn: the one at position p (from 1) belongs to shard (p - 1) % count + 1.
struct Shard {
  uint64_t index = 1, count = 1;  // index from 1
  bool has(uint64_t position) const { return (position - 1) % count + 1 == index; }
  bool whole() const { return count == 1; }
  /// "journal", or "journal-3-of-8": the name of its journal in the output folder, without ending.
  std::string journal_name() const;
  /// Whether that is the name of one of the same number of shards.
  bool is_sibling(const std::string& journal_name) const;
};

/// "3/8". Errors: kInvalidArgument.
Result<Shard> parse_shard(const std::string& text);

/// The shard that the environment names: a task of a Slurm job array (SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT), or, if
/// count is given, a pod of an indexed Kubernetes job (JOB_COMPLETION_INDEX). The whole batch if it names none.
/// variable: the value of an environment variable or null, as std::getenv.
/// Errors: kInvalidArgument if the variables are no numbers or out of range.
Result<Shard> detect_shard(std::optional<uint64_t> count,
                           const std::function<const char*(const char*)>& variable);

}  // namespace weft
#endif
