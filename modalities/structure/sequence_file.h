/// Sequences of proteins as text: FASTA, and alignments in A3M.
///
/// A3M is FASTA whose rows are aligned to the first one: capital letters and '-' stand in its columns, small letters are
/// insertions between two of them. Letters are checked, white space is dropped, '*' at the end too. Thread safety: any thread.
/// Source: HH-suite user guide, "Input alignment format".
#ifndef WEFT_MODALITIES_STRUCTURE_SEQUENCE_FILE_H
#define WEFT_MODALITIES_STRUCTURE_SEQUENCE_FILE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct NamedSequence {
  std::string name;  // the whole line behind '>'
  std::string letters;
};

/// file: named in errors. Letters become capitals; '/' parts chains. Errors: kCorruptData, naming the line.
Result<std::vector<NamedSequence>> parse_fasta(std::string_view text, const std::string& file);
/// Lines of up to 80 letters.
std::string to_fasta(std::span<const NamedSequence> sequences);

/// Errors: as parse_fasta(), and kCorruptData for rows of other numbers of columns than the first.
Result<std::vector<NamedSequence>> parse_a3m(std::string_view text, const std::string& file);
/// One line a sequence.
std::string to_a3m(std::span<const NamedSequence> rows);
/// The columns of an A3M row: its letters without insertions.
std::string aligned_columns(std::string_view letters);
/// How many letters are inserted before each column.
std::vector<int32_t> insertions_before(std::string_view letters);

}  // namespace weft
#endif
