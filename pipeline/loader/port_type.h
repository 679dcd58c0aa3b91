/// The grammar of port types: "text", "image.latent", "list<text>", "any"; see <weft/abi/plugin.h>.
#ifndef WEFT_PIPELINE_LOADER_PORT_TYPE_H
#define WEFT_PIPELINE_LOADER_PORT_TYPE_H

#include <string_view>

namespace weft {

/// A type that the contract defines, or "plugin.name" for a plugin's own tensor type, or a list of one of them.
/// Lists of lists and lists of "any" do not exist.
bool is_port_type(std::string_view type);

/// "text" for "list<text>"; empty for a type that is not a list.
std::string_view list_element_type(std::string_view type);

/// True if a value of type `from` may flow into a port of type `to`.
bool port_type_satisfies(std::string_view from, std::string_view to);

/// A name of a port, parameter or plugin: a lower-case letter, then lower-case letters, digits and '_'; at most 64 bytes.
bool is_identifier(std::string_view name);

/// Two or more identifiers joined by dots: a node type, a model type, a plugin's own port type.
bool is_dotted_name(std::string_view name);

}  // namespace weft
#endif
