#include "kernels/networks/protein_mpnn/decoding_schedule.h"

#include <algorithm>
#include <string>

namespace weft {
namespace {

constexpr int32_t kAlone = -1;

Status invalid_group(size_t group, const std::string& message) {
  return Status(StatusCode::kInvalidArgument, message).at("group " + std::to_string(group));
}

Result<std::vector<int32_t>> groups_of(const BackboneEncoding& encoding, const SequenceDesign& design) {
  std::vector<int32_t> group(static_cast<size_t>(encoding.count), kAlone);
  for (size_t g = 0; g < design.groups.size(); ++g)
    for (const int32_t position : design.groups[g]) {
      const auto at = static_cast<size_t>(position);
      if (position < 0 || position >= encoding.count)
        return invalid_group(g, "a tied position does not exist");
      if (group[at] != kAlone) return invalid_group(g, "a position is tied twice");
      if (encoding.present[at] == 0 || design.designed[at] == 0)
        return invalid_group(g, "a tied position is given, or lacks atoms");
      group[at] = static_cast<int32_t>(g);
    }
  return group;
}

}  // namespace

Result<std::vector<int32_t>> ranks_of(std::span<const int32_t> order, int64_t count) {
  std::vector<int32_t> ranks(static_cast<size_t>(count), -1);
  bool is_permutation = static_cast<int64_t>(order.size()) == count;
  for (size_t r = 0; is_permutation && r < order.size(); ++r) {
    is_permutation = order[r] >= 0 && order[r] < count && ranks[static_cast<size_t>(order[r])] < 0;
    if (is_permutation) ranks[static_cast<size_t>(order[r])] = static_cast<int32_t>(r);
  }
  if (!is_permutation)
    return Status(StatusCode::kInvalidArgument, "an order of decoding names each position once")
        .expected(std::to_string(count) + " different positions");
  return ranks;
}

Status check_tokens(std::span<const int32_t> tokens, int64_t count) {
  if (static_cast<int64_t>(tokens.size()) != count)
    return Status(StatusCode::kInvalidArgument, "a sequence has another length than its backbone")
        .expected(std::to_string(count))
        .got(std::to_string(tokens.size()));
  for (const int32_t token : tokens)
    if (token < 0 || token >= kProteinTokens)
      return Status(StatusCode::kInvalidArgument, "a residue is out of range").got(std::to_string(token));
  return {};
}

Result<DecodingSchedule> schedule_decoding(const BackboneEncoding& encoding, const SequenceDesign& design,
                                           std::span<const int32_t> order) {
  Result<std::vector<int32_t>> ranks = ranks_of(order, encoding.count);
  if (!ranks.ok()) return ranks.status();
  Result<std::vector<int32_t>> group = groups_of(encoding, design);
  if (!group.ok()) return group.status();
  DecodingSchedule schedule{*std::move(ranks), {}, *std::move(group), {}};
  const auto count = static_cast<size_t>(encoding.count);
  schedule.closes.assign(count, 0);
  std::vector<int32_t> done(count, -1);  // the wave after which a position's residue is known
  for (size_t r = 0; r < count;) {
    // Members [r, end): a group, or a position alone.
    const int32_t g = schedule.group[static_cast<size_t>(order[r])];
    const size_t size = g == kAlone ? 1 : design.groups[static_cast<size_t>(g)].size(), end = r + size;
    int32_t first_wave = 0;
    if (end > count) return invalid_group(static_cast<size_t>(g), "the order parts tied positions");
    for (size_t m = r; m < end; ++m) {
      const auto i = static_cast<size_t>(order[m]);
      if (schedule.group[i] != g)
        return invalid_group(static_cast<size_t>(g), "the order parts tied positions");
      if (encoding.present[i] == 0) continue;
      for (int64_t k = 0; k < encoding.n_neighbours; ++k) {
        const auto j = static_cast<size_t>(
            encoding.neighbours[i * static_cast<size_t>(encoding.n_neighbours) + static_cast<size_t>(k)]);
        if (schedule.ranks[j] < static_cast<int32_t>(r)) first_wave = std::max(first_wave, done[j] + 1);
      }
    }
    const auto last_wave = static_cast<size_t>(first_wave) + size - 1;
    for (size_t m = r; m < end; ++m) {
      const auto i = static_cast<size_t>(order[m]);
      if (encoding.present[i] == 0) continue;  // known from the beginning
      if (schedule.waves.size() <= last_wave) schedule.waves.resize(last_wave + 1);
      schedule.waves[static_cast<size_t>(first_wave) + m - r].push_back(order[m]);
      done[i] = static_cast<int32_t>(last_wave);
    }
    schedule.closes[static_cast<size_t>(order[end - 1])] = 1;
    r = end;
  }
  return schedule;
}

}  // namespace weft
