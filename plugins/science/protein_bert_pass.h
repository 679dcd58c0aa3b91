/// Sequences that go through a BERT together, one behind the other.
///
/// Results of a sequence do not depend on the others. Ownership: borrows everything. Threads: one at a time; the executor's compute.
///
///   ProteinBertPass pass(network, workspace, executor, stop);
///   for (...) if (pass.has_room(tokens.size())) pass.add(tokens);
///   Status status = pass.run();                 // then hidden(s) and words(s) of sequence s, until clear()
#ifndef WEFT_PLUGINS_SCIENCE_PROTEIN_BERT_PASS_H
#define WEFT_PLUGINS_SCIENCE_PROTEIN_BERT_PASS_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/layers/stop_request.h"
#include "kernels/networks/bert/bert_batch.h"

namespace weft::science {

class ProteinBertPass {
 public:
  static int64_t workspace_bytes(const Bert& network, uint32_t n_threads);

  /// network: with its head for words. workspace: workspace_bytes(), aligned to 64.
  ProteinBertPass(const Bert& network, std::span<std::byte> workspace, Executor executor,
                  const StopRequest& stop);

  /// True for any sequence that the network reads while there is none.
  bool has_room(size_t n_tokens) const;
  void add(std::span<const int32_t> tokens) { batch_.add(tokens); }
  void clear() { batch_.clear(); }

  /// Errors: kCancelled, a token out of range.
  Status run();
  const float* hidden(size_t sequence) const {
    return hidden_ + batch_.start(sequence) * width_;
  }  // [tokens, width]
  const float* words(size_t sequence) const {
    return words_ + batch_.start(sequence) * vocabulary_;
  }  // logits

 private:
  const Bert& network_;
  const Executor executor_;
  const StopRequest stop_;
  const int64_t width_, vocabulary_;
  float *hidden_, *words_;
  std::span<std::byte> network_workspace_;
  BertBatch batch_;
};

}  // namespace weft::science
#endif
