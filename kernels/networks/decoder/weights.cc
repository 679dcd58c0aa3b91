// From a file's tensors to packed weights: presence, shapes and places first (plan_weights), bytes later
// (fill_packed).
#include <algorithm>
#include <cstring>
#include <set>

#include "kernels/networks/decoder/decoder_state.h"
#include "kernels/quant/dequantize.h"

namespace weft {
namespace {

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (int64_t extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

// "language_model.model." without its last part.
std::string outside(const std::string& prefix) {
  const size_t dot = prefix.empty() ? std::string::npos : prefix.find_last_of('.', prefix.size() - 2);
  return dot == std::string::npos ? std::string() : prefix.substr(0, dot + 1);
}

// Finds tensors, checks them, and lays out the packed bytes; keeps the first error.
class WeightPlanner {
 public:
  explicit WeightPlanner(Decoder::State& state) : state_(state) {}

  Status status() const { return status_; }

  const WeightTensor* find(Part part, int64_t layer, std::string_view suffix) {
    for (const PartName& candidate : state_.layout.names) {
      if (candidate.part != part) continue;
      // Output projections stand outside the body that the prefix names: "language_model.model." or the file's whole.
      for (const std::string& prefix : {state_.prefix, outside(state_.prefix), std::string()}) {
        const WeightTensor* tensor =
            state_.file->find(tensor_name(prefix, candidate.name, layer) + std::string(suffix));
        if (tensor) {
          used_.insert(tensor->name);
          return tensor;
        }
      }
    }
    return nullptr;
  }

  const WeightTensor* require(Part part, int64_t layer, std::string_view suffix) {
    const WeightTensor* tensor = find(part, layer, suffix);
    if (tensor || !status_.ok()) return tensor;
    for (const PartName& candidate : state_.layout.names) {
      if (candidate.part != part) continue;
      const std::string name = tensor_name(state_.prefix, candidate.name, layer) + std::string(suffix);
      Result<const WeightTensor*> missing = state_.file->tensor(name);  // says what else there is
      status_ = missing.ok() ? Status(StatusCode::kInternal, name) : missing.status();
      return nullptr;
    }
    status_ = Status(StatusCode::kInternal, "an architecture names no tensor for a part that it needs");
    return nullptr;
  }

  // *out gets [count] floats, each plus `add`.
  void vector(const WeightTensor* tensor, int64_t count, float add, const float** out) {
    if (!tensor || !expect_shape(*tensor, {count})) return;
    PackStep step;
    step.tensor = tensor;
    step.vector = out;
    step.count = count;
    step.add = add;
    place(step, count * 4);
  }

  void norm(Part part, int64_t layer, int64_t count, Norm* out) {
    out->kind = state_.config.norm;
    out->epsilon = state_.config.norm_epsilon;
    vector(require(part, layer, ".weight"), count, state_.layout.norm_offset, &out->weight);
    if (out->kind == NormKind::kLayer) bias(part, layer, count, &out->bias);
  }

  void bias(Part part, int64_t layer, int64_t count, const float** out) {
    const bool required = (state_.layout.biases & bit(part)) != 0;
    vector(required ? require(part, layer, ".bias") : find(part, layer, ".bias"), count, 0, out);
  }

  void matrix(const WeightTensor* tensor, MatrixOrder order, QkvOrder rows, int64_t n, int64_t k,
              PackedMatrix* out) {
    if (!tensor) return;
    if (!(order == MatrixOrder::kOutIn ? expect_shape(*tensor, {n, k}) : expect_shape(*tensor, {k, n})))
      return;
    const bool plain = block_layout(tensor->format).elements == 1;
    if (!matmul_serves(tensor->format) || (order == MatrixOrder::kInOut && !plain)) {
      fail(*tensor, Status(StatusCode::kUnsupported, "no matrix product reads this format")
                        .got(block_layout(tensor->format).name));
      return;
    }
    Result<int64_t> bytes = packed_size_bytes(tensor->format, n, k);
    if (!bytes.ok()) {
      fail(*tensor, bytes.status());
      return;
    }
    out->format = tensor->format;
    out->n = n;
    out->k = k;
    PackStep step;
    step.tensor = tensor;
    step.matrix = out;
    step.order = order;
    step.rows = rows;
    place(step, *bytes);
    state_.rounds_activations = state_.rounds_activations || rounds_activations(tensor->format);
  }

  void linear(Part part, int64_t layer, int64_t n, int64_t k, Linear* out) {
    const QkvOrder rows = part == Part::kQkv ? state_.layout.qkv : QkvOrder::kConcatenated;
    matrix(require(part, layer, ".weight"), state_.layout.order, rows, n, k, &out->w);
    bias(part, layer, n, &out->bias);
    PackStep& last = state_.steps.back();
    if (last.vector == &out->bias) last.rows = rows;
    name(part, layer, out);
  }

  void name(Part part, int64_t layer, Linear* out) {
    out->index = static_cast<int32_t>(state_.linears.size());
    state_.linears.push_back({part, layer, out});
  }

  bool expect_shape(const WeightTensor& tensor, std::initializer_list<int64_t> shape) {
    if (std::ranges::equal(tensor.shape(), shape)) return true;
    fail(tensor,
         Status(StatusCode::kInvalidShape, "the tensor's shape does not fit the model's configuration")
             .expected(shape_text({shape.begin(), shape.size()}))
             .got(shape_text(tensor.shape())));
    return false;
  }

  void fail(const WeightTensor& tensor, Status status) {
    if (status_.ok()) status_ = std::move(status).at(state_.file->where(tensor));
  }

  // A layer's tensor that nothing reads would be a part of the model that is left out.
  void refuse_unused() {
    if (!status_.ok()) return;
    for (const WeightTensor& tensor : state_.file->tensors()) {
      const bool in_layer = tensor.name.starts_with("blk.") ||
                            tensor.name.starts_with(state_.prefix + "layers.") ||
                            tensor.name.starts_with(state_.prefix + "h.");
      const bool buffer = tensor.name.ends_with(".inv_freq") || tensor.name.ends_with(".attn.bias") ||
                          tensor.name.ends_with(".masked_bias");
      if (in_layer && !buffer && !used_.contains(tensor.name))
        return fail(tensor, Status(StatusCode::kUnsupported,
                                   "the " + state_.config.architecture + " decoder has no such part"));
    }
  }

 private:
  void place(PackStep& step, int64_t bytes) {
    step.offset = state_.packed_bytes;
    state_.packed_bytes += (bytes + kPackedAlignment - 1) / kPackedAlignment * kPackedAlignment;
    state_.steps.push_back(step);
  }

  Decoder::State& state_;
  Status status_;
  std::set<std::string, std::less<>> used_;
};

void plan_attention(WeightPlanner& planner, const DecoderConfig& config, int64_t i, DecoderLayer& layer) {
  planner.norm(Part::kAttentionNorm, i, config.width, &layer.attention_norm);
  if (planner.find(Part::kQkv, i, ".weight")) {
    planner.linear(Part::kQkv, i, config.query_width() + 2 * config.kv_width(), config.width, &layer.qkv);
  } else {
    planner.linear(Part::kQuery, i, config.query_width(), config.width, &layer.query);
    planner.linear(Part::kKey, i, config.kv_width(), config.width, &layer.key);
    planner.linear(Part::kValue, i, config.kv_width(), config.width, &layer.value);
  }
  if (config.query_key_norm) {
    planner.norm(Part::kQueryNorm, i, config.head_dim, &layer.query_norm);
    planner.norm(Part::kKeyNorm, i, config.head_dim, &layer.key_norm);
  }
  planner.linear(Part::kAttentionOutput, i, config.width, config.query_width(), &layer.attention_output);
  if (config.post_norms) planner.norm(Part::kPostAttentionNorm, i, config.width, &layer.post_attention_norm);
}

void plan_mlp(WeightPlanner& planner, const DecoderConfig& config, int64_t i, DecoderLayer& layer) {
  planner.norm(Part::kMlpNorm, i, config.width, &layer.mlp_norm);
  layer.one_norm =
      planner.find(Part::kMlpNorm, i, ".weight") == planner.find(Part::kAttentionNorm, i, ".weight");
  if (config.mlp == MlpKind::kGated)
    planner.linear(Part::kGate, i, config.mlp_width, config.width, &layer.gate);
  planner.linear(Part::kUp, i, config.mlp_width, config.width, &layer.up);
  planner.linear(Part::kDown, i, config.width, config.mlp_width, &layer.down);
  if (config.post_norms) planner.norm(Part::kPostMlpNorm, i, config.width, &layer.post_mlp_norm);
}

}  // namespace

bool lies_as_multiplied(const PackStep& step) {
  return step.order == MatrixOrder::kOutIn && step.rows == QkvOrder::kConcatenated;
}

std::vector<std::byte> rows_as_multiplied(const Decoder::State& state, const PackStep& step) {
  const PackedMatrix& w = *step.matrix;
  const int64_t row_bytes = weights_bytes(w.format, w.k);
  const int64_t element = block_layout(w.format).bytes;
  std::vector<std::byte> rows(static_cast<size_t>(w.n * row_bytes));
  for (int64_t n = 0; n < w.n; ++n) {
    const int64_t from = step.rows == QkvOrder::kGrouped ? grouped_qkv_row(state.config, n) : n;
    std::byte* to = rows.data() + n * row_bytes;
    if (step.order == MatrixOrder::kOutIn) {
      std::memcpy(to, step.tensor->data + from * row_bytes, static_cast<size_t>(row_bytes));
    } else {
      for (int64_t k = 0; k < w.k; ++k)
        std::memcpy(to + k * element, step.tensor->data + (k * w.n + from) * element,
                    static_cast<size_t>(element));
    }
  }
  return rows;
}

void fill_vector(const Decoder::State& state, const PackStep& step, float* destination) {
  dequantize(step.tensor->format, step.tensor->data, step.count, destination);
  if (step.rows == QkvOrder::kGrouped) {
    const std::vector<float> grouped(destination, destination + step.count);
    for (int64_t i = 0; i < step.count; ++i) destination[i] = grouped[grouped_qkv_row(state.config, i)];
  }
  for (int64_t i = 0; i < step.count; ++i) destination[i] += step.add;
}

int64_t grouped_qkv_row(const DecoderConfig& config, int64_t row) {
  const int64_t heads_per_group = config.n_heads / config.n_kv_heads;
  const int64_t head = row / config.head_dim, component = row % config.head_dim;
  int64_t group, slot;
  if (head < config.n_heads) {
    group = head / heads_per_group;
    slot = head % heads_per_group;
  } else {
    const int64_t kv = head - config.n_heads;
    group = kv % config.n_kv_heads;
    slot = heads_per_group + kv / config.n_kv_heads;
  }
  return (group * (heads_per_group + 2) + slot) * config.head_dim + component;
}

std::string tensor_name(std::string_view prefix, std::string_view pattern, int64_t layer) {
  std::string name = std::string(prefix) + std::string(pattern);
  const size_t at = name.find("{}");
  if (at != std::string::npos) name.replace(at, 2, std::to_string(layer));
  return name;
}

Status plan_weights(Decoder::State& state) {
  WeightPlanner planner(state);
  DecoderConfig& config = state.config;
  state.token_embedding = planner.require(Part::kTokenEmbedding, 0, ".weight");
  if (!planner.status().ok()) return planner.status();
  const WeightTensor& embedding = *state.token_embedding;
  config.vocabulary = embedding.rank == 2 ? embedding.extents[0] : 1;
  if (!planner.expect_shape(embedding, {config.vocabulary, config.width})) return planner.status();

  if (config.learned_positions) {
    const WeightTensor* positions = planner.require(Part::kPositionEmbedding, 0, ".weight");
    if (positions && planner.expect_shape(*positions, {config.context_length, config.width})) {
      PackStep step;
      step.tensor = positions;
      step.vector = &state.position_embedding;
      step.count = config.context_length * config.width;
      step.offset = state.packed_bytes;
      state.packed_bytes += (step.count * 4 + kPackedAlignment - 1) / kPackedAlignment * kPackedAlignment;
      state.steps.push_back(step);
    }
  }
  state.layers.resize(static_cast<size_t>(config.n_layers));
  for (int64_t i = 0; i < config.n_layers && planner.status().ok(); ++i) {
    plan_attention(planner, config, i, state.layers[static_cast<size_t>(i)]);
    plan_mlp(planner, config, i, state.layers[static_cast<size_t>(i)]);
  }
  planner.norm(Part::kOutputNorm, 0, config.width, &state.output_norm);
  const WeightTensor* output = planner.find(Part::kOutput, 0, ".weight");
  // Without a matrix of its own the output is tied to the embedding.
  planner.matrix(output ? output : &embedding, MatrixOrder::kOutIn, QkvOrder::kConcatenated,
                 config.vocabulary, config.width, &state.output.w);
  planner.bias(Part::kOutput, 0, config.vocabulary, &state.output.bias);

  std::vector<float> divisors;
  if (const WeightTensor* tensor = planner.find(Part::kRopeDivisors, 0, ".weight")) {
    if (planner.expect_shape(*tensor, {config.rope.n_rotated / 2})) {
      divisors.resize(static_cast<size_t>(tensor->count()));
      dequantize(tensor->format, tensor->data, tensor->count(), divisors.data());
    }
  }
  planner.refuse_unused();
  if (!planner.status().ok()) return planner.status();
  if (config.rope.layout != RopeLayout::kNone) {
    state.frequencies.resize(static_cast<size_t>(config.rope.n_rotated / 2));
    state.rope_magnitude =
        rope_frequencies(config.rope, divisors.empty() ? nullptr : divisors.data(), state.frequencies.data());
    if (config.sliding_window > 0) {
      state.local_frequencies.resize(static_cast<size_t>(config.local_rope.n_rotated / 2));
      state.local_rope_magnitude =
          rope_frequencies(config.local_rope, nullptr, state.local_frequencies.data());
    }
  }
  return Status();
}

Status fill_packed(const Decoder::State& state, std::byte* destination, Executor executor) {
  for (const PackStep& step : state.steps) {
    std::byte* at = destination + step.offset;
    if (step.vector) {
      fill_vector(state, step, reinterpret_cast<float*>(at));
      continue;
    }
    const PackedMatrix& w = *step.matrix;
    state.file->will_read(*step.tensor);
    Status packed =
        lies_as_multiplied(step)
            ? pack_matrix(w.format, w.n, w.k, step.tensor->data, at, executor)
            : pack_matrix(w.format, w.n, w.k, rows_as_multiplied(state, step).data(), at, executor);
    if (!packed.ok()) return std::move(packed).at(state.file->where(*step.tensor));
    if (step.tensor != state.token_embedding) state.file->drop_pages(*step.tensor);
  }
  return Status();
}

}  // namespace weft
