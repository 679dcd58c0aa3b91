#include "plugins/text/evaluator.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace weft::text {
namespace {

constexpr int64_t kPassTokens = 256;
constexpr int64_t kLogitsBytes = int64_t{32} << 20;  // of one pass

int64_t logits_rows(const DecoderConfig& config) {
  return std::clamp<int64_t>(kLogitsBytes / (config.vocabulary * static_cast<int64_t>(sizeof(float))), 1,
                             kPassTokens);
}

}  // namespace

PassLimits Evaluator::limits(const DecoderConfig& config, int64_t pages) {
  return {
      .tokens = kPassTokens, .logits_rows = logits_rows(config), .hidden_rows = kPassTokens, .pages = pages};
}

Status Evaluator::logits(KvSequence& sequence, std::span<const TokenId> tokens, int64_t first_row,
                         const RowVisitor& visit) const {
  return run(Output::kLogits, sequence, tokens, first_row, visit);
}

Status Evaluator::hidden(KvSequence& sequence, std::span<const TokenId> tokens,
                         const RowVisitor& visit) const {
  return run(Output::kHidden, sequence, tokens, 0, visit);
}

Status Evaluator::run(Output output, KvSequence& sequence, std::span<const TokenId> tokens, int64_t first_row,
                      const RowVisitor& visit) const {
  const DecoderConfig& config = pass_.config();
  const int64_t width = output == Output::kLogits ? config.vocabulary : config.width;
  const int64_t most_rows = output == Output::kLogits ? logits_rows(config) : kPassTokens;
  const StopRequest stop{[](void* self) { return static_cast<const Evaluator*>(self)->cancelled_(); },
                         const_cast<Evaluator*>(this)};
  std::vector<int32_t> wanted;
  const auto size = static_cast<int64_t>(tokens.size());
  for (int64_t begin = 0; begin < size;) {
    // A pass that has wanted rows holds no more tokens than there is room for rows.
    int64_t end = std::min(size, begin + kPassTokens);
    if (end > first_row) end = begin < first_row ? first_row : std::min(end, begin + most_rows);
    wanted.clear();
    if (begin >= first_row) {
      wanted.resize(end - begin);
      std::iota(wanted.begin(), wanted.end(), 0);
    }
    const DecoderChunk chunk{&sequence, tokens.subspan(begin, end - begin)};
    DecoderBatch batch{.chunks = {&chunk, 1}, .logits_rows = {}, .hidden_rows = {}, .adapters = {}};
    PassOutputs outputs;
    (output == Output::kLogits ? batch.logits_rows : batch.hidden_rows) = wanted;
    (output == Output::kLogits ? outputs.logits : outputs.hidden) = pass_.rows();
    if (Status status = pass_.forward(batch, outputs, stop); !status.ok()) return status;
    for (size_t i = 0; i < wanted.size(); ++i) {
      visit(begin + static_cast<int64_t>(i), {pass_.rows() + i * width, static_cast<size_t>(width)});
    }
    begin = end;
  }
  return {};
}

}  // namespace weft::text
