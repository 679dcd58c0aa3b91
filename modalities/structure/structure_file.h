/// Structures from PDB and mmCIF files and back, through gemmi.
///
/// Read is the first model: of each chain the residues of proteins (ATOM records, and selenomethionine) with the backbone atoms
/// that are there; of alternatives the first. Ligands, water and nucleic acids are left out. Written are the backbone atoms.
/// Thread safety: any thread.
///
///   Result<Structure> structure = read_structure("1abc.cif");
///   std::string text = to_pdb(*structure);
#ifndef WEFT_MODALITIES_STRUCTURE_STRUCTURE_FILE_H
#define WEFT_MODALITIES_STRUCTURE_STRUCTURE_FILE_H

#include <weft/sdk/status.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "modalities/structure/structure.h"

namespace weft {

/// Larger files are refused: the largest entry of the Protein Data Bank has a fifth of it.
inline constexpr size_t kStructureMaxBytes = 512'000'000;

/// Which of the two it is, the content says. Errors: kNotFound, kIoError and the like; those of parse_structure().
Result<Structure> read_structure(const std::filesystem::path& path);

/// name: the file's, for errors. Errors: kCorruptData (names line, chain or residue), kUnsupported (no protein in it, too large).
Result<Structure> parse_structure(std::string_view text, const std::string& name);

/// Errors: kUnsupported, naming what a PDB file has no room for: a chain's name of several characters, a number beyond four
/// digits, a coordinate beyond four.
Result<std::string> to_pdb(const Structure& structure);
std::string to_mmcif(const Structure& structure);

}  // namespace weft
#endif
