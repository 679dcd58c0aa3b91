// The forward pass: one team of threads walks all layers together; see kernels/layers/layer_pass.h.
#include <algorithm>
#include <cstring>

#include "kernels/networks/bert/bert_state.h"

namespace weft {
namespace {

// y = one vector of rows [rows, width].
void pool(Pooling pooling, const float* x, int64_t rows, int64_t width, float* y, IsaLevel level) {
  std::memcpy(y, x + (pooling == Pooling::kLast ? rows - 1 : 0) * width, static_cast<size_t>(width) * 4);
  if (pooling == Pooling::kMean) {
    for (int64_t r = 1; r < rows; ++r) add(y, x + r * width, width, level);
    for (int64_t i = 0; i < width; ++i) y[i] /= static_cast<float>(rows);
  } else if (pooling == Pooling::kMax) {
    for (int64_t r = 1; r < rows; ++r)
      for (int64_t i = 0; i < width; ++i) y[i] = std::max(y[i], x[r * width + i]);
  }
}

// One thread's way through the pass, or the measure of its memory.
class Walker {
 public:
  Walker(const Bert::State& state, LayerPass& pass, int64_t n_tokens, const BertInputs* inputs,
         const BertOutputs* outputs)
      : s_(state), width_(state.config.width), pass_(pass), tokens_(n_tokens), in_(inputs), out_(outputs) {}

  void walk() {
    const TensorView x = pass_.take(DType::kF32, {tokens_, width_});
    EncoderSequences sequences;
    if (in_) {
      sequences.count = n_sequences();
      sequences.starts = in_->starts.data();
      embed(x.as<float>());
    }
    for (const EncoderLayer& layer : s_.layers) {
      if (pass_.stopped()) return;
      encoder_layer(pass_, layer, s_.shape, x, sequences, s_.compute);
    }
    if (out_) write(x.as<float>());
    if (s_.config.head == BertHead::kWords && (!out_ || out_->words)) predict(x);
    pass_.give(x);
  }

 private:
  int64_t n_sequences() const { return static_cast<int64_t>(in_->starts.size()) - 1; }

  void embed(float* x) {
    const int64_t begin = pass_.begin(tokens_), end = pass_.end(tokens_);
    for (int64_t s = 0; s < n_sequences(); ++s) {
      const int64_t first = in_->starts[static_cast<size_t>(s)],
                    last = in_->starts[static_cast<size_t>(s) + 1];
      for (int64_t r = std::max(begin, first); r < std::min(end, last); ++r)
        embed_row(static_cast<size_t>(r), r - first, x + r * width_);
    }
    pass_.barrier();
  }

  void embed_row(size_t row, int64_t place, float* x) {
    const int64_t type = in_->types.empty() ? 0 : in_->types[row];
    read_embedding_row(*s_.token_embedding, in_->tokens[row], width_, x, pass_.level());
    add(x, s_.type_embedding + type * width_, width_, pass_.level());
    add(x, s_.position_embedding + (s_.config.first_position + place) * width_, width_, pass_.level());
    norm_rows(s_.embedding_norm, x, width_, x, width_, 1, width_, pass_.level());
  }

  void write(const float* x) {
    if (out_->hidden) {
      const int64_t begin = pass_.begin(tokens_) * width_, end = pass_.end(tokens_) * width_;
      std::memcpy(out_->hidden + begin, x + begin, static_cast<size_t>(end - begin) * 4);
    }
    if (out_->pooled)
      for (int64_t s = pass_.begin(n_sequences()); s < pass_.end(n_sequences()); ++s) {
        const int64_t first = in_->starts[static_cast<size_t>(s)],
                      last = in_->starts[static_cast<size_t>(s) + 1];
        pool(out_->pooling, x + first * width_, last - first, width_, out_->pooled + s * width_,
             pass_.level());
      }
    pass_.barrier();
  }

  void predict(const TensorView& x) {
    const TensorView y = pass_.take(DType::kF32, {tokens_, width_});
    pass_.dense(s_.word_transform, x, y, {.activation = s_.config.activation});
    pass_.barrier();
    pass_.layer_norm(s_.word_norm, y, y);
    pass_.barrier();
    const float* words = out_ ? out_->words : nullptr;
    pass_.dense(s_.word_decoder, y,
                TensorView::contiguous(words, DType::kF32, {tokens_, s_.config.vocabulary}));
    pass_.barrier();
    pass_.give(y);
  }

  const Bert::State& s_;
  const int64_t width_;
  LayerPass& pass_;
  const int64_t tokens_;
  const BertInputs* in_;    // null: measures
  const BertOutputs* out_;  // null: measures
};

Status check_sequences(const BertConfig& c, const BertInputs& in) {
  const auto invalid = [](const char* message) { return Status(StatusCode::kInvalidShape, message); };
  const int64_t count = static_cast<int64_t>(in.tokens.size());
  if (in.starts.size() < 2 || in.starts.front() != 0 || in.starts.back() != count)
    return invalid("an encoder's sequences must be all of its tokens")
        .expected("starts from 0 to " + std::to_string(count));
  for (size_t s = 0; s + 1 < in.starts.size(); ++s) {
    const int64_t n = in.starts[s + 1] - in.starts[s];
    if (n < 1) return invalid("a sequence is empty").got("sequence " + std::to_string(s));
    if (n > c.longest_text())
      return invalid("a text is longer than the encoder's positions")
          .expected("at most " + std::to_string(c.longest_text()) + " tokens")
          .got(std::to_string(n));
  }
  return Status();
}

Status check_ids(std::span<const int32_t> ids, int64_t count, const char* message) {
  for (const int32_t id : ids)
    if (id < 0 || id >= count)
      return Status(StatusCode::kInvalidArgument, message)
          .expected("0 to " + std::to_string(count - 1))
          .got(std::to_string(id));
  return Status();
}

Status check_inputs(const BertConfig& c, const BertInputs& in) {
  if (Status valid = check_sequences(c, in); !valid.ok()) return valid;
  if (!in.types.empty() && in.types.size() != in.tokens.size())
    return Status(StatusCode::kInvalidShape, "an encoder wants a type for each token or none")
        .expected(std::to_string(in.tokens.size()))
        .got(std::to_string(in.types.size()));
  if (Status valid = check_ids(in.tokens, c.vocabulary, "a token id is out of range"); !valid.ok())
    return valid;
  return check_ids(in.types, c.n_types, "a token's type is out of range");
}

}  // namespace

int64_t Bert::workspace_bytes(int64_t n_tokens, uint32_t n_threads) const {
  return LayerPass::measure(
      n_threads, [&](LayerPass& pass) { Walker(*state_, pass, n_tokens, nullptr, nullptr).walk(); });
}

Status Bert::forward(const BertInputs& inputs, const BertOutputs& outputs, std::span<std::byte> workspace,
                     Executor executor, const StopRequest& stop, LayerTimes* times) const {
  if (!state_->loaded) return Status(StatusCode::kInvalidArgument, "the encoder's weights are not loaded");
  if (Status valid = check_inputs(state_->config, inputs); !valid.ok()) return valid;
  if (outputs.words && state_->config.head != BertHead::kWords)
    return Status(StatusCode::kInvalidArgument, "the encoder was opened without its head for words");
  const int64_t n_tokens = static_cast<int64_t>(inputs.tokens.size());
  const int64_t needed = workspace_bytes(n_tokens, executor.max_threads());
  return LayerPass::run(workspace, needed, "the encoder's", executor, stop, times,
                        [&](LayerPass& pass) { Walker(*state_, pass, n_tokens, &inputs, &outputs).walk(); });
}

}  // namespace weft
