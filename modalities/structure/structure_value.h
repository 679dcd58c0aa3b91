/// Structures as values between nodes: the port type "science.structure".
///
/// The tensor is [residues, 4, 3] f32: the places of N, CA, C and O in angstrom, NaN where an atom is missing. Attributes say
/// the rest: {"name": "1abc", "chains": [{"name": "A", "sequence": "MKV", "numbers": [1, 2, 3], "insertions": "   "}]}.
/// Thread safety: any thread.
#ifndef WEFT_MODALITIES_STRUCTURE_STRUCTURE_VALUE_H
#define WEFT_MODALITIES_STRUCTURE_STRUCTURE_VALUE_H

#include <weft/sdk/host.h>
#include <weft/sdk/status.h>

#include <string>
#include <string_view>

#include "modalities/structure/structure.h"

namespace weft {

inline constexpr const char* kStructureType = "science.structure";

/// Errors: kOutOfMemory.
Result<sdk::Value> make_structure_value(const Structure& structure, const sdk::Host& host,
                                        weft_stream* stream);

/// Errors: kInvalidArgument: another type, or a tensor and attributes that do not fit each other.
Result<Structure> structure_of(const sdk::Value& value);

/// The attributes, and the structure without the places of its atoms; what the functions above are made of.
std::string structure_attributes(const Structure& structure);
Result<Structure> structure_from_attributes(std::string_view json);

}  // namespace weft
#endif
