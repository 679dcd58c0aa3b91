#include "plugins/science/design_node.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "modalities/structure/sequence_file.h"
#include "modalities/structure/structure_value.h"
#include "plugins/science/design_parameters.h"
#include "plugins/science/sequence_work.h"

namespace weft::science {
namespace {

constexpr weft_port kInputs[] = {sdk::port("structure", kStructureType, "The backbone.")};
enum Port : size_t { kSequence, kSequences, kScores, kRecovery, kProbabilities, kFasta };
constexpr weft_port kOutputs[] = {
    sdk::port("sequence", "text", "The sequence with the best score; chains joined by '/'."),
    sdk::port("sequences", "list<text>", "All, in the order of their seeds."),
    sdk::port("scores", "list<float>",
              "Mean negative log probability of the designed residues; lower is better."),
    sdk::port("recovery", "list<float>", "Share of designed residues that are the structure's own."),
    sdk::port("probabilities", "tensor",
              "f32 [sequences, positions, 21], of ACDEFGHIKLMNPQRSTVWYX, as residues were drawn; 0 where "
              "none was."),
    sdk::port("fasta", "text", "The structure's own sequence and all designs, with their scores.")};

// Sampled side by side; what more would save is little, and memory grows with them.
constexpr int64_t kAtOnce = 16;

struct Designs {
  std::vector<std::vector<int32_t>> tokens;
  std::vector<double> scores, recovery;
};

double share_recovered(const SequenceDesign& design, const std::vector<int32_t>& tokens) {
  int64_t same = 0, all = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (design.designed[i] == 0) continue;
    ++all;
    same += tokens[i] == design.given[i] ? 1 : 0;
  }
  return static_cast<double>(same) / static_cast<double>(all);
}

Status sample_all(BackboneWork& work, const DesignParameters& parameters, const SequenceDesign& design,
                  const sdk::Request& request, float* probabilities, Designs* designs) {
  const int64_t count = work.positions().count();
  std::vector<float> log_probabilities(static_cast<size_t>(count * kProteinTokens));
  designs->tokens.assign(static_cast<size_t>(parameters.n), std::vector<int32_t>(static_cast<size_t>(count)));
  for (int64_t begin = 0; begin < parameters.n; begin += kAtOnce) {
    const int64_t end = std::min(begin + kAtOnce, parameters.n);
    std::vector<std::vector<int32_t>> orders;
    std::vector<SampledSequence> sequences;
    for (int64_t d = begin; d < end; ++d)
      orders.push_back(decoding_order(seed_of_sequence(parameters.seed, d), design.designed, design.groups));
    for (int64_t d = begin; d < end; ++d)
      sequences.push_back({.seed = seed_of_sequence(parameters.seed, d),
                           .order = orders[static_cast<size_t>(d - begin)],
                           .tokens = designs->tokens[static_cast<size_t>(d)].data(),
                           .probabilities = probabilities + d * count * kProteinTokens});
    if (Status sampled = work.sample(design, sequences); !sampled.ok()) return sampled;
    for (int64_t d = begin; d < end; ++d) {
      const std::vector<int32_t>& tokens = designs->tokens[static_cast<size_t>(d)];
      if (Status scored =
              work.score(tokens, orders[static_cast<size_t>(d - begin)], log_probabilities.data());
          !scored.ok())
        return scored;
      designs->scores.push_back(
          mean_score(work.positions(), tokens.data(), log_probabilities.data(), design.designed));
      designs->recovery.push_back(share_recovered(design, tokens));
    }
    request.progress(end, parameters.n, "sequences");
  }
  return {};
}

std::string fasta_of(const BackbonePositions& positions, const Designs& designs) {
  std::vector<NamedSequence> all = {{"structure", positions.text_of(positions.tokens().data())}};
  for (size_t d = 0; d < designs.tokens.size(); ++d) {
    char name[96];
    std::snprintf(name, sizeof name, "design_%zu score=%.4f recovery=%.4f", d + 1, designs.scores[d],
                  designs.recovery[d]);
    all.push_back({name, positions.text_of(designs.tokens[d].data())});
  }
  return to_fasta(all);
}

Result<sdk::Value> list_of(const sdk::Host& host, const std::vector<double>& numbers) {
  std::vector<sdk::Value> items;
  for (const double number : numbers) {
    Result<sdk::Value> item = host.make_float(number);
    if (!item.ok()) return item.status();
    items.push_back(*std::move(item));
  }
  return host.make_list(items, "float");
}

Status set_outputs(const sdk::Request& request, const BackbonePositions& positions, const Designs& designs,
                   const sdk::NewTensor& probabilities) {
  const sdk::Host host = request.host();
  std::vector<sdk::Value> texts;
  for (const std::vector<int32_t>& tokens : designs.tokens) {
    Result<sdk::Value> text = host.make_text(positions.text_of(tokens.data()));
    if (!text.ok()) return text.status();
    texts.push_back(*std::move(text));
  }
  const auto best = std::min_element(designs.scores.begin(), designs.scores.end()) - designs.scores.begin();
  const std::pair<size_t, Result<sdk::Value>> outputs[] = {
      {kSequence, texts[static_cast<size_t>(best)]},
      {kSequences, host.make_list(texts, "text")},
      {kScores, list_of(host, designs.scores)},
      {kRecovery, list_of(host, designs.recovery)},
      {kProbabilities, host.make_tensor(probabilities.buffer, probabilities.view)},
      {kFasta, host.make_text(fasta_of(positions, designs))}};
  for (const auto& [port, value] : outputs)
    if (Status set = request.set_output(port, value); !set.ok()) return set;
  return {};
}

}  // namespace

Status DesignSequenceNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(kSequence, sdk::bytes_spec(WEFT_UNBOUNDED));
  plan.set_output(kSequences, sdk::list_spec(WEFT_UNBOUNDED, WEFT_UNBOUNDED));
  for (const size_t port : {kScores, kRecovery}) plan.set_output(port, sdk::list_spec(WEFT_UNBOUNDED, 8));
  const int64_t shape[] = {WEFT_UNBOUNDED, WEFT_UNBOUNDED, kProteinTokens};
  plan.set_output(kProbabilities, sdk::tensor_spec(WEFT_DTYPE_F32, shape));
  plan.set_output(kFasta, sdk::bytes_spec(WEFT_UNBOUNDED));
  plan.set_cost_seconds(0.1 + 0.02 * static_cast<double>(n_));  // of 200 residues
  return {};
}

Status DesignSequenceNode::run(sdk::Request& request, const sdk::Execution& execution) {
  DesignParameters parameters = DesignParameters::of(request.parameters());
  Result<BackboneWork> work = BackboneWork::begin(request, execution, model_);
  if (!work.ok()) return work.status();
  const BackbonePositions& positions = work->positions();
  const Result<SequenceDesign> design = parameters.apply_to(positions);
  if (!design.ok()) return design.status();
  const int64_t shape[] = {parameters.n, positions.count(), kProteinTokens};
  Result<sdk::NewTensor> probabilities =
      request.host().allocate_tensor(WEFT_DTYPE_F32, shape, execution.stream(), "probabilities");
  if (!probabilities.ok()) return probabilities.status();
  Designs designs;
  if (Status done = sample_all(*work, parameters, *design, request, probabilities->data<float>(), &designs);
      !done.ok())
    return done;
  return set_outputs(request, positions, designs, *probabilities);
}

constexpr weft_node_type kDesignSequenceNode =
    sdk::node<DesignSequenceNode>({.name = "science.design_sequence",
                                   .help = "Designs sequences for a protein's backbone with ProteinMPNN.",
                                   .flags = WEFT_NODE_PURE,
                                   .inputs = kInputs,
                                   .outputs = kOutputs,
                                   .parameters = kDesignParameters});

}  // namespace weft::science
