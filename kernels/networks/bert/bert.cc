#include "kernels/networks/bert/bert.h"

#include "kernels/networks/bert/bert_state.h"

namespace weft {
namespace {

EncoderShape shape_of(const BertConfig& c) {
  return {.width = c.width,
          .n_heads = c.n_heads,
          .mlp_width = c.mlp_width,
          .activation = c.activation,
          .epsilon = c.epsilon,
          .norms = NormPlace::kAfter,
          .mask = AttentionMask::kNone};
}

// What the forward pass relies on, whatever a configuration says.
Status check(const BertConfig& c, DType compute) {
  if (Status valid = check_encoder(shape_of(c), c.n_layers, compute, "a BERT encoder"); !valid.ok())
    return valid;
  constexpr int64_t kMostRows = int64_t{1} << 24, kMostPositions = 1 << 20;
  if (c.vocabulary < 1 || c.vocabulary > kMostRows || c.n_positions > kMostPositions ||
      c.first_position < 0 || c.longest_text() < 1 || c.n_types < 1 || c.n_types > kMostRows)
    return Status(StatusCode::kInvalidArgument, "the tables of a BERT encoder are out of range")
        .got(std::to_string(c.vocabulary) + " tokens, " + std::to_string(c.n_positions) +
             " positions, the first of them " + std::to_string(c.first_position) + ", " +
             std::to_string(c.n_types) + " types");
  return Status();
}

// Binds every layer to its tensors: names as in transformers' BertModel.
void plan_bert(Bert::State& s) {
  const BertConfig& c = s.config;
  WeightPlan& plan = *s.plan;
  plan.table("embeddings.word_embeddings.weight", c.vocabulary, c.width, &s.token_embedding);
  plan.values("embeddings.position_embeddings.weight", {c.n_positions, c.width}, &s.position_embedding);
  plan.values("embeddings.token_type_embeddings.weight", {c.n_types, c.width}, &s.type_embedding);
  plan.layer_norm("embeddings.LayerNorm", c.width, c.epsilon, &s.embedding_norm);
  for (const char* buffer : {"embeddings.position_ids", "embeddings.token_type_ids"}) plan.ignore(buffer);
  s.layers.resize(static_cast<size_t>(c.n_layers));
  for (size_t i = 0; i < s.layers.size(); ++i) {
    const std::string name = "encoder.layer." + std::to_string(i), attention = name + ".attention";
    const EncoderLayerNames names = {.query = attention + ".self.query",
                                     .key = attention + ".self.key",
                                     .value = attention + ".self.value",
                                     .out = attention + ".output.dense",
                                     .attention_norm = attention + ".output.LayerNorm",
                                     .up = name + ".intermediate.dense",
                                     .down = name + ".output.dense",
                                     .mlp_norm = name + ".output.LayerNorm"};
    plan_encoder_layer(plan, names, s.shape, &s.layers[i]);
  }
  if (c.head == BertHead::kWords) {
    plan.dense({"cls.predictions.transform.dense"}, c.width, c.width, BiasTensor::kRequired,
               &s.word_transform);
    plan.layer_norm("cls.predictions.transform.LayerNorm", c.width, c.epsilon, &s.word_norm);
    plan.dense({"cls.predictions.decoder"}, c.vocabulary, c.width, BiasTensor::kRequired, &s.word_decoder);
  }
}

}  // namespace

Bert::Bert(std::unique_ptr<State> state) : state_(std::move(state)) {}
Bert::Bert(Bert&&) noexcept = default;
Bert& Bert::operator=(Bert&&) noexcept = default;
Bert::~Bert() = default;

Result<Bert> Bert::open(WeightSource source, const BertConfig& config, DType compute) {
  if (Status valid = check(config, compute); !valid.ok()) return valid;
  auto state = std::make_unique<State>();
  state->config = config;
  state->shape = shape_of(config);
  state->compute = compute;
  state->source = std::move(source);
  state->plan.emplace(state->source, compute);
  plan_bert(*state);
  if (Status fits = state->plan->check("BERT encoder"); !fits.ok()) return fits;
  return Bert(std::move(state));
}

const BertConfig& Bert::config() const { return state_->config; }
DType Bert::compute() const { return state_->compute; }
int64_t Bert::packed_weights_bytes() const { return state_->plan->packed_bytes(); }
int64_t Bert::device_weights_bytes() const { return state_->plan->device_bytes(); }
int64_t Bert::mapped_bytes() const {
  return static_cast<int64_t>(state_->token_embedding.in_file->tensor->size_bytes);
}
int64_t Bert::parameters() const { return state_->plan->parameters(); }
bool Bert::loaded() const { return state_->weights.loaded(); }
void Bert::unload() { state_->weights.unload(); }

Status Bert::load(PackedWeightStore& store, std::string_view source_key, Executor executor,
                  const StopRequest& stop) {
  return state_->weights.load(*state_->plan, store, source_key, executor, stop);
}

Status Bert::load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop,
                     DeviceBuffer memory) {
  return state_->weights.load_on(*state_->plan, stream, executor, stop, std::move(memory));
}

}  // namespace weft
