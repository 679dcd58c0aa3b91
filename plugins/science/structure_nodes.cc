#include "plugins/science/structure_nodes.h"

#include <climits>
#include <string>
#include <utility>

#include "modalities/structure/structure_file.h"
#include "modalities/structure/structure_value.h"
#include "plugins/science/backbone_positions.h"

namespace weft::science {
namespace {

constexpr weft_port kLoadOutputs[] = {
    sdk::port("structure", kStructureType, "Chains of residues with N, CA, C and O, of the first model."),
    sdk::port("sequence", "text", "Letters of all chains, joined by '/'; X where a number has no residue."),
    sdk::port("residues", "int", "Residues that the file has.")};
constexpr weft_parameter kLoadParameters[] = {
    sdk::parameter({.name = "path",
                    .type = "path",
                    .help = "A PDB or mmCIF file; relative paths start at the pipeline's folder.",
                    .flags = WEFT_PARAMETER_PER_REQUEST})};

enum SavePort : size_t { kStructure, kSequence };
constexpr weft_port kSaveInputs[] = {
    sdk::port("structure", kStructureType, "What to write: its backbone."),
    sdk::optional_port(
        "sequence", "text",
        "Residues in the place of the structure's own, as science.design_sequence gives them.")};
constexpr weft_port kSaveOutputs[] = {sdk::port("path", "path", "The file.")};
constexpr weft_parameter kSaveParameters[] = {
    sdk::parameter({.name = "path",
                    .type = "path",
                    .help = "Below the output folder; ends in .pdb, .cif or .mmcif.",
                    .flags = WEFT_PARAMETER_PER_REQUEST})};

// Sets the letters of residues that are in the file.
Status take_sequence(std::string_view text, Structure* structure) {
  Result<BackbonePositions> positions = BackbonePositions::make(*structure, true);
  if (!positions.ok()) return positions.status();
  const Result<std::vector<int32_t>> tokens = positions->tokens_of(text);
  if (!tokens.ok()) return tokens.status();
  for (Chain& chain : structure->chains)
    for (Residue& residue : chain.residues) {
      const int64_t at =
          positions->find(*positions->find_chain(chain.name), residue.number, residue.insertion);
      residue.letter = kResidueLetters[static_cast<size_t>((*tokens)[static_cast<size_t>(at)])];
    }
  return {};
}

Result<std::string> written(const Structure& structure, const std::string& path) {
  if (path.ends_with(".pdb")) return to_pdb(structure);
  if (path.ends_with(".cif") || path.ends_with(".mmcif")) return to_mmcif(structure);
  return Status(StatusCode::kInvalidArgument, "the path does not say which format to write")
      .at("parameter 'path'")
      .expected("a path that ends in .pdb, .cif or .mmcif")
      .got("'" + path + "'");
}

}  // namespace

Status LoadStructureNode::prepare(sdk::Specs, sdk::Plan plan) {
  const int64_t shape[] = {WEFT_UNBOUNDED, int64_t{kBackboneAtoms}, 3};
  plan.set_output(0, sdk::tensor_spec(WEFT_DTYPE_F32, shape));
  plan.set_output(1, sdk::bytes_spec(WEFT_UNBOUNDED));
  plan.set_output(2, sdk::spec(WEFT_KIND_INT));
  return {};
}

Status LoadStructureNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<std::string> path = request.resolve_input(std::string(request.parameters().get_text("path")));
  if (!path.ok()) return path.status();
  const Result<Structure> structure = read_structure(*path);
  if (!structure.ok()) return structure.status();
  const sdk::Host host = request.host();
  if (Status set = request.set_output(0, make_structure_value(*structure, host, execution.stream()));
      !set.ok())
    return set;
  const Result<BackbonePositions> positions = BackbonePositions::make(*structure, true);
  if (!positions.ok()) return positions.status().at(*path);
  if (Status set = request.set_output(1, host.make_text(positions->text_of(positions->tokens().data())));
      !set.ok())
    return set;
  return request.set_output(2, host.make_int(static_cast<int64_t>(structure->residue_count())));
}

Status SaveStructureNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::bytes_spec(PATH_MAX));
  return {};
}

Status SaveStructureNode::run(sdk::Request& request, const sdk::Execution&) {
  Result<Structure> structure = structure_of(request.input(kStructure));
  if (!structure.ok()) return structure.status().at("port 'structure'");
  if (const sdk::Value sequence = request.input(kSequence))
    if (Status fits = take_sequence(sequence.as_text(), &*structure); !fits.ok())
      return std::move(fits).at("port 'sequence'");
  const std::string path(request.parameters().get_text("path"));
  const Result<std::string> text = written(*structure, path);
  if (!text.ok()) return text.status();
  return request.set_output(0, request.save(path, *text));
}

constexpr weft_node_type kLoadStructureNode =
    sdk::node<LoadStructureNode>({.name = "science.load_structure",
                                  .help = "Reads a protein's structure from a PDB or mmCIF file.",
                                  .flags = WEFT_NODE_READS_FILES,
                                  .outputs = kLoadOutputs,
                                  .parameters = kLoadParameters});
constexpr weft_node_type kSaveStructureNode =
    sdk::node<SaveStructureNode>({.name = "science.save_structure",
                                  .help = "Writes a protein's backbone into a PDB or mmCIF file.",
                                  .flags = WEFT_NODE_WRITES_FILES,
                                  .inputs = kSaveInputs,
                                  .outputs = kSaveOutputs,
                                  .parameters = kSaveParameters});

}  // namespace weft::science
