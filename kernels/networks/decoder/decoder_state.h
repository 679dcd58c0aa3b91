/// What a Decoder holds: the weights as the forward pass reads them, and the plan by which load() makes them.
/// Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_DECODER_DECODER_STATE_H
#define WEFT_KERNELS_NETWORKS_DECODER_DECODER_STATE_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/networks/decoder/architecture.h"
#include "kernels/networks/decoder/decoder.h"
#include "kernels/ops/matmul/matmul.h"
#include "kernels/ops/norm/norm.h"

namespace weft {

/// y = W x + bias. Absent if w.n is 0.
struct Linear {
  PackedMatrix w;
  const float* bias = nullptr;  // [w.n] or null
  int32_t index = -1;           // among the linear layers of all blocks, for adapters; -1: the output
  bool present() const { return w.n > 0; }
};

struct DecoderLayer {
  Norm attention_norm, mlp_norm;
  Norm post_attention_norm, post_mlp_norm;  // weight null: none
  Norm query_norm, key_norm;                // weight null: none; [head_dim]
  bool one_norm = false;                    // mlp_norm has attention_norm's weights
  Linear qkv;                               // this, or the three
  Linear query, key, value;
  Linear attention_output;
  Linear gate, up, down;
};

/// One tensor's way into the packed bytes.
struct PackStep {
  const WeightTensor* tensor = nullptr;
  int64_t offset = 0;
  PackedMatrix* matrix = nullptr;  // set for a matrix: gets its data
  const float** vector = nullptr;  // set for a vector: gets its address
  int64_t count = 0;               // of a vector
  float add = 0;                   // to each element of a vector
  MatrixOrder order = MatrixOrder::kOutIn;
  QkvOrder rows = QkvOrder::kConcatenated;
};

/// For adapters: which file tensor a linear layer came from.
struct LinearName {
  Part part;
  int64_t layer;
  Linear* linear;
};

struct Decoder::State {
  const WeightFile* file = nullptr;
  DecoderConfig config;
  const Architecture* architecture = nullptr;
  FileLayout layout;
  std::string prefix;  // of tensor names, after which FileLayout::names follow

  const WeightTensor* token_embedding = nullptr;
  const float* position_embedding = nullptr;  // [context_length, width] or null
  std::vector<DecoderLayer> layers;
  Norm output_norm;
  Linear output;
  std::vector<LinearName> linears;
  bool rounds_activations = false;  // some matrix reads the int8 rounding

  std::vector<double> frequencies, local_frequencies;
  float rope_magnitude = 1, local_rope_magnitude = 1;

  std::vector<PackStep> steps;
  int64_t packed_bytes = 0;
  bool loaded = false;
};

/// Row `row` of a grouped query-key-value matrix, given its row in concatenated order. Rows: (n_heads + 2 n_kv_heads)
/// * head_dim.
int64_t grouped_qkv_row(const DecoderConfig& config, int64_t row);

/// The file's name of a part, without ".weight": prefix, layer and the first listed name, or the given one.
std::string tensor_name(std::string_view prefix, std::string_view pattern, int64_t layer);

/// The state of a decoder whose weights are planned and not loaded. Errors: those of Decoder::open().
Result<std::unique_ptr<Decoder::State>> open_state(const WeightFile& file);
/// Fills `state` from the file's headers: every tensor found, its shape checked, its place in the packed bytes
/// planned.
Status plan_weights(Decoder::State& state);
/// A step's vector: [count].
void fill_vector(const Decoder::State& state, const PackStep& step, float* destination);
/// Whether the file has a step's matrix as products read it.
bool lies_as_multiplied(const PackStep& step);
/// The rows of a step's matrix in the order and orientation in which products read them, in the file's format.
std::vector<std::byte> rows_as_multiplied(const Decoder::State& state, const PackStep& step);
/// Of a layer, with its keys and values in pages of `kv`.
AttentionShape attention_shape(const DecoderConfig& config, const KvLayout& kv, int64_t layer);
/// What a batch must be, whoever computes it; returns its tokens. Errors: those of Decoder::forward().
Result<int64_t> check_batch(const Decoder::State& state, const DecoderBatch& batch, const void* logits,
                            const void* hidden);
/// Frees what was reserved for tokens that were not committed.
void give_back(const DecoderBatch& batch);
/// Writes all packed bytes.
Status fill_packed(const Decoder::State& state, std::byte* destination, Executor executor);

}  // namespace weft
#endif
