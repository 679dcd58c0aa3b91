#include "plugins/science/bench_node.h"

#include <weft/sdk/measure.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "modalities/structure/structure_value.h"
#include "plugins/science/sequence_work.h"

namespace weft::science {
namespace {

constexpr weft_port kInputs[] = {sdk::port("structure", kStructureType, "The backbone.")};
constexpr weft_port kOutputs[] = {
    sdk::port("report", "json", "forward_s, sample_s, batch_s: medians; encode_s: what each begins with.")};
constexpr weft_parameter kParameters[] = {kModelParameter,
                                          sdk::parameter({.name = "batch",
                                                          .type = "int",
                                                          .default_json = "8",
                                                          .minimum = 1,
                                                          .maximum = 64,
                                                          .help = "Sequences of the batch."}),
                                          sdk::repetitions_parameter("5")};

class Bench {
 public:
  Bench(const sdk::Request& request, const sdk::Execution& execution, const ProteinMpnnModel& model)
      : request_(request), execution_(execution), model_(model) {}

  Status encode() {
    const Result<BackboneWork> work = BackboneWork::begin(request_, execution_, model_);
    return work.status();
  }
  Status forward() {
    Result<BackboneWork> work = BackboneWork::begin(request_, execution_, model_);
    if (!work.ok()) return work.status();
    const std::vector<uint8_t> designed(static_cast<size_t>(work->positions().count()), 1);
    std::vector<float> log_probabilities(designed.size() * kProteinTokens);
    return work->score(work->positions().tokens(), decoding_order(1, designed, {}), log_probabilities.data());
  }
  Status sample(int64_t n) {
    Result<BackboneWork> work = BackboneWork::begin(request_, execution_, model_);
    if (!work.ok()) return work.status();
    const auto count = static_cast<size_t>(work->positions().count());
    const std::vector<uint8_t> designed(count, 1);
    const std::vector<float> bias(count * kProteinTokens);
    std::vector<int32_t> tokens(count * static_cast<size_t>(n));
    std::vector<std::vector<int32_t>> orders;
    std::vector<SampledSequence> sequences;
    for (int64_t d = 0; d < n; ++d) orders.push_back(decoding_order(static_cast<uint64_t>(d), designed, {}));
    for (int64_t d = 0; d < n; ++d)
      sequences.push_back({.seed = static_cast<uint64_t>(d),
                           .order = orders[static_cast<size_t>(d)],
                           .tokens = tokens.data() + static_cast<size_t>(d) * count});
    return work->sample({.given = work->positions().tokens(), .designed = designed, .bias = bias}, sequences);
  }

 private:
  const sdk::Request& request_;
  const sdk::Execution& execution_;
  const ProteinMpnnModel& model_;
};

}  // namespace

Status BenchNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::bytes_spec(4096));
  return {};
}

Status BenchNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const int64_t batch = request.parameters().get_int("batch"),
                repetitions = request.parameters().get_int("repetitions");
  Bench bench(request, execution, model_);
  const auto seconds = sdk::median_seconds(
      request, repetitions, [&] { return bench.encode(); }, [&] { return bench.forward(); },
      [&] { return bench.sample(1); }, [&] { return bench.sample(batch); });
  if (!seconds.ok()) return seconds.status();
  const auto [encode_s, forward_s, sample_s, batch_s] = *seconds;
  const nlohmann::ordered_json report = {{"encode_s", encode_s}, {"forward_s", forward_s},
                                         {"sample_s", sample_s}, {"batch_s", batch_s},
                                         {"batch", batch},       {"repetitions", repetitions}};
  return request.set_output(0, request.host().make_json(report.dump()));
}

constexpr weft_node_type kBenchNode =
    sdk::node<BenchNode>({.name = "science.bench",
                          .help = "Measures how fast ProteinMPNN scores and designs here.",
                          .flags = WEFT_NODE_NONDETERMINISTIC,
                          .inputs = kInputs,
                          .outputs = kOutputs,
                          .parameters = kParameters});

}  // namespace weft::science
