#include "plugins/science/bench_node.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "modalities/structure/structure_value.h"
#include "plugins/science/sequence_work.h"

namespace weft::science {
namespace {

using Clock = std::chrono::steady_clock;

constexpr weft_port kInputs[] = {sdk::port("structure", kStructureType, "The backbone.")};
constexpr weft_port kOutputs[] = {
    sdk::port("report", "json", "forward_s, sample_s, batch_s: medians; encode_s: what each begins with.")};
constexpr weft_parameter kParameters[] = {
    kModelParameter,
    sdk::parameter({.name = "batch",
                    .type = "int",
                    .default_json = "8",
                    .minimum = 1,
                    .maximum = 64,
                    .help = "Sequences of the batch."}),
    sdk::parameter({.name = "repetitions",
                    .type = "int",
                    .default_json = "5",
                    .minimum = 1,
                    .maximum = 1000,
                    .help = "The median of so many measurements is reported."})};

double median(std::vector<double> seconds) {
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

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
  std::vector<double> seconds[4];
  for (int64_t i = 0; i <= repetitions; ++i) {  // the first one fills the caches
    for (size_t what = 0; what < 4; ++what) {
      const Clock::time_point start = Clock::now();
      const Status done = what == 0   ? bench.encode()
                          : what == 1 ? bench.forward()
                                      : bench.sample(what == 2 ? 1 : batch);
      if (!done.ok()) return done;
      if (i > 0) seconds[what].push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    request.progress(i, repetitions, "repetitions");
  }
  const nlohmann::ordered_json report = {{"encode_s", median(seconds[0])},
                                         {"forward_s", median(seconds[1])},
                                         {"sample_s", median(seconds[2])},
                                         {"batch_s", median(seconds[3])},
                                         {"batch", batch},
                                         {"repetitions", repetitions}};
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
