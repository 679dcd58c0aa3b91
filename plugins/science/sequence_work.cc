#include "plugins/science/sequence_work.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/ops/sampling/sampling.h"
#include "modalities/structure/structure_value.h"
#include "plugins/science/request_sequences.h"

namespace weft::science {
namespace {

// Streams of random numbers, told apart by the counter's upper half; the network draws residues from 0.
constexpr uint64_t kSeeds = 1, kOrders = 2;

uint64_t random_bits(uint64_t seed, uint64_t counter, uint64_t stream) {
  const PhiloxWords words = philox(seed, counter, stream);
  return uint64_t{words.word[0]} << 32 | words.word[1];
}

}  // namespace

uint64_t seed_of_sequence(uint64_t seed, int64_t index) {
  return random_bits(seed, static_cast<uint64_t>(index), kSeeds);
}

std::vector<int32_t> decoding_order(uint64_t seed, std::span<const uint8_t> designed,
                                    const std::vector<std::vector<int32_t>>& groups) {
  std::vector<int32_t> order(designed.size()), group(designed.size(), -1);
  std::vector<uint64_t> keys(designed.size());
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = random_bits(seed, i, kOrders);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const auto i = static_cast<size_t>(a), j = static_cast<size_t>(b);
    if ((designed[i] != 0) != (designed[j] != 0)) return designed[i] == 0;
    return keys[i] != keys[j] ? keys[i] < keys[j] : a < b;
  });
  for (size_t g = 0; g < groups.size(); ++g)
    for (const int32_t i : groups[g]) group[static_cast<size_t>(i)] = static_cast<int32_t>(g);
  std::vector<int32_t> grouped;
  std::vector<uint8_t> placed(groups.size(), 0);
  for (const int32_t i : order) {
    const int32_t g = group[static_cast<size_t>(i)];
    if (g < 0) grouped.push_back(i);
    else if (std::exchange(placed[static_cast<size_t>(g)], 1) == 0)
      grouped.insert(grouped.end(), groups[static_cast<size_t>(g)].begin(),
                     groups[static_cast<size_t>(g)].end());
  }
  return grouped;
}

double mean_score(const BackbonePositions& positions, const int32_t* tokens, const float* log_probabilities,
                  std::span<const uint8_t> counted) {
  double sum = 0;
  int64_t n = 0;
  for (int64_t i = 0; i < positions.count(); ++i) {
    if (positions.present()[static_cast<size_t>(i)] == 0 || counted[static_cast<size_t>(i)] == 0) continue;
    sum -= static_cast<double>(log_probabilities[i * kProteinTokens + tokens[i]]);
    ++n;
  }
  return n > 0 ? sum / static_cast<double>(n) : 0;
}

Result<std::span<std::byte>> BackboneWork::scratch(int64_t bytes) {
  if (!scratch_ || scratch_.size_bytes() < static_cast<uint64_t>(bytes)) {
    scratch_ = sdk::Buffer();
    Result<sdk::Buffer> buffer =
        request_.host().allocate(static_cast<uint64_t>(bytes), execution_.stream(), "proteinmpnn scratch");
    if (!buffer.ok()) return buffer.status();
    scratch_ = *std::move(buffer);
  }
  return std::span(static_cast<std::byte*>(scratch_.data()), static_cast<size_t>(scratch_.size_bytes()));
}

Result<BackboneWork> BackboneWork::begin(const sdk::Request& request, const sdk::Execution& execution,
                                         const ProteinMpnnModel& model) {
  const ProteinMpnn& network = model.network();
  const Result<Structure> structure = structure_of(request.input(0));
  if (!structure.ok()) return structure.status().at("port 'structure'");
  Result<BackbonePositions> positions = BackbonePositions::make(*structure, network.config().ca_only);
  if (!positions.ok()) return positions.status();
  BackboneWork work(request, execution, network, *std::move(positions));
  const int64_t count = work.positions_.count();
  Result<sdk::Buffer> memory = request.host().allocate(static_cast<uint64_t>(network.encoding_bytes(count)),
                                                       execution.stream(), "proteinmpnn encoding");
  if (!memory.ok()) return memory.status();
  work.memory_ = *std::move(memory);
  const Result<std::span<std::byte>> scratch =
      work.scratch(network.encoding_scratch_bytes(count, work.executor().max_threads()));
  if (!scratch.ok()) return scratch.status();
  const std::span bytes(static_cast<std::byte*>(work.memory_.data()),
                        static_cast<size_t>(work.memory_.size_bytes()));
  Result<BackboneEncoding> encoding =
      network.encode(work.positions_.backbone(), bytes, *scratch, work.executor(), stop_of(request));
  if (!encoding.ok()) return encoding.status();
  work.encoding_ = *encoding;
  return work;
}

Status BackboneWork::score(std::span<const int32_t> tokens, std::span<const int32_t> order,
                           float* log_probabilities) {
  const Result<std::span<std::byte>> memory =
      scratch(network_.scoring_scratch_bytes(positions_.count(), executor().max_threads()));
  if (!memory.ok()) return memory.status();
  return network_.score(encoding_, tokens, order, log_probabilities, *memory, executor(), stop_of(request_));
}

Status BackboneWork::sample(const SequenceDesign& design, std::span<const SampledSequence> sequences) {
  const Result<std::span<std::byte>> memory = scratch(network_.sampling_scratch_bytes(
      positions_.count(), static_cast<int64_t>(sequences.size()), executor().max_threads()));
  if (!memory.ok()) return memory.status();
  return network_.sample(encoding_, design, sequences, *memory, executor(), stop_of(request_));
}

}  // namespace weft::science
