#include "plugins/science/backbone_positions.h"

#include <algorithm>

namespace weft::science {
namespace {

constexpr int32_t kUnknown = kProteinTokens - 1;
constexpr int32_t kChainGap =
    100;  // what the original adds to numbers from one chain to the next; nothing sees it

int32_t token_of(char letter) {
  const size_t at = kResidueLetters.find(letter);
  return at == std::string_view::npos ? -1 : static_cast<int32_t>(at);
}

bool has_atoms(const Residue& residue, bool ca_only) {
  if (ca_only) return residue.has(kAtomCA);
  return residue.has(kAtomN) && residue.has(kAtomCA) && residue.has(kAtomC) && residue.has(kAtomO);
}

Status lacks_atoms(const Structure& structure, bool ca_only) {
  const Chain& chain = structure.chains.front();
  const Residue& residue = chain.residues.front();
  std::string missing;
  for (size_t atom = 0; atom < kBackboneAtoms; ++atom)
    if (!residue.has(atom) && (!ca_only || atom == kAtomCA))
      missing += (missing.empty() ? "" : ", ") + std::string(atom_name(atom));
  return Status(StatusCode::kInvalidArgument,
                "no residue of the structure has the atoms that the model needs")
      .at("structure '" + structure.name + "'")
      .expected(ca_only ? "CA" : "N, CA, C and O")
      .got("chain '" + chain.name + "', residue " + residue.label() + " without " + missing)
      .hint(ca_only ? "" : "a trace of CA atoms alone needs a model of the family ca");
}

}  // namespace

Result<BackbonePositions> BackbonePositions::make(const Structure& structure, bool ca_only) {
  BackbonePositions positions;
  for (const Chain& chain : structure.chains)
    if (Status status = positions.add_chain(chain, ca_only); !status.ok())
      return std::move(status).at("structure '" + structure.name + "'");
  if (std::none_of(positions.present_.begin(), positions.present_.end(),
                   [](uint8_t flag) { return flag != 0; })) {
    if (structure.residue_count() == 0)
      return Status(StatusCode::kInvalidArgument, "the structure has no residues");
    return lacks_atoms(structure, ca_only);
  }
  return positions;
}

Status BackbonePositions::add_chain(const Chain& chain, bool ca_only) {
  std::vector<const Residue*> residues;
  for (const Residue& residue : chain.residues) residues.push_back(&residue);
  std::stable_sort(residues.begin(), residues.end(), [](const Residue* a, const Residue* b) {
    return a->number != b->number ? a->number < b->number : a->insertion < b->insertion;
  });
  PositionsOfChain place{chain.name, count(), count()};
  const auto index = static_cast<int32_t>(chains_.size());
  for (size_t i = 0; i < residues.size(); ++i) {
    const int64_t gap =
        i == 0 ? 0 : std::max<int64_t>(0, int64_t{residues[i]->number} - residues[i - 1]->number - 1);
    if (count() + gap >= kMostPositions)
      return Status(StatusCode::kUnsupported,
                    "the structure has too many residues, or its numbers leave too large a gap")
          .at("chain '" + chain.name + "', residue " + residues[i]->label())
          .expected("at most " + std::to_string(kMostPositions) + " positions");
    for (int64_t g = 0; g < gap; ++g) {
      add(nullptr, ca_only, index);
      numbers_.back() = static_cast<int32_t>(residues[i - 1]->number + 1 + g);
    }
    add(residues[i], ca_only, index);
  }
  place.end = count();
  chains_.push_back(std::move(place));
  return {};
}

void BackbonePositions::add(const Residue* residue, bool ca_only, int32_t chain) {
  index_.push_back(static_cast<int32_t>(count()) + kChainGap * chain);
  for (size_t atom = 0; atom < kBackboneAtoms; ++atom)
    for (const size_t i : {size_t{0}, size_t{1}, size_t{2}})
      atoms_.push_back(residue != nullptr && residue->has(atom) ? residue->atoms[atom][i] : 0.0F);
  present_.push_back(residue != nullptr && has_atoms(*residue, ca_only) ? 1 : 0);
  chain_.push_back(chain);
  numbers_.push_back(residue != nullptr ? residue->number : 0);
  insertions_ += residue != nullptr ? residue->insertion : ' ';
  tokens_.push_back(residue != nullptr ? token_of(residue->letter) : kUnknown);
}

const PositionsOfChain* BackbonePositions::find_chain(std::string_view name) const {
  for (const PositionsOfChain& chain : chains_)
    if (chain.name == name) return &chain;
  return nullptr;
}

int64_t BackbonePositions::find(const PositionsOfChain& chain, int32_t number, char insertion) const {
  for (int64_t i = chain.begin; i < chain.end; ++i)
    if (numbers_[static_cast<size_t>(i)] == number && insertions_[static_cast<size_t>(i)] == insertion)
      return i;
  return -1;
}

std::string BackbonePositions::label(int64_t position) const {
  const auto at = static_cast<size_t>(position);
  const std::string number = std::to_string(numbers_[at]);
  return chains_[static_cast<size_t>(chain_[at])].name + ":" +
         (insertions_[at] == ' ' ? number : number + insertions_[at]);
}

std::string BackbonePositions::text_of(const int32_t* tokens) const {
  std::string text;
  for (const PositionsOfChain& chain : chains_) {
    if (chain.begin > 0) text += '/';
    for (int64_t i = chain.begin; i < chain.end; ++i) text += kResidueLetters[static_cast<size_t>(tokens[i])];
  }
  return text;
}

Result<std::vector<int32_t>> BackbonePositions::tokens_of(std::string_view text) const {
  const auto invalid = [](std::string message) {
    return Status(StatusCode::kInvalidArgument, std::move(message));
  };
  std::vector<int32_t> tokens;
  for (const PositionsOfChain& chain : chains_) {
    const size_t end = text.find('/');
    const std::string_view letters = text.substr(0, end);
    const bool is_last = chain.end == count();
    if (is_last != (end == std::string_view::npos))
      return invalid("the sequence has another number of chains than the structure")
          .expected(std::to_string(chains_.size()) + " chains, joined by '/'");
    if (static_cast<int64_t>(letters.size()) != chain.end - chain.begin)
      return invalid("the sequence has another length than the structure's chain")
          .at("chain '" + chain.name + "'")
          .expected(std::to_string(chain.end - chain.begin) + " letters, X where a number has no residue")
          .got(std::to_string(letters.size()));
    for (size_t i = 0; i < letters.size(); ++i) {
      const int32_t token = letters[i] == '-' ? kUnknown : token_of(letters[i]);
      if (token < 0)
        return invalid("the sequence has a letter of no residue")
            .at(label(chain.begin + static_cast<int64_t>(i)))
            .expected(std::string(kResidueLetters))
            .got(std::string("'") + letters[i] + "'");
      tokens.push_back(token);
    }
    text = is_last ? std::string_view() : text.substr(end + 1);
  }
  return tokens;
}

}  // namespace weft::science
