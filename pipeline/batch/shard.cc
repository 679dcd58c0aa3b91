#include "pipeline/batch/shard.h"

#include <charconv>

namespace weft {
namespace {

std::optional<uint64_t> parse_number(const std::string& text) {
  uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Status wrong(const std::string& where, const std::string& expected, const std::string& got) {
  return Status(StatusCode::kInvalidArgument, "not a part of a batch").at(where).expected(expected).got(got);
}

}  // namespace

std::string Shard::journal_name() const {
  return whole() ? "journal" : "journal-" + std::to_string(index) + "-of-" + std::to_string(count);
}

bool Shard::is_sibling(const std::string& name) const {
  return name.ends_with("-of-" + std::to_string(count));
}

Result<Shard> parse_shard(const std::string& text) {
  const size_t slash = text.find('/');
  const auto index = parse_number(text.substr(0, slash));
  const auto count = slash == std::string::npos ? std::nullopt : parse_number(text.substr(slash + 1));
  if (!index || !count || *index < 1 || *index > *count) {
    return wrong("--shard", "i/n with i from 1 to n", "'" + text + "'");
  }
  return Shard{*index, *count};
}

Result<Shard> detect_shard(std::optional<uint64_t> count,
                           const std::function<const char*(const char*)>& variable) {
  const auto number = [&](const char* name, uint64_t absent) -> Result<uint64_t> {
    const char* text = variable(name);
    if (!text || !*text) return absent;
    const auto parsed = parse_number(text);
    return parsed ? Result<uint64_t>(*parsed) : wrong(name, "a number", std::string("'") + text + "'");
  };
  if (const char* task = variable("SLURM_ARRAY_TASK_ID"); task && *task) {
    const Result<uint64_t> id = number("SLURM_ARRAY_TASK_ID", 0), first = number("SLURM_ARRAY_TASK_MIN", 0),
                           step = number("SLURM_ARRAY_TASK_STEP", 1),
                           tasks = number("SLURM_ARRAY_TASK_COUNT", count.value_or(0));
    for (const Result<uint64_t>* value : {&id, &first, &step, &tasks}) {
      if (!value->ok()) return value->status();
    }
    const uint64_t index = *step > 0 && *id >= *first ? (*id - *first) / *step + 1 : 0;
    if (index < 1 || index > *tasks) {
      return wrong("SLURM_ARRAY_TASK_ID", "a task of SLURM_ARRAY_TASK_COUNT=" + std::to_string(*tasks), task);
    }
    return Shard{index, *tasks};
  }
  if (!count) return Shard{};
  const char* pod = variable("JOB_COMPLETION_INDEX");
  if (!pod || !*pod) {
    return wrong("--shard-count", "JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID in the environment",
                 "neither");
  }
  const Result<uint64_t> index = number("JOB_COMPLETION_INDEX", 0);
  if (!index.ok()) return index.status();
  if (*index >= *count) {
    return wrong("JOB_COMPLETION_INDEX", "less than --shard-count " + std::to_string(*count), pod);
  }
  return Shard{*index + 1, *count};
}

}  // namespace weft
