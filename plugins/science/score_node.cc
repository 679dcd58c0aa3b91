#include "plugins/science/score_node.h"

#include <algorithm>
#include <string>
#include <vector>

#include "modalities/structure/structure_value.h"
#include "plugins/science/design_parameters.h"
#include "plugins/science/request_sequences.h"
#include "plugins/science/sequence_work.h"

namespace weft::science {
namespace {

enum In : size_t { kStructure, kSequence, kSequences };
constexpr weft_port kInputs[] = {
    sdk::port("structure", kStructureType, "The backbone."),
    sdk::optional_port("sequence", "text", "One sequence, its chains joined by '/'."),
    sdk::optional_port("sequences", "list<text>",
                       "Many; after the sequence, if both are there. Without any, the structure's own.")};
enum Out : size_t { kScore, kScores, kLogProbabilities };
constexpr weft_port kOutputs[] = {
    sdk::port("score", "float", "The first sequence's: mean negative log probability; lower is better."),
    sdk::port("scores", "list<float>", "All of them."),
    sdk::port("log_probabilities", "tensor",
              "f32 [sequences, positions, 21], of ACDEFGHIKLMNPQRSTVWYX; the mean over orders.")};

constexpr uint32_t kPerRequest = WEFT_PARAMETER_PER_REQUEST;
constexpr weft_parameter kParameters[] = {
    kModelParameter,
    sdk::parameter({.name = "orders",
                    .type = "int",
                    .default_json = "1",
                    .minimum = 1,
                    .maximum = 1024,
                    .help = "Orders of decoding that scores are the mean of.",
                    .flags = kPerRequest}),
    sdk::parameter({.name = "seed", .type = "seed", .help = "Of the orders.", .flags = kPerRequest}),
    sdk::parameter({.name = "chains",
                    .type = "list<text>",
                    .default_json = "[]",
                    .help = "Chains that count; the others are seen. Empty: all.",
                    .flags = kPerRequest})};

Result<std::vector<std::vector<int32_t>>> sequences_of(const sdk::Request& request,
                                                       const BackbonePositions& positions) {
  std::vector<std::vector<int32_t>> all;
  Status added = for_each_sequence(request, kSequence, kSequences, [&](std::string_view text) -> Status {
    Result<std::vector<int32_t>> tokens = positions.tokens_of(text);
    if (tokens.ok()) all.push_back(*std::move(tokens));
    return tokens.status();
  });
  if (!added.ok()) return added;
  if (all.empty()) all.push_back(positions.tokens());
  return all;
}

}  // namespace

Status ScoreSequenceNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(kScore, sdk::spec(WEFT_KIND_FLOAT));
  plan.set_output(kScores, sdk::list_spec(WEFT_UNBOUNDED, 8));
  const int64_t shape[] = {WEFT_UNBOUNDED, WEFT_UNBOUNDED, kProteinTokens};
  plan.set_output(kLogProbabilities, sdk::tensor_spec(WEFT_DTYPE_F32, shape));
  plan.set_cost_seconds(0.1);
  return {};
}

Status ScoreSequenceNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Parameters parameters = request.parameters();
  const std::vector<std::string> chains = sdk::text_list(parameters, "chains");
  Result<BackboneWork> work = BackboneWork::begin(request, execution, model_);
  if (!work.ok()) return work.status();
  const BackbonePositions& positions = work->positions();
  const Result<std::vector<uint8_t>> counted = positions_of_chains(positions, chains);
  if (!counted.ok()) return counted.status();
  const Result<std::vector<std::vector<int32_t>>> sequences = sequences_of(request, positions);
  if (!sequences.ok()) return sequences.status();

  const int64_t n_orders = parameters.get_int("orders"), count = positions.count();
  const auto seed = static_cast<uint64_t>(parameters.get_int("seed"));
  const int64_t shape[] = {static_cast<int64_t>(sequences->size()), count, kProteinTokens};
  const sdk::Host host = request.host();
  Result<sdk::NewTensor> means =
      host.allocate_tensor(WEFT_DTYPE_F32, shape, execution.stream(), "log probabilities");
  if (!means.ok()) return means.status();
  std::vector<float> one(static_cast<size_t>(count * kProteinTokens));
  std::vector<sdk::Value> scores;
  for (size_t s = 0; s < sequences->size(); ++s) {
    float* mean = means->data<float>() + static_cast<int64_t>(s) * count * kProteinTokens;
    std::fill_n(mean, one.size(), 0.0F);
    double score = 0;
    for (int64_t o = 0; o < n_orders; ++o) {
      const std::vector<int32_t> order = decoding_order(seed_of_sequence(seed, o), *counted, {});
      if (Status scored = work->score((*sequences)[s], order, one.data()); !scored.ok()) return scored;
      score +=
          mean_score(positions, (*sequences)[s].data(), one.data(), *counted) / static_cast<double>(n_orders);
      for (size_t i = 0; i < one.size(); ++i) mean[i] += one[i] / static_cast<float>(n_orders);
    }
    Result<sdk::Value> value = host.make_float(score);
    if (!value.ok()) return value.status();
    scores.push_back(*std::move(value));
    request.progress(static_cast<int64_t>(s) + 1, static_cast<int64_t>(sequences->size()), "sequences");
  }
  if (Status set = request.set_output(kScore, scores.front()); !set.ok()) return set;
  if (Status set = request.set_output(kScores, host.make_list(scores, "float")); !set.ok()) return set;
  return request.set_output(kLogProbabilities, host.make_tensor(means->buffer, means->view));
}

constexpr weft_node_type kScoreSequenceNode =
    sdk::node<ScoreSequenceNode>({.name = "science.score_sequence",
                                  .help = "Scores sequences on a protein's backbone with ProteinMPNN.",
                                  .flags = WEFT_NODE_PURE,
                                  .inputs = kInputs,
                                  .outputs = kOutputs,
                                  .parameters = kParameters});

}  // namespace weft::science
