/// What designing and scoring share: a structure encoded for a model, memory of the host for it, orders of decoding, scores.
///
/// Ownership: a BackboneWork holds its memory and borrows the model. Threads: one at a time.
#ifndef WEFT_PLUGINS_SCIENCE_SEQUENCE_WORK_H
#define WEFT_PLUGINS_SCIENCE_SEQUENCE_WORK_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "plugins/science/backbone_positions.h"
#include "plugins/science/protein_mpnn_model.h"

namespace weft::science {

/// A seed for sequence `index` of a node's: the same whatever the number of sequences.
uint64_t seed_of_sequence(uint64_t seed, int64_t index);

/// An order of decoding drawn from a seed: what is given first, then what is designed. Positions of a group follow the first of
/// them. designed: [count].
std::vector<int32_t> decoding_order(uint64_t seed, std::span<const uint8_t> designed,
                                    const std::vector<std::vector<int32_t>>& groups);

/// The mean of -log probability over positions with atoms that are counted; 0 where there are none. log_probabilities: [count, 21].
double mean_score(const BackbonePositions& positions, const int32_t* tokens, const float* log_probabilities,
                  std::span<const uint8_t> counted);

class BackboneWork {
 public:
  /// Encodes the structure that arrived at port 0. Errors: those of the structure, kOutOfMemory, kCancelled.
  static Result<BackboneWork> begin(const sdk::Request& request, const sdk::Execution& execution,
                                    const ProteinMpnnModel& model);

  const BackbonePositions& positions() const { return positions_; }
  const BackboneEncoding& encoding() const { return encoding_; }
  /// Errors: kOutOfMemory, kCancelled.
  Status score(std::span<const int32_t> tokens, std::span<const int32_t> order, float* log_probabilities);
  Status sample(const SequenceDesign& design, std::span<const SampledSequence> sequences);

 private:
  BackboneWork(const sdk::Request& request, const sdk::Execution& execution, const ProteinMpnn& network,
               BackbonePositions positions)
      : request_(request), execution_(execution), network_(network), positions_(std::move(positions)) {}
  Result<std::span<std::byte>> scratch(int64_t bytes);
  Executor executor() const { return request_.host().executor(); }

  const sdk::Request& request_;
  const sdk::Execution& execution_;
  const ProteinMpnn& network_;
  BackbonePositions positions_;
  sdk::Buffer memory_, scratch_;
  BackboneEncoding encoding_;  // in memory_, and in positions_
};

}  // namespace weft::science
#endif
