// The forward pass: one team of threads walks all layers together; see kernels/layers/layer_pass.h.
#include <cstring>

#include "kernels/networks/clip_text/clip_text_state.h"

namespace weft {
namespace {

// Where a sequence is pooled: at its last token; or the first end token, or the largest id for configurations that name 2.
int64_t pooled_place(const ClipTextConfig& c, const int32_t* tokens, int64_t n_tokens) {
  if (c.pooling == TextPooling::kLastToken) return n_tokens - 1;
  int64_t place = 0;
  for (int64_t i = 0; i < n_tokens; ++i) {
    if (c.end_token == 2) {
      if (tokens[i] > tokens[place]) place = i;
    } else if (tokens[i] == c.end_token) {
      return i;
    }
  }
  return place;
}

TensorView rows_of(const TensorView& x, int64_t first, int64_t count) {
  return TensorView::contiguous(x.as<float>() + first * x.shape[1], DType::kF32, {count, x.shape[1]});
}

// One thread's way through the pass, or the measure of its memory.
class Walker {
 public:
  Walker(const ClipText::State& state, LayerPass& pass, int64_t n_sequences, int64_t n_tokens,
         const ClipTextInputs* inputs, const ClipTextOutputs* outputs)
      : s_(state),
        c_(state.config),
        pass_(pass),
        n_(n_sequences),
        tokens_(n_tokens),
        in_(inputs),
        out_(outputs) {}

  void walk() {
    x_ = pass_.take(DType::kF32, {n_ * tokens_, c_.width});
    embed();
    const int64_t last = c_.n_layers - (in_ ? in_->skipped_layers : 0);
    const bool pools = !out_ || out_->pooled;
    for (int64_t i = 0; i < (pools ? c_.n_layers : last); ++i) {
      if (i == last) write_hidden();
      if (pass_.stopped()) return;
      encoder_layer(pass_, s_.layers[static_cast<size_t>(i)], s_.shape, x_, {.count = n_, .tokens = tokens_},
                    s_.inner);
    }
    if (last == c_.n_layers || !pools) write_hidden();
    if (pools) write_pooled();
    pass_.give(x_);
  }

 private:
  // Token rows come from their file. On a device, which has the places' rows, those are added there.
  void embed() {
    const bool on_host = !pass_.on_device();
    pass_.fill_rows(x_, [&](int64_t r, float* x) {
      const int64_t id = in_->tokens[static_cast<size_t>(r)];
      if (id < c_.vocabulary) read_embedding_row(*s_.token_embedding, id, c_.width, x, pass_.level());
      else
        std::memcpy(x, in_->extra_embeddings + (id - c_.vocabulary) * c_.width,
                    static_cast<size_t>(c_.width) * 4);
      if (on_host) add(x, s_.position_embedding + r % tokens_ * c_.width, c_.width, pass_.level());
    });
    for (int64_t i = 0; !on_host && i < n_; ++i)
      pass_.add_values(rows_of(x_, i * tokens_, tokens_), s_.position_embedding);
  }

  void write_hidden() {
    if (out_ && !out_->hidden) return;
    const TensorView of_host =
        TensorView::contiguous(out_ ? out_->hidden : nullptr, DType::kF32, {n_ * tokens_, c_.width});
    if (in_ && !in_->final_norm) return pass_.copy_result(x_, of_host);
    const TensorView hidden = pass_.result(of_host);
    pass_.layer_norm(s_.final_norm, x_, hidden);
    pass_.barrier();
    pass_.give_result(hidden, of_host);
  }

  void write_pooled() {
    const bool projects = s_.projection.present();
    const TensorView ends = pass_.take(DType::kF32, {n_, c_.width});
    const TensorView of_host = TensorView::contiguous(out_ ? out_->pooled : nullptr, DType::kF32,
                                                      {n_, projects ? c_.projection_width : c_.width});
    const TensorView pooled = pass_.result(of_host);
    norm_ends(projects ? ends : pooled);
    if (projects) pass_.dense(s_.projection, ends, pooled);
    pass_.barrier();
    pass_.give_result(pooled, of_host);
    pass_.give(ends);
  }

  // The final norm of each sequence's end.
  void norm_ends(const TensorView& y) {
    if (pass_.measures()) return;
    for (int64_t i = 0; i < n_; ++i) {
      const int64_t end = pooled_place(c_, in_->tokens.data() + i * tokens_, tokens_);
      pass_.layer_norm(s_.final_norm, rows_of(x_, i * tokens_ + end, 1), rows_of(y, i, 1));
    }
    pass_.barrier();
  }

  const ClipText::State& s_;
  const ClipTextConfig& c_;
  LayerPass& pass_;
  int64_t n_, tokens_;
  const ClipTextInputs* in_;    // null: measures
  const ClipTextOutputs* out_;  // null: measures
  TensorView x_;                // [n * tokens, width] f32, the residual connection
};

Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

Status check_inputs(const ClipTextConfig& c, const ClipTextInputs& in) {
  const int64_t count = static_cast<int64_t>(in.tokens.size());
  if (in.n_sequences < 1 || count < 1 || count % in.n_sequences != 0)
    return Status(StatusCode::kInvalidShape, "a text encoder wants sequences of one length")
        .got(std::to_string(count) + " tokens in " + std::to_string(in.n_sequences) + " sequences");
  if (count / in.n_sequences > c.n_positions)
    return Status(StatusCode::kInvalidShape, "the text is longer than the text encoder's positions")
        .expected("at most " + std::to_string(c.n_positions) + " tokens")
        .got(std::to_string(count / in.n_sequences));
  if (in.n_extra < 0 || (in.n_extra > 0 && !in.extra_embeddings))
    return invalid("a text encoder's extra embeddings are null");
  for (int32_t token : in.tokens)
    if (token < 0 || token >= c.vocabulary + in.n_extra)
      return invalid("a token id is out of range")
          .expected("0 to " + std::to_string(c.vocabulary + in.n_extra - 1))
          .got(std::to_string(token));
  if (in.skipped_layers < 0 || in.skipped_layers >= c.n_layers)
    return invalid("a text encoder cannot skip so many layers")
        .expected("0 to " + std::to_string(c.n_layers - 1))
        .got(std::to_string(in.skipped_layers));
  return Status();
}

}  // namespace

int64_t ClipText::workspace_bytes(int64_t n_sequences, int64_t n_tokens, uint32_t n_threads) const {
  return LayerPass::measure(n_threads, [&](LayerPass& pass) {
    Walker(*state_, pass, n_sequences, n_tokens, nullptr, nullptr).walk();
  });
}

Status ClipText::forward(const ClipTextInputs& inputs, const ClipTextOutputs& outputs,
                         std::span<std::byte> workspace, Executor executor, const StopRequest& stop,
                         LayerTimes* times) const {
  if (!state_->weights.on_host()) return invalid("the text encoder's weights are not loaded");
  if (Status valid = check_inputs(state_->config, inputs); !valid.ok()) return valid;
  const int64_t n_tokens = static_cast<int64_t>(inputs.tokens.size()) / inputs.n_sequences;
  const int64_t needed = workspace_bytes(inputs.n_sequences, n_tokens, executor.max_threads());
  return LayerPass::run(workspace, needed, "the text encoder's", executor, stop, times, [&](LayerPass& pass) {
    Walker(*state_, pass, inputs.n_sequences, n_tokens, &inputs, &outputs).walk();
  });
}

int64_t ClipText::device_workspace_bytes(int64_t n_sequences, int64_t n_tokens) const {
  return LayerPass::measure_on_device(
             [&](LayerPass& pass) { Walker(*state_, pass, n_sequences, n_tokens, nullptr, nullptr).walk(); })
      .workspace_bytes;
}

Status ClipText::forward_on(DevicePasses& passes, const ClipTextInputs& inputs,
                            const ClipTextOutputs& outputs, std::span<std::byte> workspace,
                            const StopRequest& stop) const {
  if (!state_->weights.on_device()) return invalid("the text encoder's weights are not loaded on a device");
  if (Status valid = check_inputs(state_->config, inputs); !valid.ok()) return valid;
  const int64_t n_tokens = static_cast<int64_t>(inputs.tokens.size()) / inputs.n_sequences;
  std::vector<int64_t> numbers = {inputs.n_sequences, n_tokens, inputs.skipped_layers, inputs.final_norm,
                                  outputs.hidden != nullptr};
  for (int64_t i = 0; outputs.pooled && i < inputs.n_sequences; ++i)
    numbers.push_back(pooled_place(state_->config, inputs.tokens.data() + i * n_tokens, n_tokens));
  return passes.run(state_->weights.pass_shape("the text encoder's", std::move(numbers)), workspace, stop,
                    [&](LayerPass& pass) {
                      Walker(*state_, pass, inputs.n_sequences, n_tokens, &inputs, &outputs).walk();
                    });
}

}  // namespace weft
