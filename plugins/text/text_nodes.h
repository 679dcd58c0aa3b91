/// Nodes that need no model: text.load, text.save, text.template.
#ifndef WEFT_PLUGINS_TEXT_TEXT_NODES_H
#define WEFT_PLUGINS_TEXT_TEXT_NODES_H

#include <weft/sdk/plugin.h>

#include <string>
#include <variant>
#include <vector>

namespace weft::text {

/// A UTF-8 file as text.
class LoadNode {
 public:
  explicit LoadNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

/// A text into a file below the output folder.
class SaveNode {
 public:
  explicit SaveNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

/// "{{name}}" filled from the inputs; "{{{{" writes "{{". Values that are no text are written as JSON.
class TemplateNode {
 public:
  static Result<std::unique_ptr<TemplateNode>> create(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  using Part = std::variant<std::string, size_t>;  // literal text, or the index of an input
  std::vector<Part> parts_;
};

extern const weft_node_type kLoadNode, kSaveNode, kTemplateNode;

}  // namespace weft::text
#endif
