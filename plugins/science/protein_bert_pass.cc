#include "plugins/science/protein_bert_pass.h"

#include <algorithm>

namespace weft::science {
namespace {

int64_t pass_tokens(const Bert& network) {
  return std::max(kUsefulBertTokens, network.config().longest_text());
}

int64_t states_bytes(int64_t tokens, int64_t each) { return (tokens * each * 4 + 63) / 64 * 64; }

}  // namespace

int64_t ProteinBertPass::workspace_bytes(const Bert& network, uint32_t n_threads) {
  const int64_t tokens = pass_tokens(network);
  return states_bytes(tokens, network.config().width) + states_bytes(tokens, network.config().vocabulary) +
         network.workspace_bytes(tokens, n_threads);
}

ProteinBertPass::ProteinBertPass(const Bert& network, std::span<std::byte> workspace, Executor executor,
                                 const StopRequest& stop)
    : network_(network),
      executor_(executor),
      stop_(stop),
      width_(network.config().width),
      vocabulary_(network.config().vocabulary) {
  const int64_t tokens = pass_tokens(network);
  const int64_t of_hidden = states_bytes(tokens, width_), of_words = states_bytes(tokens, vocabulary_);
  hidden_ = reinterpret_cast<float*>(workspace.data());
  words_ = reinterpret_cast<float*>(workspace.data() + of_hidden);
  network_workspace_ = workspace.subspan(static_cast<size_t>(of_hidden + of_words));
}

bool ProteinBertPass::has_room(size_t n_tokens) const {
  return batch_.n_tokens() + n_tokens <= static_cast<size_t>(pass_tokens(network_));
}

Status ProteinBertPass::run() {
  return network_.forward(batch_.inputs(), {.hidden = hidden_, .words = words_}, network_workspace_,
                          executor_, stop_);
}

}  // namespace weft::science
