/// ProteinMPNN: sequences for the backbone of a protein, residue by residue.
///
/// Three stages: open() reads headers only, load() packs, then a network encodes a backbone once, and scores sequences on it or
/// samples them, several at a time. A backbone is a list of positions: residues, and gaps where a chain's numbering has them.
///
/// The arithmetic is the model's, rearranged where that changes nothing but rounding: the first linear of every message is
/// applied to a node once and to an edge once, instead of to all three parts for each edge, and neighbours are summed before the
/// last linear. Positions that depend on no one still undecoded are decoded side by side: the order of decoding decides what a
/// position sees, and nothing else. Numerics: f32; bits do not depend on the threads or on the other sequences.
/// Ownership: borrows the WeightFile, which outlives it. Thread safety: const members of a loaded model may be called from several threads.
/// Source: Dauparas et al. 2022, Science 378:49; Ingraham et al. 2019 (graph), NeurIPS 32.
///
///   Result<ProteinMpnn> network = ProteinMpnn::open(file);
///   Status loaded = network->load(executor);
///   Result<BackboneEncoding> encoding = network->encode(backbone, memory, scratch, executor);
///   network->score(*encoding, sequence, order, log_probabilities, scratch, executor);
#ifndef WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_PROTEIN_MPNN_H
#define WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_PROTEIN_MPNN_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/layers/stop_request.h"
#include "modalities/weights/weight_file.h"

namespace weft {

/// Residues, by their index in "ACDEFGHIKLMNPQRSTVWYX".
inline constexpr int32_t kProteinTokens = 21;

struct ProteinMpnnConfig {
  int64_t width = 128;
  int64_t n_encoder_layers = 3;
  int64_t n_decoder_layers = 3;
  int64_t n_neighbours = 48;  // a position itself is its first
  bool ca_only = false;       // sees CA alone
};

/// Positions, chain after chain.
struct Backbone {
  int64_t count = 0;
  std::span<const float> atoms;      // [count, 4, 3]: N, CA, C, O in angstrom; 0 where an atom is missing
  std::span<const uint8_t> present;  // [count]: 1 where the atoms that the model sees are there
  std::span<const int32_t> residue_index;  // [count]: differences within a chain count
  std::span<const int32_t> chain;          // [count]
};

/// What encode() made of a backbone; lies in the caller's memory.
struct BackboneEncoding {
  int64_t count = 0, n_neighbours = 0;
  std::span<const int32_t>
      neighbours;                    // [count, n_neighbours]: nearest first; of positions without atoms all 0
  std::span<const float> nodes;      // [count, width]
  std::span<const float> edges;      // [count, n_neighbours, width]
  std::span<const uint8_t> present;  // [count], the caller's
};

/// What all sequences of one call to sample() share.
struct SequenceDesign {
  std::span<const int32_t> given = {};     // [count] tokens of the structure's own sequence
  std::span<const uint8_t> designed = {};  // [count]: 1 where a residue is to be chosen
  /// [count, 21] added to logits; -infinity forbids. Of a group's positions the last one's counts.
  std::span<const float> bias = {};
  /// Positions that get one residue: with atoms, designed, in no two groups.
  std::vector<std::vector<int32_t>> groups = {};
  float temperature = 0.1F;  // 0: the likeliest
};

struct SampledSequence {
  uint64_t seed = 0;                    // of its draws
  std::span<const int32_t> order = {};  // [count] positions as they are decoded; a group's follow one another
  int32_t* tokens = nullptr;            // [count]
  /// [count, 21] as drawn from, with bias and temperature; 0 where nothing was chosen. Or null.
  float* probabilities = nullptr;
};

class ProteinMpnn {
 public:
  /// A file of the package proteinmpnn: "model_state_dict" and "num_edges". Which family it is, its tensors say.
  /// Errors: kNotFound, kInvalidShape, kUnsupported (tensors that are missing, misshapen or unexpected: all of them are listed),
  /// kCorruptData (a config out of range).
  static Result<ProteinMpnn> open(const WeightFile& file);

  ProteinMpnn(ProteinMpnn&&) noexcept;
  ProteinMpnn& operator=(ProteinMpnn&&) noexcept;
  ~ProteinMpnn();

  const ProteinMpnnConfig& config() const;
  int64_t parameters() const;
  /// Memory that load() takes.
  int64_t weights_bytes() const;
  Status load(Executor executor);
  bool loaded() const;
  void unload();

  // Bytes of memory for a backbone of `count` positions; aligned to 64.
  int64_t encoding_bytes(int64_t count) const;
  int64_t encoding_scratch_bytes(int64_t count, uint32_t n_threads) const;
  int64_t scoring_scratch_bytes(int64_t count, uint32_t n_threads) const;
  int64_t sampling_scratch_bytes(int64_t count, int64_t n_sequences, uint32_t n_threads) const;

  /// Errors: kInvalidArgument (not loaded, no position with atoms), kInvalidShape, kOutOfMemory (memory or scratch), kCancelled.
  Result<BackboneEncoding> encode(const Backbone& backbone, std::span<std::byte> memory,
                                  std::span<std::byte> scratch, Executor executor,
                                  const StopRequest& stop = {}) const;
  /// log_probabilities: [count, 21], of each residue at each position given those decoded before it. tokens: [count]. order: as
  /// in SampledSequence. Errors: kInvalidArgument (tokens, or an order that is no permutation), kOutOfMemory, kCancelled.
  Status score(const BackboneEncoding& encoding, std::span<const int32_t> tokens,
               std::span<const int32_t> order, float* log_probabilities, std::span<std::byte> scratch,
               Executor executor, const StopRequest& stop = {}) const;
  /// Errors: as score(), and kInvalidArgument for groups that the order parts, or a position where everything is forbidden.
  Status sample(const BackboneEncoding& encoding, const SequenceDesign& design,
                std::span<const SampledSequence> sequences, std::span<std::byte> scratch, Executor executor,
                const StopRequest& stop = {}) const;

  struct State;

 private:
  explicit ProteinMpnn(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
