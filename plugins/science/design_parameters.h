/// The parameters of science.design_sequence, and what they mean for a structure.
#ifndef WEFT_PLUGINS_SCIENCE_DESIGN_PARAMETERS_H
#define WEFT_PLUGINS_SCIENCE_DESIGN_PARAMETERS_H

#include <weft/sdk/plugin.h>

#include <string>
#include <vector>

#include "plugins/science/backbone_positions.h"
#include "plugins/science/protein_mpnn_model.h"

namespace weft::science {

inline constexpr weft_parameter kDesignParameters[] = {
    kModelParameter,
    sdk::parameter({.name = "n",
                    .type = "int",
                    .default_json = "1",
                    .minimum = 1,
                    .maximum = 1024,
                    .help = "Sequences; they are sampled side by side.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "temperature",
                    .type = "float",
                    .default_json = "0.1",
                    .minimum = 0,
                    .maximum = 10,
                    .help = "Higher is more various; 0 takes the likeliest residue each time.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "seed",
                    .type = "seed",
                    .help = "Of the order of decoding and of the draws.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "chains",
                    .type = "list<text>",
                    .default_json = "[]",
                    .help = "Chains to design; the others are seen as they are. Empty: all.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "fixed",
                    .type = "list<text>",
                    .default_json = "[]",
                    .help = "Residues that stay: \"A:12\", \"A:12-20\", by the numbers of the file.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "tied",
                    .type = "list<text>",
                    .default_json = "[]",
                    .help = "Residues that become equal: \"A:1-26 = B:1-26\".",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "omit",
                    .type = "text",
                    .default_json = "\"X\"",
                    .help = "Letters of residues that are chosen nowhere.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "omit_at",
                    .type = "list<text>",
                    .default_json = "[]",
                    .help = "Residues that are not chosen at some places: \"B:10 AG\".",
                    .flags = WEFT_PARAMETER_PER_REQUEST})};

struct DesignParameters {
  std::vector<std::string> chains, fixed, tied, omit_at;
  std::string omit;
  float temperature = 0.1F;
  int64_t n = 1;
  uint64_t seed = 0;

  static DesignParameters of(const sdk::Parameters& parameters);
  /// For the network. Errors: kInvalidArgument, naming the parameter and what the structure does not have.
  Result<SequenceDesign> apply_to(const BackbonePositions& positions);

  // What the design's views point into.
  std::vector<uint8_t> designed;
  std::vector<float> bias;

 private:
  Status choose_positions(const BackbonePositions& positions);
  Status forbid(const BackbonePositions& positions);
};

/// 1 at the positions of chains; all chains where there is no name.
Result<std::vector<uint8_t>> positions_of_chains(const BackbonePositions& positions,
                                                 const std::vector<std::string>& chains);

}  // namespace weft::science
#endif
