/// Names of items, which are the folders that their files are written to: a template, filled in for each item.
///
/// ${index} is the item's place among all items, from 1, in six digits or more; ${id} is its id, or the index where it has
/// none; ${matrix} is what a grid chose, joined by "-"; ${inputs.x} is an input. $${ stands for ${. The template may hold
/// "/" for folders. What is filled in may not: characters other than letters, digits, space, and . _ - + , = @ become "_",
/// except in UTF-8 beyond ASCII; a "." at the beginning too; each value is cut to 100 bytes.
/// Thread safety: const access from any thread.
///
///   Result<NameTemplate> names = NameTemplate::parse("${inputs.style}/${index}", graph);
///   std::string name = names->fill({.index = 17, .inputs = &values});   // "ink/000017"
#ifndef WEFT_PIPELINE_BATCH_ITEM_NAME_H
#define WEFT_PIPELINE_BATCH_ITEM_NAME_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/graph/graph.h"

namespace weft {

struct NameParts {
  uint64_t index = 0;  // from 1
  std::string id;
  std::vector<std::string> matrix;
  /// The text of an input of that name; empty if it has no value.
  std::function<std::string(const std::string& input)> input;
};

class NameTemplate {
 public:
  /// text: empty for the default, which is the id, followed by "-" and what the grid chose; the index where there is no id.
  /// Errors: kInvalidArgument for an unknown name in ${...}, an absolute path or a "." or ".." as a part.
  static Result<NameTemplate> parse(std::string_view text, const Graph& graph);

  /// Errors: kInvalidArgument if a part comes out empty, as "." or "..", or longer than 200 bytes.
  Result<std::string> fill(const NameParts& parts) const;

 private:
  struct Piece {
    enum class Kind { kText, kIndex, kId, kMatrix, kInput } kind = Kind::kText;
    std::string text;  // or the input's name
  };
  std::vector<Piece> pieces_;  // none: the default
};

/// "000017"
std::string index_name(uint64_t index);

}  // namespace weft
#endif
