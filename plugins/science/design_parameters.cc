#include "plugins/science/design_parameters.h"

#include <cmath>

#include "plugins/science/residue_selection.h"

namespace weft::science {
namespace {

Status in_parameter(const Status& status, const char* parameter) {
  return Status(status).at(std::string("parameter '") + parameter + "'");
}

}  // namespace

Result<std::vector<uint8_t>> positions_of_chains(const BackbonePositions& positions,
                                                 const std::vector<std::string>& chains) {
  std::vector<uint8_t> marked(static_cast<size_t>(positions.count()), chains.empty() ? 1 : 0);
  for (const std::string& chain : chains) {
    const Result<std::vector<int32_t>> selected = select_residues(positions, chain);
    if (!selected.ok()) return in_parameter(selected.status(), "chains");
    for (const int32_t i : *selected) marked[static_cast<size_t>(i)] = 1;
  }
  return marked;
}

DesignParameters DesignParameters::of(const sdk::Parameters& parameters) {
  DesignParameters design;
  design.chains = sdk::text_list(parameters, "chains");
  design.fixed = sdk::text_list(parameters, "fixed");
  design.tied = sdk::text_list(parameters, "tied");
  design.omit_at = sdk::text_list(parameters, "omit_at");
  design.omit = parameters.get_text("omit");
  design.temperature = static_cast<float>(parameters.get_float("temperature"));
  design.n = parameters.get_int("n");
  design.seed = static_cast<uint64_t>(parameters.get_int("seed"));
  return design;
}

Status DesignParameters::choose_positions(const BackbonePositions& positions) {
  Result<std::vector<uint8_t>> of_chains = positions_of_chains(positions, chains);
  if (!of_chains.ok()) return of_chains.status();
  designed = *std::move(of_chains);
  for (const std::string& text : fixed) {
    const Result<std::vector<int32_t>> selected = select_residues(positions, text);
    if (!selected.ok()) return in_parameter(selected.status(), "fixed");
    for (const int32_t i : *selected) designed[static_cast<size_t>(i)] = 0;
  }
  bool any = false;
  for (size_t i = 0; i < designed.size(); ++i) {
    if (positions.present()[i] == 0) designed[i] = 0;
    any = any || designed[i] != 0;
  }
  if (any) return {};
  return Status(StatusCode::kInvalidArgument, "nothing is left to design")
      .at("parameters 'chains' and 'fixed'")
      .hint("residues that lack atoms of the backbone are not designed");
}

Status DesignParameters::forbid(const BackbonePositions& positions) {
  bias.assign(static_cast<size_t>(positions.count() * kProteinTokens), 0.0F);
  const Result<std::vector<int32_t>> everywhere = tokens_of_letters(omit);
  if (!everywhere.ok()) return in_parameter(everywhere.status(), "omit");
  for (int64_t i = 0; i < positions.count(); ++i)
    for (const int32_t token : *everywhere) bias[static_cast<size_t>(i * kProteinTokens + token)] = -INFINITY;
  for (const std::string& text : omit_at) {
    const Result<ResiduesAndLetters> here = select_letters(positions, text);
    if (!here.ok()) return in_parameter(here.status(), "omit_at");
    for (const int32_t i : here->positions)
      for (const int32_t token : here->tokens)
        bias[static_cast<size_t>(i * kProteinTokens + token)] = -INFINITY;
  }
  return {};
}

Result<SequenceDesign> DesignParameters::apply_to(const BackbonePositions& positions) {
  if (Status chosen = choose_positions(positions); !chosen.ok()) return chosen;
  if (Status done = forbid(positions); !done.ok()) return done;
  SequenceDesign design;
  for (const std::string& text : tied) {
    Result<std::vector<std::vector<int32_t>>> groups = select_tied(positions, text);
    if (!groups.ok()) return in_parameter(groups.status(), "tied");
    for (std::vector<int32_t>& group : *groups) {
      for (const int32_t i : group)
        if (designed[static_cast<size_t>(i)] == 0)
          return Status(StatusCode::kInvalidArgument,
                        "a tied residue is not designed: it is fixed, or lacks atoms")
              .at("parameter 'tied', " + positions.label(i));
      design.groups.push_back(std::move(group));
    }
  }
  design.given = positions.tokens();
  design.designed = designed;
  design.bias = bias;
  design.temperature = temperature;
  return design;
}

}  // namespace weft::science
