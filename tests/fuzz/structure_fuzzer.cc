// Any bytes as a structure, or from '>' on as FASTA and A3M: an error, or a structure that can be written and read again.
#include <cstdlib>

#include "modalities/structure/sequence_file.h"
#include "modalities/structure/structure_file.h"

namespace {

void check(const weft::Status& status) {
  if (!status.ok() && (status.error().where.empty() || status.error().message.empty())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.starts_with('>')) {
    check(parse_fasta(text, "fuzz.fa").status());
    check(parse_a3m(text, "fuzz.a3m").status());
    return 0;
  }
  const Result<Structure> structure = parse_structure(text, "fuzz.cif");
  check(structure.status());
  if (!structure.ok()) return 0;
  check(to_pdb(*structure).status());
  const Result<Structure> again = parse_structure(to_mmcif(*structure), "fuzz.cif");
  if (again.ok() && again->residue_count() > structure->residue_count()) std::abort();
  return 0;
}
