/// A protein's backbone: chains of residues with the places of four atoms each, and what is missing known as missing.
///
/// Plain data, owned by whoever holds it. Thread safety: values.
///
///   for (const Chain& chain : structure.chains) std::string letters = sequence_of(chain);     // "MKV..X"
#ifndef WEFT_MODALITIES_STRUCTURE_STRUCTURE_H
#define WEFT_MODALITIES_STRUCTURE_STRUCTURE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

enum BackboneAtom : size_t { kAtomN, kAtomCA, kAtomC, kAtomO, kBackboneAtoms };
/// "N", "CA", "C", "O".
const char* atom_name(size_t atom);

/// The 20 amino acids by their letters, then what is unknown: the order of ProteinMPNN, alphabetical.
inline constexpr std::string_view kResidueLetters = "ACDEFGHIKLMNPQRSTVWYX";
/// "ALA" for 'A'; "UNK" for what is none of the 20.
const char* residue_name(char letter);
/// 'A' for "ALA", 'M' for selenomethionine, 'X' for everything else.
char residue_letter(std::string_view name);

struct Residue {
  char letter = 'X';
  int32_t number = 0;              // the author's, as a PDB file shows it
  char insertion = ' ';            // behind the number: 52A
  float atoms[kBackboneAtoms][3];  // x, y, z in angstrom; all three NaN where the atom is missing

  Residue();
  bool has(size_t atom) const;
  /// "52A", for messages.
  std::string label() const;
};

struct Chain {
  std::string name;  // the author's: "A"
  std::vector<Residue> residues;
};

struct Structure {
  std::string name;  // of the file, without its extension
  std::vector<Chain> chains;

  size_t residue_count() const;
  /// Null: there is none.
  const Chain* find(std::string_view chain) const;
};

std::string sequence_of(const Chain& chain);

}  // namespace weft
#endif
