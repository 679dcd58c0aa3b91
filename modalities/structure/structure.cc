#include "modalities/structure/structure.h"

#include <cmath>
#include <limits>

namespace weft {
namespace {

// As kResidueLetters, without its last.
constexpr const char* kNames[] = {"ALA", "CYS", "ASP", "GLU", "PHE", "GLY", "HIS", "ILE", "LYS", "LEU",
                                  "MET", "ASN", "PRO", "GLN", "ARG", "SER", "THR", "VAL", "TRP", "TYR"};
constexpr size_t kNameCount = std::size(kNames);
static_assert(kNameCount + 1 == kResidueLetters.size());

}  // namespace

const char* atom_name(size_t atom) {
  constexpr const char* kAtomNames[kBackboneAtoms] = {"N", "CA", "C", "O"};
  return kAtomNames[atom];
}

const char* residue_name(char letter) {
  const size_t at = kResidueLetters.find(letter);
  return at < kNameCount ? kNames[at] : "UNK";
}

char residue_letter(std::string_view name) {
  if (name == "MSE") return 'M';
  for (size_t i = 0; i < kNameCount; ++i)
    if (name == kNames[i]) return kResidueLetters[i];
  return 'X';
}

Residue::Residue() {
  for (auto& atom : atoms)
    for (float& coordinate : atom) coordinate = std::numeric_limits<float>::quiet_NaN();
}

bool Residue::has(size_t atom) const { return !std::isnan(atoms[atom][0]); }

std::string Residue::label() const {
  return insertion == ' ' ? std::to_string(number) : std::to_string(number) + insertion;
}

size_t Structure::residue_count() const {
  size_t count = 0;
  for (const Chain& chain : chains) count += chain.residues.size();
  return count;
}

const Chain* Structure::find(std::string_view chain) const {
  for (const Chain& candidate : chains)
    if (candidate.name == chain) return &candidate;
  return nullptr;
}

std::string sequence_of(const Chain& chain) {
  std::string letters;
  for (const Residue& residue : chain.residues) letters += residue.letter;
  return letters;
}

}  // namespace weft
