/// Sequences that go through a Bert together, one behind the other, as its inputs want them.
///
///   BertBatch batch;
///   if (batch.n_tokens() + tokens.size() <= kUsefulBertTokens) batch.add(tokens);
///   network.forward(batch.inputs(), outputs, workspace, executor);
#ifndef WEFT_KERNELS_NETWORKS_BERT_BERT_BATCH_H
#define WEFT_KERNELS_NETWORKS_BERT_BERT_BATCH_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/networks/bert/bert.h"

namespace weft {

/// Long enough for matrix products at full speed, short enough to stay in caches and to be cancelled between two.
inline constexpr int64_t kUsefulBertTokens = 1024;

class BertBatch {
 public:
  size_t size() const { return starts_.size() - 1; }
  size_t n_tokens() const { return tokens_.size(); }
  /// Where sequence `index` begins, in tokens.
  int64_t start(size_t index) const { return starts_[index]; }

  void add(std::span<const int32_t> tokens) {
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    starts_.push_back(static_cast<int64_t>(tokens_.size()));
  }
  void clear() {
    tokens_.clear();
    starts_ = {0};
  }
  BertInputs inputs() const { return {.tokens = tokens_, .starts = starts_, .types = {}}; }

 private:
  std::vector<int32_t> tokens_;
  std::vector<int64_t> starts_ = {0};
};

}  // namespace weft
#endif
