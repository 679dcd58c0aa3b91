/// Residues by the names that a structure's file gives them: "A" (a chain), "A:12", "A:52B", "A:12-20".
/// Thread safety: any thread.
#ifndef WEFT_PLUGINS_SCIENCE_RESIDUE_SELECTION_H
#define WEFT_PLUGINS_SCIENCE_RESIDUE_SELECTION_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "plugins/science/backbone_positions.h"

namespace weft::science {

/// Positions in their order, those without atoms among them. Errors: kInvalidArgument, naming what is not there.
Result<std::vector<int32_t>> select_residues(const BackbonePositions& positions, std::string_view text);

/// "A:1-26 = B:1-26": the first of each, the second of each, and so on. Errors: as above, and kInvalidArgument for parts of
/// different lengths, or one part alone.
Result<std::vector<std::vector<int32_t>>> select_tied(const BackbonePositions& positions,
                                                      std::string_view text);

/// "B:10 AG" or "A CM": residues, and the letters that are meant there.
struct ResiduesAndLetters {
  std::vector<int32_t> positions, tokens;
};
Result<ResiduesAndLetters> select_letters(const BackbonePositions& positions, std::string_view text);
/// Tokens of letters. Errors: kInvalidArgument.
Result<std::vector<int32_t>> tokens_of_letters(std::string_view letters);

}  // namespace weft::science
#endif
