// The forward pass: one team of threads walks all layers together; see kernels/layers/layer_pass.h.
#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

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

// What a device looks up for each token.
struct DeviceRows {
  std::vector<int32_t> places, types;

  DeviceRows(const BertConfig& c, const BertInputs& in) : types(in.types.begin(), in.types.end()) {
    types.resize(in.tokens.size());
    places.reserve(in.tokens.size());
    for (size_t s = 0; s + 1 < in.starts.size(); ++s)
      for (int64_t place = 0; place < in.starts[s + 1] - in.starts[s]; ++place)
        places.push_back(static_cast<int32_t>(c.first_position + place));
  }
};

// What a pass is for; null members: its memory is measured.
struct Work {
  int64_t n_tokens = 0, n_sequences = 0;
  const BertInputs* in = nullptr;
  const BertOutputs* out = nullptr;
  const DeviceRows* rows = nullptr;  // on a device
};

// One thread's way through the pass, or the measure of its memory.
class Walker {
 public:
  Walker(const Bert::State& state, LayerPass& pass, const Work& work)
      : s_(state),
        width_(state.config.width),
        pass_(pass),
        tokens_(work.n_tokens),
        sequences_(work.n_sequences),
        in_(work.in),
        out_(work.out),
        rows_(work.rows) {}

  void walk() {
    const TensorView x = pass_.take(DType::kF32, {tokens_, width_});
    EncoderSequences sequences;
    if (in_) {
      sequences.count = sequences_;
      sequences.starts = in_->starts.data();
    }
    if (pass_.on_device()) embed_on_device(x);
    else if (in_) embed(x.as<float>());
    for (const EncoderLayer& layer : s_.layers) {
      if (pass_.stopped()) return;
      encoder_layer(pass_, layer, s_.shape, x, sequences, s_.compute);
    }
    if (pass_.on_device()) write_from_device(x);
    else if (out_) write(x.as<float>());
    if (s_.config.head == BertHead::kWords && (!out_ || out_->words)) predict(x);
    pass_.give(x);
  }

 private:
  TensorView of_host(const float* values, int64_t rows, int64_t width) const {
    return TensorView::contiguous(values, DType::kF32, {rows, width});
  }
  TensorView ids(const int32_t* values) const {
    return TensorView::contiguous(values, DType::kI32, {tokens_});
  }

  void embed_on_device(const TensorView& x) {
    const BertConfig& c = s_.config;
    const EmbeddingTable types = {WeightFormat::kF32, s_.type_embedding, c.n_types, width_};
    const TensorView tokens = pass_.input(ids(in_ ? in_->tokens.data() : nullptr)),
                     places = pass_.input(ids(rows_ ? rows_->places.data() : nullptr)),
                     type_of = pass_.input(ids(rows_ ? rows_->types.data() : nullptr)),
                     of_types = pass_.take(DType::kF32, {tokens_, width_});
    pass_.look_up(types, type_of, of_types);
    pass_.look_up(s_.token_embedding.on_device, tokens, x, s_.position_embedding, places);
    pass_.add_values(x, of_types.as<float>());
    pass_.layer_norm(s_.embedding_norm, x, x);
    pass_.give(of_types);
    for (const TensorView& input : {type_of, places, tokens}) pass_.give_input(input);
  }

  void write_from_device(const TensorView& x) {
    if (!out_ || out_->hidden) pass_.copy_result(x, of_host(out_ ? out_->hidden : nullptr, tokens_, width_));
    if (out_ && !out_->pooled) return;
    const TensorView vectors = of_host(out_ ? out_->pooled : nullptr, sequences_, width_);
    const TensorView pooled = pass_.result(vectors);
    if (in_)
      for_each_run(in_->starts, [&](int64_t first, int64_t count, int64_t length) {
        pool_run(x, first, count, length, pooled);
      });
    pass_.give_result(pooled, vectors);
  }

  // Of `count` sequences of one length: the mean of all rows, or of one.
  void pool_run(const TensorView& x, int64_t first, int64_t count, int64_t length, const TensorView& pooled) {
    const bool mean = out_->pooling == Pooling::kMean, last = out_->pooling == Pooling::kLast;
    const int64_t row = in_->starts[static_cast<size_t>(first)] + (last ? length - 1 : 0);
    TensorView rows =
        TensorView::contiguous(x.as<float>() + row * width_, DType::kF32, {count, mean ? length : 1, width_});
    rows.strides[0] = length * width_;
    pass_.mean(rows, of_host(pooled.as<float>() + first * width_, count, width_));
  }

  void embed(float* x) {
    const int64_t begin = pass_.begin(tokens_), end = pass_.end(tokens_);
    for (int64_t s = 0; s < sequences_; ++s) {
      const int64_t first = in_->starts[static_cast<size_t>(s)],
                    last = in_->starts[static_cast<size_t>(s) + 1];
      for (int64_t r = std::max(begin, first); r < std::min(end, last); ++r)
        embed_row(static_cast<size_t>(r), r - first, x + r * width_);
    }
    pass_.barrier();
  }

  void embed_row(size_t row, int64_t place, float* x) {
    const int64_t type = in_->types.empty() ? 0 : in_->types[row];
    read_embedding_row(*s_.token_embedding.in_file, in_->tokens[row], width_, x, pass_.level());
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
      for (int64_t s = pass_.begin(sequences_); s < pass_.end(sequences_); ++s) {
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
    const TensorView logits = of_host(out_ ? out_->words : nullptr, tokens_, s_.config.vocabulary);
    const TensorView words = pass_.result(logits);
    pass_.dense(s_.word_decoder, y, words);
    pass_.barrier();
    pass_.give_result(words, logits);
    pass_.give(y);
  }

  const Bert::State& s_;
  const int64_t width_;
  LayerPass& pass_;
  const int64_t tokens_, sequences_;
  const BertInputs* in_;
  const BertOutputs* out_;
  const DeviceRows* rows_;
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

Status check_inputs(const BertConfig& c, const BertInputs& in, const BertOutputs& out) {
  if (Status valid = check_sequences(c, in); !valid.ok()) return valid;
  if (out.words && c.head != BertHead::kWords)
    return Status(StatusCode::kInvalidArgument, "the encoder was opened without its head for words");
  if (!in.types.empty() && in.types.size() != in.tokens.size())
    return Status(StatusCode::kInvalidShape, "an encoder wants a type for each token or none")
        .expected(std::to_string(in.tokens.size()))
        .got(std::to_string(in.types.size()));
  if (Status valid = check_ids(in.tokens, c.vocabulary, "a token id is out of range"); !valid.ok())
    return valid;
  return check_ids(in.types, c.n_types, "a token's type is out of range");
}

Work work_of(const BertInputs& in, const BertOutputs& out) {
  return {.n_tokens = static_cast<int64_t>(in.tokens.size()),
          .n_sequences = static_cast<int64_t>(in.starts.size()) - 1,
          .in = &in,
          .out = &out};
}

}  // namespace

int64_t Bert::workspace_bytes(int64_t n_tokens, uint32_t n_threads) const {
  return LayerPass::measure(n_threads,
                            [&](LayerPass& pass) { Walker(*state_, pass, {.n_tokens = n_tokens}).walk(); });
}

Status Bert::forward(const BertInputs& inputs, const BertOutputs& outputs, std::span<std::byte> workspace,
                     Executor executor, const StopRequest& stop, LayerTimes* times) const {
  if (!state_->weights.on_host())
    return Status(StatusCode::kInvalidArgument, "the encoder's weights are not loaded");
  if (Status valid = check_inputs(state_->config, inputs, outputs); !valid.ok()) return valid;
  const Work work = work_of(inputs, outputs);
  const int64_t needed = workspace_bytes(work.n_tokens, executor.max_threads());
  return LayerPass::run(workspace, needed, "the encoder's", executor, stop, times,
                        [&](LayerPass& pass) { Walker(*state_, pass, work).walk(); });
}

int64_t Bert::device_workspace_bytes(int64_t n_tokens, int64_t n_sequences) const {
  return LayerPass::measure_on_device([&](LayerPass& pass) {
           Walker(*state_, pass, {.n_tokens = n_tokens, .n_sequences = n_sequences}).walk();
         })
      .workspace_bytes;
}

Status Bert::forward_on(DevicePasses& passes, const BertInputs& inputs, const BertOutputs& outputs,
                        std::span<std::byte> workspace, const StopRequest& stop) const {
  if (!state_->weights.on_device())
    return Status(StatusCode::kInvalidArgument, "the encoder's weights are not loaded on a device");
  if (Status valid = check_inputs(state_->config, inputs, outputs); !valid.ok()) return valid;
  // The largest of each component is found on the host, among all states.
  const bool pools_here = outputs.pooled && outputs.pooling == Pooling::kMax;
  const int64_t width = state_->config.width;
  std::vector<float> states(pools_here && !outputs.hidden ? inputs.tokens.size() * static_cast<size_t>(width)
                                                          : 0);
  BertOutputs of_device = outputs;
  if (pools_here) {
    of_device.pooled = nullptr;
    if (!outputs.hidden) of_device.hidden = states.data();
  }
  const DeviceRows rows(state_->config, inputs);
  Work work = work_of(inputs, of_device);
  work.rows = &rows;
  std::vector<int64_t> numbers = {of_device.hidden != nullptr, of_device.pooled != nullptr,
                                  of_device.words != nullptr, static_cast<int64_t>(of_device.pooling)};
  numbers.insert(numbers.end(), inputs.starts.begin(), inputs.starts.end());
  Status done = passes.run(state_->weights.pass_shape("the encoder's", std::move(numbers)), workspace, stop,
                           [&](LayerPass& pass) { Walker(*state_, pass, work).walk(); });
  for (int64_t s = 0; done.ok() && pools_here && s < work.n_sequences; ++s) {
    const int64_t first = inputs.starts[static_cast<size_t>(s)],
                  last = inputs.starts[static_cast<size_t>(s) + 1];
    pool(outputs.pooling, of_device.hidden + first * width, last - first, width, outputs.pooled + s * width,
         active_isa());
  }
  return done;
}

}  // namespace weft
