/// Small structures for tests.
#ifndef WEFT_PLUGINS_SCIENCE_TESTING_SMALL_STRUCTURES_H
#define WEFT_PLUGINS_SCIENCE_TESTING_SMALL_STRUCTURES_H

#include <string>

#include "modalities/structure/structure.h"

namespace weft::science::testing {

/// A residue with all its atoms; places differ from number to number.
inline Residue whole_residue(char letter, int32_t number, char insertion = ' ') {
  Residue residue;
  residue.letter = letter;
  residue.number = number;
  residue.insertion = insertion;
  for (size_t atom = 0; atom < kBackboneAtoms; ++atom)
    for (size_t i = 0; i < 3; ++i)
      residue.atoms[atom][i] = static_cast<float>(3.8 * number + (insertion == ' ' ? 0 : 1.7) +
                                                  0.9 * static_cast<double>(atom * (i + 1)));
  return residue;
}

/// Chain A: M-1 K0 V1 L1A, no 2, G3; chain BB: A10 C11 D12.
inline Structure two_chains() {
  Structure structure;
  structure.name = "two";
  structure.chains = {{"A",
                       {whole_residue('M', -1), whole_residue('K', 0), whole_residue('V', 1),
                        whole_residue('L', 1, 'A'), whole_residue('G', 3)}},
                      {"BB", {whole_residue('A', 10), whole_residue('C', 11), whole_residue('D', 12)}}};
  return structure;
}

}  // namespace weft::science::testing
#endif
