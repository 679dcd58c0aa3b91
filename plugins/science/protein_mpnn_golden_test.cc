// ProteinMPNN's real weights against its own code, on ten structures: scripts/make_golden/protein_mpnn.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "kernels/networks/testing/golden.h"
#include "kernels/testing/workspace.h"
#include "modalities/structure/structure_file.h"
#include "modalities/weights/testing/fetched_model.h"
#include "plugins/science/design_parameters.h"
#include "plugins/science/sequence_work.h"

namespace weft::science {
namespace {

using ::weft::testing::demand;
using ::weft::testing::GoldenTensors;
using ::weft::testing::take;
using ::weft::testing::Workspace;

constexpr const char* kStructures[] = {"1A8O", "2BEG", "1AS5", "1LCD", "4CUP",
                                       "1A7G", "1GBT", "3JQH", "2N0N", "4ZHL"};
constexpr const char* kFamilies[] = {"vanilla", "soluble", "ca"};
const std::string kGolden = "assets/golden/protein_mpnn";

const GoldenTensors& expected() {
  static const GoldenTensors tensors(kGolden);
  return tensors;
}

// The original sorts chains; Weft leaves them as the file has them.
Structure in_order_of_names(const std::string& name) {
  Structure structure = take(read_structure(kGolden + "/" + name + ".pdb"));
  std::sort(structure.chains.begin(), structure.chains.end(),
            [](const Chain& a, const Chain& b) { return a.name < b.name; });
  return structure;
}

// A structure encoded by a family's weights.
struct Encoded {
  Encoded(const std::string& structure, const std::string& family)
      : file(take(WeightFile::open(weft::testing::fetched_model("proteinmpnn/" + family + "_020.pt")))),
        network(take(ProteinMpnn::open(file))),
        positions(take(BackbonePositions::make(in_order_of_names(structure), family == "ca"))) {
    demand(network.load(threads.executor()));
    memory.emplace(network.encoding_bytes(positions.count()));
    Workspace scratch(network.encoding_scratch_bytes(positions.count(), 2));
    encoding = take(network.encode(positions.backbone(), memory->span(), scratch.span(), threads.executor()));
  }
  std::vector<float> score(const std::vector<int32_t>& tokens, std::span<const int32_t> order) const {
    std::vector<float> result(tokens.size() * kProteinTokens, NAN);
    Workspace scratch(network.scoring_scratch_bytes(positions.count(), 2));
    demand(network.score(encoding, tokens, order, result.data(), scratch.span(), threads.executor()));
    return result;
  }
  std::vector<int32_t> sample(const SequenceDesign& design, std::span<const int32_t> order) const {
    std::vector<int32_t> tokens(static_cast<size_t>(positions.count()), -1);
    const SampledSequence one{.order = order, .tokens = tokens.data()};
    Workspace scratch(network.sampling_scratch_bytes(positions.count(), 1, 2));
    demand(network.sample(encoding, design, {&one, 1}, scratch.span(), threads.executor()));
    return tokens;
  }

  weft::testing::Threads threads{2};
  WeightFile file;
  ProteinMpnn network;
  BackbonePositions positions;
  std::optional<Workspace> memory;
  BackboneEncoding encoding;
};

class ProteinMpnnGolden : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  void SetUp() override {
    if (weft::testing::fetched_model("proteinmpnn/ca_020.pt").empty())
      GTEST_SKIP()
          << "skipped: no proteinmpnn in WEFT_MODELS or the data folder (scripts/fetch_models proteinmpnn)";
  }
  std::string structure() const { return std::get<0>(GetParam()); }
  std::string family() const { return std::get<1>(GetParam()); }
  template <typename T>
  std::vector<T> golden(const std::string& name) const {
    const std::span<const T> values = expected().span<T>((structure() + "." + name).c_str());
    return {values.begin(), values.end()};
  }
};

TEST_P(ProteinMpnnGolden, AgreesWithTheOriginal) {
  const Encoded encoded(structure(), family());
  const int64_t count = encoded.positions.count(), k = encoded.encoding.n_neighbours;
  const std::vector<int32_t> order = golden<int32_t>(family() + ".order"),
                             sequence = golden<int32_t>("sequence");
  ASSERT_EQ(encoded.positions.tokens(), sequence);
  const std::vector<int8_t> mask = golden<int8_t>(family() + ".mask");
  const std::vector<int16_t> neighbours =
      golden<int16_t>((family() == "ca" ? "ca" : "vanilla") + std::string(".neighbours"));
  ASSERT_EQ(static_cast<int64_t>(neighbours.size()), count * k);
  for (int64_t i = 0; i < count; ++i) {
    if (mask[static_cast<size_t>(i)] == 0) continue;
    for (int64_t j = 0; j < k; ++j) {
      const auto at = static_cast<size_t>(i * k + j);
      // Neighbours without atoms are as far as the farthest: their order is nobody's.
      const auto of_mask = [&](int64_t neighbour) { return mask[static_cast<size_t>(neighbour)]; };
      if (of_mask(neighbours[at]) == 0 || of_mask(encoded.encoding.neighbours[at]) == 0) continue;
      ASSERT_EQ(encoded.encoding.neighbours[at], neighbours[at])
          << encoded.positions.label(i) << ", neighbour " << j;
    }
  }
  const std::vector<float> scores = encoded.score(sequence, order),
                           want = golden<float>(family() + ".log_probs");
  ASSERT_EQ(scores.size(), want.size());
  double largest = 0;
  for (size_t i = 0; i < want.size(); ++i)
    if (mask[i / kProteinTokens] != 0)
      largest = std::max(largest, static_cast<double>(std::abs(scores[i] - want[i])));
  EXPECT_LT(largest, 2e-4);
  const std::vector<uint8_t> all(static_cast<size_t>(count), 1);
  EXPECT_NEAR(mean_score(encoded.positions, sequence.data(), scores.data(), all),
              golden<float>(family() + ".score")[0], 1e-4);

  DesignParameters parameters;
  parameters.omit = "X";
  parameters.temperature = 0;
  const SequenceDesign design = take(parameters.apply_to(encoded.positions));
  EXPECT_EQ(encoded.sample(design, order), golden<int32_t>(family() + ".greedy"));
}

INSTANTIATE_TEST_SUITE_P(Structures, ProteinMpnnGolden,
                         ::testing::Combine(::testing::ValuesIn(kStructures), ::testing::ValuesIn(kFamilies)),
                         [](const auto& of) {
                           return std::string(std::get<0>(of.param)) + "_" + std::get<1>(of.param);
                         });

class ProteinMpnnSettings : public ProteinMpnnGolden {
 protected:
  void expect_case(const std::string& name, DesignParameters parameters) {
    const Encoded encoded("2BEG", "vanilla");
    parameters.temperature = 0;
    const SequenceDesign design = take(parameters.apply_to(encoded.positions));
    const std::vector<int32_t> order = golden<int32_t>(name + ".order");
    const std::vector<int32_t> tokens = encoded.sample(design, order);
    EXPECT_EQ(tokens, golden<int32_t>(name + ".greedy"));
    const std::vector<float> scores = encoded.score(tokens, order);
    EXPECT_NEAR(mean_score(encoded.positions, tokens.data(), scores.data(), design.designed),
                golden<float>(name + ".score")[0], 1e-4);
  }
};

TEST_P(ProteinMpnnSettings, TiesPositions) {
  DesignParameters parameters;
  parameters.chains = {"A", "B"};
  parameters.omit = "X";
  parameters.tied = {"A = B"};
  expect_case("tied", parameters);
}

TEST_P(ProteinMpnnSettings, FixesPositionsAndOmitsResidues) {
  const Encoded encoded("2BEG", "vanilla");
  const PositionsOfChain &b = *encoded.positions.find_chain("B"), &d = *encoded.positions.find_chain("D");
  DesignParameters parameters;
  parameters.chains = {"B", "D"};
  parameters.omit = "XC";
  for (const int64_t i : {b.begin, b.begin + 1, b.begin + 6, d.end - 1})
    parameters.fixed.push_back(encoded.positions.label(i));
  parameters.omit_at = {encoded.positions.label(b.begin + 9) + " AG"};
  expect_case("fixed", parameters);
}

INSTANTIATE_TEST_SUITE_P(Settings, ProteinMpnnSettings, ::testing::Values(std::tuple("2BEG", "vanilla")));

}  // namespace
}  // namespace weft::science
