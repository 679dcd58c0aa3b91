/// Names of dimensions, rows or lines, as a node's parameter of type list<text> gives them.
#ifndef WEFT_MODALITIES_FIELD_NAMES_H
#define WEFT_MODALITIES_FIELD_NAMES_H

#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// From JSON text, which the host has checked against the parameter's type; what is no text is left out.
std::vector<std::string> parse_names(std::string_view json);

}  // namespace weft
#endif
