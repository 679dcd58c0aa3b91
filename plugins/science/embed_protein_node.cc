#include "plugins/science/embed_protein_node.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/ops/softmax/softmax.h"
#include "plugins/science/protein_bert_pass.h"
#include "plugins/science/request_sequences.h"

namespace weft::science {
namespace {

enum In : size_t { kSequence, kSequences };
constexpr weft_port kInputs[] = {
    sdk::optional_port("sequence", "text", "One chain, a letter a residue; '_' is one to be guessed."),
    sdk::optional_port("sequences", "list<text>", "Many; after the sequence, if both are there.")};
enum Out : size_t { kEmbedding, kEmbeddings, kPooled, kLogLikelihood, kLogLikelihoods, kByResidue };
constexpr weft_port kOutputs[] = {
    sdk::port("embedding", "tensor", "f32 [residues, width]: the first sequence's final hidden states."),
    sdk::port("embeddings", "list<tensor>", "All of them."),
    sdk::port("pooled", "tensor", "f32 [sequences, width]: the mean over each sequence's residues."),
    sdk::port("log_likelihood", "float",
              "The first sequence's: the mean over its residues, in nats; higher is likelier."),
    sdk::port("log_likelihoods", "list<float>", "All of them."),
    sdk::port("residue_log_likelihoods", "list<tensor>",
              "f32 [residues] of each sequence; NaN where it has X or '_'.")};

constexpr const char* kLikelihoods[] = {"seen", "masked", nullptr};
constexpr weft_parameter kParameters[] = {
    kProteinBertParameter,
    sdk::parameter(
        {.name = "likelihoods",
         .type = "choice",
         .default_json = "\"seen\"",
         .choices = kLikelihoods,
         .help = "seen: of each residue in one pass that sees all of them. masked: of each while it alone "
                 "is hidden (the pseudo log-likelihood), a pass for each.",
         .flags = WEFT_PARAMETER_PER_REQUEST})};

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

/// One sequence, and where its results go.
struct Reading {
  std::vector<TokenId> tokens;  // with one before and one behind
  sdk::NewTensor embedding, likelihoods;
  int64_t residues() const { return static_cast<int64_t>(tokens.size()) - 2; }
};

class Reader {
 public:
  Reader(const sdk::Request& request, const sdk::Execution& execution, const ProteinBertModel& model)
      : model_(model),
        pass_(model.network(), {static_cast<std::byte*>(execution.workspace()), execution.workspace_bytes()},
              request.host().executor(), stop_of(request)) {}

  /// Hidden states of all residues, and likelihoods of those that are seen.
  Status read(std::span<Reading> readings, float* pooled) {
    const int64_t width = model_.network().config().width;
    const auto take = [&](size_t i, size_t slot) {
      const Reading& reading = readings[i];
      const int64_t residues = reading.residues();
      const float* states = pass_.hidden(slot) + width;
      std::copy_n(states, residues * width, reading.embedding.data<float>());
      float* mean = pooled + static_cast<int64_t>(i) * width;
      std::fill_n(mean, width, 0.0F);
      for (int64_t r = 0; r < residues; ++r)
        for (int64_t c = 0; c < width; ++c) mean[c] += states[r * width + c];
      for (int64_t c = 0; c < width; ++c) mean[c] /= static_cast<float>(residues);
      for (int64_t r = 0; r < residues; ++r)
        reading.likelihoods.data<float>()[r] = likelihood(reading, r, pass_.words(slot));
    };
    return in_passes(
        readings.size(), [&](size_t i) { return readings[i].tokens; }, take);
  }

  /// Likelihoods of residues that are hidden one at a time.
  Status hide_each(const Reading& reading) {
    const auto hidden = [&](size_t r) {
      std::vector<TokenId> tokens = reading.tokens;
      tokens[r + 1] = model_.mask();
      return tokens;
    };
    return in_passes(static_cast<size_t>(reading.residues()), hidden, [&](size_t r, size_t slot) {
      reading.likelihoods.data<float>()[r] = likelihood(reading, static_cast<int64_t>(r), pass_.words(slot));
    });
  }

 private:
  /// Runs `count` sequences, tokens(i), in passes as full as they get; then take(i, its place in the pass).
  template <typename Tokens, typename Take>
  Status in_passes(size_t count, Tokens tokens, Take take) {
    for (size_t next = 0; next < count;) {
      pass_.clear();
      const size_t first = next;
      for (; next < count; ++next) {
        const std::vector<TokenId> sequence = tokens(next);
        if (!pass_.has_room(sequence.size())) break;
        pass_.add(sequence);
      }
      if (Status ran = pass_.run(); !ran.ok()) return ran;
      for (size_t i = first; i < next; ++i) take(i, i - first);
    }
    return {};
  }

  // ln p(residue) among the 20, from logits [tokens, vocabulary] of the whole sequence.
  float likelihood(const Reading& reading, int64_t residue, const float* words) const {
    const float* logits = words + (residue + 1) * model_.network().config().vocabulary;
    const TokenId own = reading.tokens[static_cast<size_t>(residue) + 1];
    const std::vector<TokenId>& all = model_.residues();
    if (std::find(all.begin(), all.end(), own) == all.end()) return kNone;
    std::vector<float> among;
    for (const TokenId token : all) among.push_back(logits[token]);
    return static_cast<float>(logits[own] - log_sum_exp(among));
  }

  const ProteinBertModel& model_;
  ProteinBertPass pass_;
};

Result<std::vector<Reading>> readings_of(const sdk::Request& request, const sdk::Execution& execution,
                                         const ProteinBertModel& model) {
  std::vector<Reading> all;
  const auto add = [&](std::string_view text) -> Status {
    Result<std::vector<TokenId>> tokens = model.tokens_of(text);
    if (!tokens.ok()) return tokens.status();
    Reading reading{.tokens = *std::move(tokens), .embedding = {}, .likelihoods = {}};
    const int64_t shape[] = {reading.residues(), model.network().config().width};
    const std::span<const int64_t> of_residues(shape);
    for (const auto& [tensor, extents, tag] :
         {std::tuple{&reading.embedding, of_residues, "embedding"},
          std::tuple{&reading.likelihoods, of_residues.first(1), "likelihoods"}}) {
      Result<sdk::NewTensor> made =
          request.host().allocate_tensor(WEFT_DTYPE_F32, extents, execution.stream(), tag);
      if (!made.ok()) return made.status();
      *tensor = *std::move(made);
    }
    all.push_back(std::move(reading));
    return {};
  };
  if (Status added = for_each_sequence(request, kSequence, kSequences, add); !added.ok()) return added;
  if (all.empty())
    return Status(StatusCode::kInvalidArgument, "there is no sequence")
        .at("ports 'sequence' and 'sequences'");
  return all;
}

double mean_likelihood(const Reading& reading) {
  double sum = 0;
  int64_t n = 0;
  for (int64_t r = 0; r < reading.residues(); ++r)
    if (const float one = reading.likelihoods.data<float>()[r]; !std::isnan(one)) sum += one, ++n;
  return n > 0 ? sum / static_cast<double>(n) : 0;
}

Status set_outputs(const sdk::Request& request, std::span<const Reading> readings,
                   const sdk::NewTensor& pooled) {
  const sdk::Host host = request.host();
  std::vector<sdk::Value> embeddings, means, by_residue;
  for (const Reading& reading : readings)
    for (auto& [list, value] :
         {std::pair{&embeddings, host.make_tensor(reading.embedding.buffer, reading.embedding.view)},
          std::pair{&means, host.make_float(mean_likelihood(reading))},
          std::pair{&by_residue, host.make_tensor(reading.likelihoods.buffer, reading.likelihoods.view)}}) {
      if (!value.ok()) return value.status();
      list->push_back(*value);
    }
  const std::pair<size_t, Result<sdk::Value>> outputs[] = {
      {kEmbedding, embeddings.front()},
      {kEmbeddings, host.make_list(embeddings, "tensor")},
      {kPooled, host.make_tensor(pooled.buffer, pooled.view)},
      {kLogLikelihood, means.front()},
      {kLogLikelihoods, host.make_list(means, "float")},
      {kByResidue, host.make_list(by_residue, "tensor")}};
  for (const auto& [port, value] : outputs)
    if (Status set = request.set_output(port, value); !set.ok()) return set;
  return {};
}

}  // namespace

Status EmbedProteinNode::prepare(sdk::Specs, sdk::Plan plan) {
  const BertConfig& c = model_.network().config();
  const int64_t longest = c.longest_text() - 2;
  const int64_t one[] = {longest, c.width}, all[] = {WEFT_UNBOUNDED, c.width};
  plan.set_output(kEmbedding, sdk::tensor_spec(WEFT_DTYPE_F32, one));
  plan.set_output(kEmbeddings, sdk::list_spec(WEFT_UNBOUNDED, longest * c.width * 4));
  plan.set_output(kPooled, sdk::tensor_spec(WEFT_DTYPE_F32, all));
  plan.set_output(kLogLikelihood, sdk::spec(WEFT_KIND_FLOAT));
  plan.set_output(kLogLikelihoods, sdk::list_spec(WEFT_UNBOUNDED, 8));
  plan.set_output(kByResidue, sdk::list_spec(WEFT_UNBOUNDED, longest * 4));
  plan.set_workspace_bytes(static_cast<uint64_t>(
      ProteinBertPass::workspace_bytes(model_.network(), host_.executor().max_threads())));
  return {};
}

Status EmbedProteinNode::run(sdk::Request& request, const sdk::Execution& execution) {
  Result<std::vector<Reading>> readings = readings_of(request, execution, model_);
  if (!readings.ok()) return readings.status();
  const int64_t shape[] = {static_cast<int64_t>(readings->size()), model_.network().config().width};
  Result<sdk::NewTensor> pooled =
      request.host().allocate_tensor(WEFT_DTYPE_F32, shape, execution.stream(), "pooled");
  if (!pooled.ok()) return pooled.status();
  Reader reader(request, execution, model_);
  if (Status read = reader.read(*readings, pooled->data<float>()); !read.ok()) return read;
  if (request.parameters().get_text("likelihoods") == "masked")
    for (size_t i = 0; i < readings->size(); ++i) {
      if (Status hid = reader.hide_each((*readings)[i]); !hid.ok()) return hid;
      request.progress(static_cast<int64_t>(i) + 1, static_cast<int64_t>(readings->size()), "sequences");
    }
  return set_outputs(request, *readings, *pooled);
}

constexpr weft_node_type kEmbedProteinNode = sdk::node<EmbedProteinNode>(
    {.name = "science.embed_protein",
     .help = "Turns sequences into vectors and likelihoods with a language model of proteins.",
     .flags = WEFT_NODE_PURE,
     .inputs = kInputs,
     .outputs = kOutputs,
     .parameters = kParameters});

}  // namespace weft::science
