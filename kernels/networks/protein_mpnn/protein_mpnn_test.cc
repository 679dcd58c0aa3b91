// ProteinMPNN on reduced random weights: what it promises whatever the weights are, and files that are none. Against the original
// code, with the real weights: plugins/science/protein_mpnn_golden_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>

#include "kernels/networks/protein_mpnn/decoding_schedule.h"
#include "kernels/networks/protein_mpnn/protein_mpnn.h"
#include "kernels/networks/protein_mpnn/residue_choice.h"
#include "kernels/networks/protein_mpnn/testing/reduced_file.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/workspace.h"

namespace weft {
namespace {

using testing::demand;
using ::testing::HasSubstr;
using testing::take;
using testing::Workspace;

constexpr int32_t kNeighbours = testing::ReducedFile::kNeighbours;

// A helix of two chains; position 4 has no atoms.
struct Helix {
  explicit Helix(int64_t n) : count(n) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t atom = 0; atom < 4; ++atom) {
        const double angle = 1.745 * static_cast<double>(i) + 0.5 * static_cast<double>(atom);
        const bool missing = i == 4;
        for (const double x : {2.3 * std::cos(angle), 2.3 * std::sin(angle),
                               1.5 * static_cast<double>(i) + 0.4 * static_cast<double>(atom)})
          atoms.push_back(missing ? 0.0F : static_cast<float>(x));
      }
      present.push_back(i == 4 ? 0 : 1);
      index.push_back(static_cast<int32_t>(i));
      chain.push_back(i < n / 2 ? 0 : 1);
      tokens.push_back(static_cast<int32_t>(i * 7 % 20));
    }
  }
  Backbone backbone() const { return {count, atoms, present, index, chain}; }
  int64_t count;
  std::vector<float> atoms;
  std::vector<uint8_t> present;
  std::vector<int32_t> index, chain, tokens;
};

class ProteinMpnnTest : public ::testing::Test {
 protected:
  ProteinMpnnTest() : ProteinMpnnTest(2) {}
  explicit ProteinMpnnTest(uint32_t n_threads) { use(n_threads); }

  void use(uint32_t n_threads) {
    network.reset();
    file.emplace(take(WeightFile::open(path)));
    threads = std::make_unique<testing::Threads>(n_threads);
    network.emplace(take(ProteinMpnn::open(*file)));
    demand(network->load(threads->executor()));
    memory = std::make_unique<Workspace>(network->encoding_bytes(helix.count));
    Workspace scratch(network->encoding_scratch_bytes(helix.count, n_threads));
    encoding = take(network->encode(helix.backbone(), memory->span(), scratch.span(), threads->executor()));
    order.resize(static_cast<size_t>(helix.count));
    for (int64_t i = 0; i < helix.count; ++i)
      order[static_cast<size_t>(i)] = static_cast<int32_t>(i * 7 % helix.count);
    designed.assign(order.size(), 1);
    designed[4] = designed[9] = 0;
    bias.assign(order.size() * kProteinTokens, 0.0F);
  }
  std::vector<float> score(const std::vector<int32_t>& tokens) {
    std::vector<float> result(tokens.size() * kProteinTokens, NAN);
    Workspace scratch(network->scoring_scratch_bytes(helix.count, threads->executor().max_threads()));
    demand(network->score(encoding, tokens, order, result.data(), scratch.span(), threads->executor()));
    return result;
  }
  SequenceDesign design(float temperature) const {
    return {
        .given = helix.tokens, .designed = designed, .bias = bias, .groups = {}, .temperature = temperature};
  }
  struct Sampled {
    std::vector<int32_t> tokens;
    std::vector<float> probabilities;
  };
  Result<std::vector<Sampled>> sample(const SequenceDesign& of, const std::vector<uint64_t>& seeds) {
    std::vector<Sampled> results(seeds.size());
    std::vector<SampledSequence> sequences;
    for (size_t i = 0; i < seeds.size(); ++i) {
      results[i].tokens.assign(order.size(), -1);
      results[i].probabilities.assign(order.size() * kProteinTokens, NAN);
      sequences.push_back({seeds[i], order, results[i].tokens.data(), results[i].probabilities.data()});
    }
    Workspace scratch(network->sampling_scratch_bytes(helix.count, static_cast<int64_t>(seeds.size()),
                                                      threads->executor().max_threads()));
    if (Status done = network->sample(encoding, of, sequences, scratch.span(), threads->executor());
        !done.ok())
      return done;
    return results;
  }

  const std::string path = testing::ReducedFile().save("protein_mpnn_reduced");
  const Helix helix{23};
  std::unique_ptr<testing::Threads> threads;
  std::optional<WeightFile> file;
  std::optional<ProteinMpnn> network;
  std::unique_ptr<Workspace> memory;
  BackboneEncoding encoding;
  std::vector<int32_t> order;
  std::vector<uint8_t> designed;
  std::vector<float> bias;
};

TEST_F(ProteinMpnnTest, NeighboursAreTheNearestWithAtoms) {
  ASSERT_EQ(encoding.n_neighbours, kNeighbours);
  for (int64_t i = 0; i < helix.count; ++i) {
    if (i == 4) continue;
    const int32_t* row = encoding.neighbours.data() + i * kNeighbours;
    EXPECT_EQ(row[0], i) << "itself";
    for (int64_t k = 0; k < kNeighbours; ++k) EXPECT_NE(row[k], 4);
  }
}

TEST_F(ProteinMpnnTest, LogProbabilitiesAreOnes) {
  const std::vector<float> scores = score(helix.tokens);
  for (size_t i = 0; i < order.size(); ++i) {
    double sum = 0;
    for (int32_t t = 0; t < kProteinTokens; ++t)
      sum += std::exp(static_cast<double>(scores[i * kProteinTokens + static_cast<size_t>(t)]));
    EXPECT_NEAR(sum, 1, 1e-5) << i;
  }
}

TEST_F(ProteinMpnnTest, APositionSeesOnlyWhatIsDecodedBeforeIt) {
  const std::vector<float> before = score(helix.tokens);
  std::vector<int32_t> changed = helix.tokens;
  const auto at = static_cast<size_t>(order[10]);
  changed[at] = (changed[at] + 1) % 20;
  const std::vector<float> after = score(changed);
  int n_different = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    const size_t row = static_cast<size_t>(order[rank]) * kProteinTokens;
    const bool same = std::memcmp(&before[row], &after[row], kProteinTokens * 4) == 0;
    if (rank <= 10) {
      EXPECT_TRUE(same) << rank;
    }
    n_different += same ? 0 : 1;
  }
  EXPECT_GT(n_different, 0);
}

TEST_F(ProteinMpnnTest, SamplingSeesWhatScoringSees) {
  const std::vector<Sampled> sampled = take(sample(design(1), {5}));
  const std::vector<float> scores = score(sampled[0].tokens);
  for (size_t i = 0; i < order.size(); ++i) {
    if (designed[i] == 0) {
      EXPECT_EQ(sampled[0].tokens[i], helix.tokens[i]) << "given";
      continue;
    }
    for (size_t t = 0; t < kProteinTokens; ++t)
      EXPECT_NEAR(sampled[0].probabilities[i * kProteinTokens + t], std::exp(scores[i * kProteinTokens + t]),
                  1e-5);
  }
}

TEST_F(ProteinMpnnTest, BitsDoNotDependOnThreadsOrOtherSequences) {
  const std::vector<float> scores = score(helix.tokens);
  const std::vector<Sampled> together = take(sample(design(0.7F), {5, 6, 7}));
  EXPECT_NE(together[0].tokens, together[1].tokens);
  for (const uint32_t n_threads : {1, 3, 8}) {
    use(n_threads);
    EXPECT_EQ(score(helix.tokens), scores) << n_threads;
    const std::vector<Sampled> alone = take(sample(design(0.7F), {6}));
    EXPECT_EQ(alone[0].tokens, together[1].tokens);
    EXPECT_EQ(alone[0].probabilities, together[1].probabilities);
  }
}

TEST_F(ProteinMpnnTest, KeepsToBiasAndGroups) {
  SequenceDesign of = design(1);
  for (size_t i = 0; i < order.size(); ++i) {
    bias[i * kProteinTokens + 20] = -INFINITY;
    bias[i * kProteinTokens + 3] = -INFINITY;
  }
  bias[7 * kProteinTokens + 5] = 100;
  of.groups = {{order[2], order[3], order[4]}};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Sampled one = take(sample(of, {seed}))[0];
    for (size_t i = 0; i < order.size(); ++i) {
      if (designed[i] == 0) continue;
      EXPECT_NE(one.tokens[i], 20);
      EXPECT_NE(one.tokens[i], 3);
    }
    EXPECT_EQ(one.tokens[7], 5);
    const auto token = [&](size_t rank) { return one.tokens[static_cast<size_t>(order[rank])]; };
    EXPECT_EQ(token(2), token(3));
    EXPECT_EQ(token(3), token(4));
  }
}

TEST_F(ProteinMpnnTest, RefusesWhatDoesNotFit) {
  const auto code = [&](const std::function<void(SequenceDesign&)>& spoil) {
    SequenceDesign of = design(1);
    spoil(of);
    return sample(of, {1}).code();
  };
  const auto invalid = StatusCode::kInvalidArgument;
  EXPECT_EQ(code([&](SequenceDesign& d) {
              d.groups = {{order[2], order[4]}};
            }),
            invalid)
      << "parted by the order";
  EXPECT_EQ(code([&](SequenceDesign& d) { d.groups = {{4, 5}}; }), invalid) << "without atoms";
  EXPECT_EQ(code([&](SequenceDesign& d) { d.groups = {{1, 99}}; }), invalid);
  EXPECT_EQ(code([&](SequenceDesign& d) {
              d.groups = {{order[2], order[3]}, {order[3]}};
            }),
            invalid)
      << "tied twice";
  EXPECT_EQ(code([&](SequenceDesign& d) { d.temperature = -1; }), invalid);
  EXPECT_EQ(code([&](SequenceDesign& d) { d.temperature = NAN; }), invalid);
  EXPECT_EQ(code([&](SequenceDesign& d) { d.given = d.given.first(3); }), invalid);
  std::vector<float> all(bias.size(), -INFINITY);
  EXPECT_EQ(code([&](SequenceDesign& d) { d.bias = all; }), invalid) << "nothing is allowed";
  order[3] = order[2];
  EXPECT_EQ(code([](SequenceDesign&) {}), invalid) << "no permutation";
  Helix none(23);
  std::fill(none.present.begin(), none.present.end(), 0);
  Workspace scratch(network->encoding_scratch_bytes(23, 2));
  EXPECT_EQ(network->encode(none.backbone(), memory->span(), scratch.span(), threads->executor()).code(),
            invalid);
  EXPECT_EQ(
      network->encode(helix.backbone(), memory->span().first(64), scratch.span(), threads->executor()).code(),
      StatusCode::kOutOfMemory);
}

TEST_F(ProteinMpnnTest, CanBeStopped) {
  const StopRequest stop{[](void*) { return true; }, nullptr};
  Workspace scratch(network->encoding_scratch_bytes(helix.count, 2));
  EXPECT_EQ(
      network->encode(helix.backbone(), memory->span(), scratch.span(), threads->executor(), stop).code(),
      StatusCode::kCancelled);
}

TEST(ProteinMpnnOpen, NamesWhatIsMissing) {
  const WeightFile file =
      take(WeightFile::open(testing::ReducedFile("decoder_layers.1.W2.weight").save("protein_mpnn_missing")));
  const Result<ProteinMpnn> network = ProteinMpnn::open(file);
  ASSERT_FALSE(network.ok());
  EXPECT_THAT(to_string(network.error()), HasSubstr("decoder_layers.1.W2.weight"));
  EXPECT_THAT(network.error().where, HasSubstr("reduced.pt"));
  const WeightFile other = take(WeightFile::open("assets/golden/torch_archive/state.pt"));
  EXPECT_EQ(ProteinMpnn::open(other).code(), StatusCode::kNotFound);
}

TEST(DecodingSchedule, PutsPositionsBehindTheNeighboursThatTheySee) {
  // Four positions in a row, each with itself and its two neighbours.
  const std::vector<int32_t> neighbours = {0, 1, 0, 1, 0, 2, 2, 1, 3, 3, 2, 3}, order = {0, 3, 1, 2};
  const std::vector<uint8_t> all(4, 1);
  const BackboneEncoding encoding{4, 3, neighbours, {}, {}, all};
  const std::vector<int32_t> given(4, 0);
  SequenceDesign design{.given = given, .designed = all};
  using ::testing::ElementsAre;
  EXPECT_THAT(take(schedule_decoding(encoding, design, order)).waves,
              ElementsAre(ElementsAre(0, 3), ElementsAre(1), ElementsAre(2)));
  design.groups = {{0, 3}};
  const DecodingSchedule tied = take(schedule_decoding(encoding, design, order));
  EXPECT_THAT(tied.waves, ElementsAre(ElementsAre(0), ElementsAre(3), ElementsAre(1), ElementsAre(2)));
  EXPECT_THAT(tied.closes, ElementsAre(0, 1, 1, 1));
}

TEST(ResidueChoice, DrawsAsTheProbabilitiesSay) {
  float logits[kProteinTokens], bias[kProteinTokens] = {}, probabilities[kProteinTokens];
  std::fill_n(logits, kProteinTokens, -INFINITY);
  logits[3] = 0;
  logits[8] = std::log(3.0F);
  int n_of_8 = 0;
  for (uint64_t position = 0; position < 4000; ++position) {
    const int32_t chosen = choose_residue(logits, bias, 1, 11, position, probabilities);
    ASSERT_TRUE(chosen == 3 || chosen == 8);
    n_of_8 += chosen == 8 ? 1 : 0;
  }
  EXPECT_FLOAT_EQ(probabilities[8], 0.75F);
  EXPECT_NEAR(n_of_8, 3000, 150);
  EXPECT_EQ(choose_residue(logits, bias, 0, 11, 0, probabilities), 8);
  EXPECT_EQ(probabilities[8], 1);
}

}  // namespace
}  // namespace weft
