#include "modalities/structure/structure_value.h"

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

namespace weft {
namespace {

using nlohmann::json;

Status invalid(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message))
      .expected("a value of science.load_structure");
}

Result<Chain> chain_from(const json& entry) {
  Chain chain;
  chain.name = entry.at("name").get<std::string>();
  const auto letters = entry.at("sequence").get<std::string>(),
             insertions = entry.at("insertions").get<std::string>();
  const auto numbers = entry.at("numbers").get<std::vector<int32_t>>();
  if (letters.size() != numbers.size() || letters.size() != insertions.size())
    return invalid("a structure's chain has other numbers of letters and of residues")
        .at("chain '" + chain.name + "'");
  for (size_t i = 0; i < letters.size(); ++i) {
    Residue residue;
    residue.letter = letters[i];
    residue.number = numbers[i];
    residue.insertion = insertions[i];
    if (kResidueLetters.find(residue.letter) == std::string_view::npos)
      return invalid("a structure's sequence has a letter of no residue").at("chain '" + chain.name + "'");
    chain.residues.push_back(residue);
  }
  return chain;
}

}  // namespace

std::string structure_attributes(const Structure& structure) {
  json chains = json::array();
  for (const Chain& chain : structure.chains) {
    std::vector<int32_t> numbers;
    std::string insertions;
    for (const Residue& residue : chain.residues) {
      numbers.push_back(residue.number);
      insertions += residue.insertion;
    }
    chains.push_back({{"name", chain.name},
                      {"sequence", sequence_of(chain)},
                      {"numbers", numbers},
                      {"insertions", insertions}});
  }
  return json({{"name", structure.name}, {"chains", chains}})
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Structure> structure_from_attributes(std::string_view text) {
  try {
    const json parsed = json::parse(text);
    Structure structure;
    structure.name = parsed.at("name").get<std::string>();
    for (const json& entry : parsed.at("chains")) {
      Result<Chain> chain = chain_from(entry);
      if (!chain.ok()) return chain.status();
      structure.chains.push_back(*std::move(chain));
    }
    return structure;
  } catch (const json::exception& error) {
    return invalid("a structure's attributes are not what they should be").got(error.what());
  }
}

Result<sdk::Value> make_structure_value(const Structure& structure, const sdk::Host& host,
                                        weft_stream* stream) {
  const std::array<int64_t, 3> shape = {static_cast<int64_t>(structure.residue_count()),
                                        static_cast<int64_t>(kBackboneAtoms), 3};
  Result<sdk::NewTensor> tensor = host.allocate_tensor(WEFT_DTYPE_F32, shape, stream, "structure");
  if (!tensor.ok()) return tensor.status();
  auto* atoms = tensor->data<float>();
  for (const Chain& chain : structure.chains)
    for (const Residue& residue : chain.residues) {
      std::memcpy(atoms, residue.atoms, sizeof residue.atoms);
      atoms += kBackboneAtoms * 3;
    }
  return host.make_tensor(tensor->buffer, tensor->view, kStructureType,
                          structure_attributes(structure).c_str());
}

Result<Structure> structure_of(const sdk::Value& value) {
  if (value.type() != kStructureType) return invalid("this is no structure").got(std::string(value.type()));
  Result<Structure> structure = structure_from_attributes(value.attributes());
  if (!structure.ok()) return structure;
  const weft_tensor view = value.as_tensor();
  const auto count = static_cast<int64_t>(structure->residue_count());
  if (view.dtype != WEFT_DTYPE_F32 || view.rank != 3 || view.shape[0] != count ||
      view.shape[1] != int64_t{kBackboneAtoms} || view.shape[2] != 3 || !sdk::is_contiguous(view))
    return invalid("a structure's tensor does not fit its attributes")
        .got(std::to_string(count) + " residues in the attributes");
  const auto* atoms = static_cast<const float*>(view.data);
  for (Chain& chain : structure->chains)
    for (Residue& residue : chain.residues) {
      std::memcpy(residue.atoms, atoms, sizeof residue.atoms);
      atoms += kBackboneAtoms * 3;
    }
  return structure;
}

}  // namespace weft
