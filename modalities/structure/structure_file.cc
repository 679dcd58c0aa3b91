#include "modalities/structure/structure_file.h"

#include <cctype>
#include <cmath>
#include <cstdio>
#include <exception>
#include <gemmi/cif.hpp>
#include <gemmi/mmcif.hpp>
#include <gemmi/pdb.hpp>
#include <set>
#include <utility>

namespace weft {
namespace {

// mmCIF begins with "data_", behind comments.
bool is_mmcif(std::string_view text) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos || line[first] == '#') continue;
    return line.substr(first, 5) == "data_";
  }
  return false;
}

// The text of a PDB file without what gemmi 0.5.7 reads out of bounds: the records of bonds, which nothing here needs, are left blank (it
// reads two bytes beyond the end of one that stops inside its bond's length), and so is what is not ASCII (it ends a line there).
// Lines stay where they are, so that errors name their numbers.
std::string readable_by_gemmi(std::string_view text) {
  std::string kept(text);
  for (char& c : kept)
    if (c == 0 || static_cast<unsigned char>(c) > 127) c = ' ';
  for (size_t start = 0; start < kept.size();) {
    std::string type = kept.substr(start, 4);
    for (char& c : type)
      c = static_cast<char>(c & ~0x20);  // as gemmi compares them: small letters count as large ones
    size_t end = kept.find('\n', start);
    if (end == std::string::npos) end = kept.size();
    if (type == "LINK" || type == "SSBO" || type == "CISP")
      kept.replace(start, end - start, end - start, ' ');
    start = end + 1;
  }
  return kept;
}

// gemmi throws; its message names the line.
Result<gemmi::Structure> parse_with_gemmi(std::string_view text, const std::string& name) {
  try {
    if (is_mmcif(text)) {
      const gemmi::cif::Document document = gemmi::cif::read_memory(text.data(), text.size(), name.c_str());
      return gemmi::make_structure(document);
    }
    const std::string pdb = readable_by_gemmi(text);
    return gemmi::read_pdb_from_memory(pdb.data(), pdb.size(), name);
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::kOutOfMemory, "no memory for the structure").at(name);
  } catch (const std::exception& error) {
    return Status(StatusCode::kCorruptData, "the structure cannot be read: " + std::string(error.what()))
        .at(name)
        .expected("a PDB or mmCIF file");
  }
}

bool is_protein(const gemmi::Residue& residue) {
  if (residue.name == "MSE") return true;
  return residue.het_flag != 'H' &&
         (residue_letter(residue.name) != 'X' || residue.find_atom("CA", '*', gemmi::El::C) != nullptr);
}

Status take_atom(const gemmi::Residue& from, size_t atom, const std::string& place, Residue* residue) {
  const gemmi::Atom* found = from.find_atom(atom_name(atom), '*');
  if (found == nullptr) return {};
  const double coordinates[3] = {found->pos.x, found->pos.y, found->pos.z};
  for (size_t i = 0; i < 3; ++i) {
    // A PDB file has room for 9999.999; what lies far beyond is no place of an atom.
    if (!std::isfinite(coordinates[i]) || std::abs(coordinates[i]) > 1e6)
      return Status(StatusCode::kCorruptData,
                    std::string("the place of atom ") + atom_name(atom) + " is not a number of angstroms")
          .at(place)
          .expected("finite coordinates");
    residue->atoms[atom][i] = static_cast<float>(coordinates[i]);
  }
  return {};
}

Result<Chain> take_chain(const gemmi::Chain& from, const std::string& name) {
  Chain chain;
  chain.name = from.name;
  std::set<std::pair<int32_t, char>> seen;  // of alternative residues at one number, the first counts
  for (const gemmi::Residue& residue : from.residues) {
    if (!is_protein(residue)) continue;
    Residue taken;
    const std::string place = name + ", chain '" + from.name + "', residue " + residue.name + " ";
    if (!residue.seqid.num.has_value())
      return Status(StatusCode::kCorruptData, "a residue has no number").at(place);
    taken.letter = residue_letter(residue.name);
    taken.number = *residue.seqid.num;
    taken.insertion = residue.seqid.icode;
    if (!seen.insert({taken.number, taken.insertion}).second) continue;
    for (size_t atom = 0; atom < kBackboneAtoms; ++atom)
      if (Status status = take_atom(residue, atom, place + taken.label(), &taken); !status.ok())
        return status;
    chain.residues.push_back(taken);
  }
  return chain;
}

std::string pdb_atom_line(int serial, const Chain& chain, const Residue& residue, size_t atom) {
  char line[96];
  std::snprintf(line, sizeof line,
                "ATOM  %5d  %-3s %3s %c%4d%c   %8.3f%8.3f%8.3f  1.00  0.00           %c  \n", serial % 100000,
                atom_name(atom), residue_name(residue.letter), chain.name[0], residue.number,
                residue.insertion, static_cast<double>(residue.atoms[atom][0]),
                static_cast<double>(residue.atoms[atom][1]), static_cast<double>(residue.atoms[atom][2]),
                atom_name(atom)[0]);
  return line;
}

Status check_pdb_room(const Chain& chain, const Residue& residue) {
  const auto unsupported = [&](const std::string& what) {
    return Status(StatusCode::kUnsupported, "a PDB file has no room for " + what)
        .at("chain '" + chain.name + "', residue " + residue.label())
        .hint("write mmCIF");
  };
  if (chain.name.size() != 1) return unsupported("the chain's name");
  if (residue.number < -999 || residue.number > 9999) return unsupported("the residue's number");
  for (size_t atom = 0; atom < kBackboneAtoms; ++atom)
    for (const float coordinate : residue.atoms[atom])
      if (residue.has(atom) && !(coordinate > -999.9995F && coordinate < 9999.9995F))
        return unsupported("a coordinate");
  return {};
}

// A value of an mmCIF loop: quoted where it must be. Names of chains and files hold no line breaks.
std::string cif_value(const std::string& text) {
  const bool is_plain = !text.empty() && text.find_first_not_of(
                                             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                             "0123456789") == std::string::npos;
  return is_plain ? text : gemmi::cif::quote(text);
}

constexpr const char* kAtomColumns[] = {"group_PDB",         "id",
                                        "type_symbol",       "label_atom_id",
                                        "label_alt_id",      "label_comp_id",
                                        "label_asym_id",     "label_seq_id",
                                        "pdbx_PDB_ins_code", "Cartn_x",
                                        "Cartn_y",           "Cartn_z",
                                        "occupancy",         "B_iso_or_equiv",
                                        "auth_seq_id",       "auth_comp_id",
                                        "auth_asym_id",      "auth_atom_id",
                                        "pdbx_PDB_model_num"};

std::string mmcif_atom_line(int serial, const std::string& chain, size_t place, const Residue& residue,
                            size_t atom) {
  const std::string name = residue_name(residue.letter), symbol(1, atom_name(atom)[0]);
  const char insertion = residue.insertion == ' ' ? '?' : residue.insertion;
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, "%.3f %.3f %.3f 1.00 0.00 %d",
                static_cast<double>(residue.atoms[atom][0]), static_cast<double>(residue.atoms[atom][1]),
                static_cast<double>(residue.atoms[atom][2]), residue.number);
  return "ATOM " + std::to_string(serial) + " " + symbol + " " + atom_name(atom) + " . " + name + " " +
         chain + " " + std::to_string(place) + " " + insertion + " " + numbers + " " + name + " " + chain +
         " " + atom_name(atom) + " 1\n";
}

}  // namespace

Result<Structure> parse_structure(std::string_view text, const std::string& name) {
  if (text.size() > kStructureMaxBytes)
    return Status(StatusCode::kUnsupported, "the file is too large for a structure")
        .at(name)
        .expected("at most " + std::to_string(kStructureMaxBytes) + " bytes")
        .got(std::to_string(text.size()));
  const Result<gemmi::Structure> parsed = parse_with_gemmi(text, name);
  if (!parsed.ok()) return parsed.status();
  Structure structure;
  structure.name = std::filesystem::path(name).stem().string();
  if (!parsed->models.empty())
    for (const gemmi::Chain& from : parsed->models[0].chains) {
      Result<Chain> chain = take_chain(from, name);
      if (!chain.ok()) return chain.status();
      if (chain->residues.empty()) continue;
      if (structure.find(chain->name) != nullptr)
        return Status(StatusCode::kCorruptData, "a chain appears twice")
            .at(name + ", chain '" + chain->name + "'");
      structure.chains.push_back(*std::move(chain));
    }
  if (structure.chains.empty())
    return Status(StatusCode::kUnsupported, "the file holds no residues of a protein")
        .at(name)
        .expected("a PDB or mmCIF file with ATOM records of amino acids");
  return structure;
}

Result<std::string> to_pdb(const Structure& structure) {
  std::string text;
  int serial = 0;
  for (const Chain& chain : structure.chains) {
    for (const Residue& residue : chain.residues) {
      if (Status room = check_pdb_room(chain, residue); !room.ok()) return room;
      for (size_t atom = 0; atom < kBackboneAtoms; ++atom)
        if (residue.has(atom)) text += pdb_atom_line(++serial, chain, residue, atom);
    }
    text += "TER\n";
  }
  return text + "END\n";
}

std::string to_mmcif(const Structure& structure) {
  std::string id;
  for (const char c : structure.name) id += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  std::string text = "data_" + id + "\nloop_\n";
  for (const char* column : kAtomColumns) text += std::string("_atom_site.") + column + "\n";
  int serial = 0;
  for (const Chain& chain : structure.chains) {
    const std::string chain_name = cif_value(chain.name);
    for (size_t i = 0; i < chain.residues.size(); ++i)
      for (size_t atom = 0; atom < kBackboneAtoms; ++atom)
        if (chain.residues[i].has(atom))
          text += mmcif_atom_line(++serial, chain_name, i + 1, chain.residues[i], atom);
  }
  return text;
}

}  // namespace weft
