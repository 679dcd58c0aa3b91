/// One residue out of logits: bias, temperature, a draw. Private to this folder.
///
/// The draw is a pure function of (seed, position): Philox4x32-10, so that a sequence is the same in any batch.
#ifndef WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_RESIDUE_CHOICE_H
#define WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_RESIDUE_CHOICE_H

#include <cstdint>

namespace weft {

/// y = log softmax(x), of [n]; may alias.
void log_softmax(const float* x, int64_t n, float* y);

/// probabilities: [kProteinTokens] as drawn from. temperature 0: the largest logit, of equal ones the first, gets 1.
/// Precondition: a logit with its bias is finite.
int32_t choose_residue(const float* logits, const float* bias, float temperature, uint64_t seed,
                       uint64_t position, float* probabilities);

}  // namespace weft
#endif
