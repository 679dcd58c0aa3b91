/// A structure as ProteinMPNN sees it: positions, chain after chain, one for each number of a residue from a chain's first to its
/// last. Where the file has no residue of a number, a position without atoms stands for it, as in the original program.
///
/// Owns its arrays. Thread safety: immutable after it was made.
#ifndef WEFT_PLUGINS_SCIENCE_BACKBONE_POSITIONS_H
#define WEFT_PLUGINS_SCIENCE_BACKBONE_POSITIONS_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/networks/protein_mpnn/protein_mpnn.h"
#include "modalities/structure/structure.h"

namespace weft::science {

/// More are refused: the graph of so many takes gigabytes.
inline constexpr int64_t kMostPositions = 20'000;

struct PositionsOfChain {
  std::string name;
  int64_t begin = 0, end = 0;  // positions
};

class BackbonePositions {
 public:
  /// ca_only: a residue needs no atom but CA. Errors: kUnsupported (too many positions), kInvalidArgument (no residue has the
  /// atoms; names chain, residue and atom of the first that lacks some).
  static Result<BackbonePositions> make(const Structure& structure, bool ca_only);

  int64_t count() const { return static_cast<int64_t>(tokens_.size()); }
  Backbone backbone() const { return {count(), atoms_, present_, index_, chain_}; }
  const std::vector<int32_t>& tokens() const { return tokens_; }
  const std::vector<uint8_t>& present() const { return present_; }
  const std::vector<PositionsOfChain>& chains() const { return chains_; }
  /// Null: there is none.
  const PositionsOfChain* find_chain(std::string_view name) const;
  /// The position of a residue, -1: there is none. insertion: ' ' for none.
  int64_t find(const PositionsOfChain& chain, int32_t number, char insertion) const;
  /// "A:52A".
  std::string label(int64_t position) const;

  /// Letters of all chains, joined by '/'. tokens: [count].
  std::string text_of(const int32_t* tokens) const;
  /// Errors: kInvalidArgument (letters that are no residues, chains or lengths that do not fit; says which).
  Result<std::vector<int32_t>> tokens_of(std::string_view text) const;

 private:
  Status add_chain(const Chain& chain, bool ca_only);
  void add(const Residue* residue, bool ca_only, int32_t chain);

  std::vector<float> atoms_;
  std::vector<uint8_t> present_;
  std::vector<int32_t> index_, chain_, tokens_, numbers_;
  std::string insertions_;
  std::vector<PositionsOfChain> chains_;
};

}  // namespace weft::science
#endif
