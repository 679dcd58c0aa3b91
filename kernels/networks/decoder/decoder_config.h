/// The shape and the switches of a decoder-only transformer: plain data, filled by an architecture from a
/// model file's metadata (architectures/), read by the one forward pass (decoder.h).
///
/// A value here always changes what is computed; names of tensors and layouts of files are not here.
#ifndef WEFT_KERNELS_NETWORKS_DECODER_DECODER_CONFIG_H
#define WEFT_KERNELS_NETWORKS_DECODER_DECODER_CONFIG_H

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/ops/activation/activation.h"
#include "kernels/ops/norm/norm.h"
#include "kernels/ops/rope/rope.h"

namespace weft {

enum class MlpKind : uint8_t {
  kPlain,  // down(activation(up(x)))
  kGated,  // down(activation(gate(x)) * up(x))
};

/// Where a block's sub-layers read from.
enum class BlockKind : uint8_t {
  kSequential,  // x += attention(norm(x)); x += mlp(norm(x))
  kParallel,    // x += attention(norm(x)) + mlp(norm2(x)); the two norms may share their weights
};

struct DecoderConfig {
  std::string architecture;  // "llama"

  // Shapes.
  int64_t vocabulary = 0;
  int64_t width = 0;  // of the hidden state
  int64_t n_layers = 0;
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;  // divides n_heads; 1 is multi-query
  int64_t head_dim = 0;
  int64_t mlp_width = 0;
  int64_t context_length = 0;  // tokens the model was trained for

  // Norms.
  NormKind norm = NormKind::kRms;
  float norm_epsilon = 1e-5f;
  bool query_key_norm = false;  // RMS norm of each head's query and key before the rotation
  bool post_norms = false;      // a norm after attention and after the MLP too, before the sum

  // Attention.
  BlockKind block = BlockKind::kSequential;
  RopeConfig rope;                       // layers that see everything
  RopeConfig local_rope;                 // layers with a window, where sliding_window > 0
  float attention_scale = 0;             // of query . key
  float attention_softcap = 0;           // cap * tanh(score / cap); 0: none
  int64_t sliding_window = 0;            // tokens that a local layer sees, itself included; 0: none
  std::vector<uint8_t> is_local;         // [n_layers], 1: the layer has the window; empty where none has
  bool pictures_see_themselves = false;  // a picture's tokens look ahead within it

  // MLP, input and output.
  MlpKind mlp = MlpKind::kGated;
  Activation activation = Activation::kSilu;
  float embedding_scale = 1;       // multiplies token embeddings
  bool learned_positions = false;  // adds position_embedding[position]; bounds the context
  float logit_softcap = 0;         // cap * tanh(logit / cap); 0: none

  bool local(int64_t layer) const { return !is_local.empty() && is_local[layer] != 0; }
  int64_t query_width() const { return n_heads * head_dim; }
  int64_t kv_width() const { return n_kv_heads * head_dim; }
};

}  // namespace weft
#endif
