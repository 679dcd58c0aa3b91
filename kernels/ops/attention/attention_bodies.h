/// The bodies of attention_cpu.cc, one per instruction set; private to the op.
#ifndef WEFT_KERNELS_OPS_ATTENTION_ATTENTION_BODIES_H
#define WEFT_KERNELS_OPS_ATTENTION_ATTENTION_BODIES_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"

namespace weft {

constexpr int kTilePairs = 32;

/// Up to kTilePairs (row, head) pairs of one sequence and one KV head, which share the reading of keys and values.
struct AttentionTile {
  int n = 0;
  const float* q[kTilePairs] = {};     // [head_dim]
  float* y[kTilePairs] = {};           // [head_dim]
  int64_t first[kTilePairs] = {};      // position of the first token seen
  int64_t last[kTilePairs] = {};       // and of the last one
  const float* bias[kTilePairs] = {};  // of the token at position 0, or null
  char* const* pages = nullptr;
  int64_t key_offset = 0;  // bytes from a page's start to this head's block of keys
  int64_t value_offset = 0;
  int64_t head_dim = 0;
  int64_t padded = 0;  // padded_head_dim(head_dim)
  float scale = 1;
  float softcap = 0;
};

/// format: a KvFormat, as a number. keys, values: the blocks of one head in one page; slot: the token in the page.
struct AttentionBodies {
  const char* name;
  void (*tile)(uint8_t format, const AttentionTile& tile);
  void (*store)(uint8_t format, const float* k, const float* v, char* keys, char* values, int64_t slot,
                int64_t head_dim, int64_t padded);
};
WEFT_DECLARE_ISA_BODIES(AttentionBodies, kAttentionBodies)

}  // namespace weft
#endif
