/// The references in texts of a pipeline file: "Describe ${inputs.topic} in one sentence."
///
/// ${inputs.x} and ${node.port} insert; $${ stands for ${ itself; every other $ is an ordinary character.
#ifndef WEFT_PIPELINE_GRAPH_REFERENCE_H
#define WEFT_PIPELINE_GRAPH_REFERENCE_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// A piece of a text: fixed, or what stands between ${ and }.
struct TextPiece {
  enum class Kind { kFixed, kReference } kind = Kind::kFixed;
  std::string text;
  uint32_t offset = 0;  // of the piece, in bytes of the text
};

/// The pieces in order, fixed ones not empty; an empty text has none. nullopt if a ${ is not closed, with its offset in
/// `unclosed`.
std::optional<std::vector<TextPiece>> split_text(std::string_view text, uint32_t& unclosed);

/// A name that users give: of nodes, inputs, outputs, models and extra ports: a letter or '_', then letters, digits,
/// '_' and '-'; at most 128 bytes.
bool is_pipeline_name(std::string_view name);

}  // namespace weft
#endif
