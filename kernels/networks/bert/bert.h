/// BERT and RoBERTa: encoders of texts, such as sentence-transformers are made of; with BERT's head for masked words if asked for.
///
/// Three stages: open() reads headers only, load() packs, then forward() encodes sequences of any lengths, one behind the
/// other. Numerics: a sequence's bits depend on its tokens, the compute type and the ISA level, not on its neighbours or
/// the threads; the residual connection is f32. Ownership: borrows the WeightFile behind its source, which outlives it; load()
/// keeps the store's bytes until unload(). Thread safety: const members of a loaded model may be called from several threads.
/// Source: Devlin et al. 2018, arXiv:1810.04805; Liu et al. 2019, arXiv:1907.11692; names as in transformers' BertModel.
///
///   Result<BertConfig> config = read_bert_config(file.metadata());
///   Result<Bert> bert = Bert::open(bert_source(file), *config, DType::kF32);
///   Status loaded = bert->load(store, "sha256-of-the-file", executor);
///   BertInputs in{.tokens = ids, .starts = starts};                     // starts: {0, 5, 12}: texts of 5 and 7 tokens
///   Status done = bert->forward(in, {.pooled = pooled, .pooling = Pooling::kMean}, workspace, executor);  // [2, width]
#ifndef WEFT_KERNELS_NETWORKS_BERT_BERT_H
#define WEFT_KERNELS_NETWORKS_BERT_BERT_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/layers/device_passes.h"
#include "kernels/layers/layer_pass.h"
#include "kernels/layers/packed_weight_store.h"
#include "kernels/layers/stop_request.h"
#include "kernels/layers/weight_source.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/tensor.h"

namespace weft {

/// What a checkpoint has behind the encoder, and is read.
enum class BertHead : uint8_t { kNone, kWords };

struct BertConfig {
  int64_t vocabulary = 30522;
  int64_t width = 768;
  int64_t n_layers = 12;
  int64_t n_heads = 12;
  int64_t mlp_width = 3072;
  int64_t n_positions = 512;  // rows of the table of positions
  int64_t first_position =
      0;  // row of a text's first token: RoBERTa's tables begin with rows that nothing uses
  int64_t n_types = 2;
  Activation activation = Activation::kGelu;
  float epsilon = 1e-12f;
  BertHead head = BertHead::kNone;  // no file says which is wanted

  /// Tokens of the longest text.
  int64_t longest_text() const { return n_positions - first_position; }
};

struct BertInputs {
  std::span<const int32_t> tokens = {};  // of all sequences
  std::span<const int64_t> starts = {};  // [sequences + 1]: where each begins, and where the last one ends
  std::span<const int32_t> types = {};   // one a token, as tokens; empty: all 0
};

/// One vector of a sequence's.
enum class Pooling : uint8_t { kFirst, kLast, kMean, kMax };

struct BertOutputs {
  float* hidden = nullptr;  // [tokens, width], or null
  float* pooled = nullptr;  // [sequences, width], or null
  Pooling pooling = Pooling::kMean;
  float* words =
      nullptr;  // [tokens, vocabulary]: logits of the token at each place, or null; of BertHead::kWords
};

class Bert {
 public:
  /// source: names as bert_source() gives them. Errors: kInvalidArgument (an impossible configuration), kNotFound,
  /// kInvalidShape, kUnsupported (tensors that are missing, misshapen or unexpected: all of them are listed).
  static Result<Bert> open(WeightSource source, const BertConfig& config, DType compute);

  Bert(Bert&&) noexcept;
  Bert& operator=(Bert&&) noexcept;
  ~Bert();

  const BertConfig& config() const;
  DType compute() const;
  int64_t packed_weights_bytes() const;
  /// Bytes that stay mapped and are read row by row: the token table.
  int64_t mapped_bytes() const;
  int64_t parameters() const;
  /// For sequences of n_tokens in all.
  int64_t workspace_bytes(int64_t n_tokens, uint32_t n_threads) const;

  Status load(PackedWeightStore& store, std::string_view source_key, Executor executor,
              const StopRequest& stop = {});
  bool loaded() const;
  /// Forgets the weights, whose store may be destroyed then; load() gets them again.
  void unload();

  /// No allocation. workspace: workspace_bytes(), aligned to 64. Errors: kInvalidArgument (not loaded, a token or type out of
  /// range, words of an encoder without their head), kInvalidShape (sequences that are empty, too long, or do not follow one another), kOutOfMemory (the workspace),
  /// kCancelled.
  Status forward(const BertInputs& inputs, const BertOutputs& outputs, std::span<std::byte> workspace,
                 Executor executor, const StopRequest& stop = {}, LayerTimes* times = nullptr) const;

  /// In the place of load(): the weights, and the token table, in a device's memory, for forward_on(). memory:
  /// device_weights_bytes(), or empty: it is allocated. Errors: kOutOfMemory, kCancelled, those of the device.
  Status load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop = {},
                 DeviceBuffer memory = {});
  int64_t device_weights_bytes() const;
  /// Enough for forward_on()'s workspace, whatever is asked of it.
  int64_t device_workspace_bytes(int64_t n_tokens, int64_t n_sequences) const;
  /// forward() on the device that holds the weights; a sequence's last bits may depend on its neighbours there. Sequences of one
  /// length that stand side by side are attended to at once. workspace: the device's memory. Inputs and outputs are the host's.
  /// Errors: as forward(), those of the device.
  Status forward_on(DevicePasses& passes, const BertInputs& inputs, const BertOutputs& outputs,
                    std::span<std::byte> workspace, const StopRequest& stop = {}) const;

  struct State;

 private:
  explicit Bert(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
