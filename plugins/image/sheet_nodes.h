/// Nodes that lay pictures out for people to look at: image.grid, image.annotate.
#ifndef WEFT_PLUGINS_IMAGE_SHEET_NODES_H
#define WEFT_PLUGINS_IMAGE_SHEET_NODES_H

#include <weft/sdk/plugin.h>

#include <string>
#include <vector>

#include "modalities/image/image.h"
#include "modalities/image/text_lines.h"

namespace weft::image {

/// Many pictures as one, in rows and columns.
class GridNode {
 public:
  static Result<std::unique_ptr<GridNode>> create(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  std::vector<std::string> ports_;  // names of all inputs
  int64_t columns_ = 0, spacing_ = 0;
  Rgba color_{};
};

/// A text on a picture, or on a strip above or below it.
class AnnotateNode {
 public:
  static Result<std::unique_ptr<AnnotateNode>> create(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  Result<TextMask> letters(const sdk::Request& request, std::string_view text,
                           const TextLayout& layout) const;

  bool strip_ = true, top_ = false;  // beside the picture instead of on it; at its top instead of its bottom
  TextLayout layout_;
  std::string font_;  // a file; empty: built-in letters, or what fontconfig finds
  Rgba color_{}, background_{};
};

extern const weft_node_type kGridNode, kAnnotateNode;

}  // namespace weft::image
#endif
