/// Which positions can be decoded side by side. Private to this folder.
///
/// A position sees the residues of the neighbours that are decoded before it, and of nobody else. So all whose visible
/// neighbours are done can go next, and the result is that of going one by one. Positions of a group get their residue together,
/// when the last of them has been through the network; they go one after the other, as they see one another's states.
#ifndef WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_DECODING_SCHEDULE_H
#define WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_DECODING_SCHEDULE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/networks/protein_mpnn/protein_mpnn.h"

namespace weft {

/// Ranks by position. Errors: kInvalidArgument if `order` is no permutation of the positions.
Result<std::vector<int32_t>> ranks_of(std::span<const int32_t> order, int64_t count);

/// Errors: kInvalidArgument: another length than `count`, or residues out of range.
Status check_tokens(std::span<const int32_t> tokens, int64_t count);

struct DecodingSchedule {
  std::vector<int32_t> ranks;               // [count]
  std::vector<std::vector<int32_t>> waves;  // positions with atoms, in the order of their ranks within a wave
  std::vector<int32_t> group;               // [count]: index into design.groups, or -1
  std::vector<uint8_t>
      closes;  // [count]: 1 where a residue is chosen: a position alone, or the last of its group
};

/// Errors: kInvalidArgument: no permutation, or a group whose positions are parted, without atoms, given, or in another group too.
Result<DecodingSchedule> schedule_decoding(const BackboneEncoding& encoding, const SequenceDesign& design,
                                           std::span<const int32_t> order);

}  // namespace weft
#endif
