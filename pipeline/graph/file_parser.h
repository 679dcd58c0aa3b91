/// One pipeline file to a Graph: the parts of parse.h that know the language. Internal to the parser.
///
/// Works through the file in an order in which names are known before they are used: inputs, the nodes' names and types,
/// models, links and literals, model types, topological order, outputs. A mistake is reported and what depends on it
/// is passed over silently, so that one mistake gives one message.
#ifndef WEFT_PIPELINE_GRAPH_FILE_PARSER_H
#define WEFT_PIPELINE_GRAPH_FILE_PARSER_H

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "pipeline/graph/file_report.h"
#include "pipeline/graph/graph.h"
#include "pipeline/graph/json_tree.h"
#include "pipeline/graph/reference.h"

namespace weft {

/// The graph of a file that a node names, or why there is none: an empty Mistake if the file's own errors say it.
struct SubgraphResult {
  std::shared_ptr<const Graph> graph;
  std::optional<Mistake> mistake;
};
using SubgraphLoader = std::function<SubgraphResult(const std::string& path)>;

class FileParser {
 public:
  /// All of them outlive the parser. load: parses "pipeline:..." files, paths relative to this one's folder.
  FileParser(const JsonTree& tree, const Catalog& catalog, FileReport& report, const LineIndex& lines,
             SubgraphLoader load)
      : tree_(tree), catalog_(catalog), report_(report), lines_(lines), load_(std::move(load)) {}

  /// Null if the file has errors. folder: see Graph.
  std::shared_ptr<const Graph> parse(std::string folder);

 private:
  struct Draft {  // a node while it is read
    JsonId id = kNoJson;
    Node node;
    bool complete = false;     // its type is known, so that ports can be checked
    bool all_readable = true;  // "in", "with" and "for_each" could be read, so that something can be missing
    std::vector<std::string> misspelt;                        // what unknown names probably meant
    std::unordered_map<std::string, uint32_t> extra_outputs;  // by name: which of the node's outputs
  };
  struct Port {  // what a reference means
    Source source;
    std::string type;
  };
  enum class Allowed { kInputs, kInputsAndNodes };  // what a template may refer to
  struct LiteralPlace {
    const ParameterDescriptor& parameter;  // name, type and bounds that the value must fit
    Allowed allowed;
    const Node* node;  // null in "models"
    std::string what;  // "parameter 'steps' of image.generate"
  };

  // Small readers; each reports what is wrong.
  std::vector<JsonId> members(JsonId object) const;  // without duplicates
  std::vector<JsonId> entries(JsonId root, std::string_view section);
  bool expect(JsonId id, JsonKind kind, const std::string& what);
  std::string text_member(JsonId object, std::string_view key, const std::string& what);
  std::string help_member(JsonId object);
  /// The full name of a member's device; "" if there is none.
  std::string device_member(JsonId object, const std::string& what);
  void check_names(JsonId object, const std::vector<std::string>& known, const std::string& what);
  bool check_new_name(JsonId entry, const char* what);
  SourcePosition position(JsonId id) const { return lines_.position(tree_[id].begin); }

  // Sections.
  void parse_version(JsonId root);
  void parse_inputs(JsonId root);
  void parse_models(JsonId root);
  void parse_outputs(JsonId root);

  // Nodes: names and types first, then what they hold.
  void draft_nodes(JsonId root);
  bool find_type(Draft& draft);
  void take_node_type(Draft& draft);
  void take_subgraph(Draft& draft, const Graph& graph);
  void fill_node(Draft& draft);
  void parse_for_each(Draft& draft);
  void parse_links(Draft& draft);
  void parse_link(Draft& draft, JsonId link);
  void parse_with(Draft& draft);
  void parse_with_member(Draft& draft, JsonId value);
  void parse_model_parameter(Draft& draft, const ParameterDescriptor& parameter, JsonId value);
  void bind_element(Draft& draft);
  void fill_defaults(Draft& draft);
  bool may_be_missing(const Draft& draft, const std::string& name) const;
  void check_inputs(Draft& draft);
  void check_known_inputs(Draft& draft);
  void parse_when(Draft& draft);
  void parse_limits(Draft& draft);
  void parse_device(Draft& draft);
  void collect_dependencies(Draft& draft);
  bool refers_to_element(const Node& node) const;
  std::vector<std::string> with_names(const Node& node) const;

  // Models once all users are known.
  void resolve_model_types();
  void resolve_model_type(size_t model);
  void parse_model_options(size_t model, const ModelTypeDescriptor& type);

  // References and literals.
  std::optional<Port> resolve(std::string_view reference, JsonId at, uint32_t offset, const Node* consumer);
  static std::optional<uint32_t> find_output(const Draft& draft, std::string_view name);
  std::optional<uint32_t> add_extra_output(Draft& draft, std::string_view name);
  std::optional<Port> resolve_input(std::string_view name, JsonId at, uint32_t offset);
  std::optional<Literal> parse_literal(JsonId value, const LiteralPlace& place);
  std::optional<Literal> parse_text(JsonId value, const LiteralPlace& place);
  std::optional<Literal> parse_nested(JsonId value, const LiteralPlace& place);
  bool append_json(JsonId value, const LiteralPlace& place, TemplateText& text, std::string& without);
  bool append_string(JsonId value, const LiteralPlace& place, TemplateText& text, std::string& without);
  std::optional<std::vector<TextPiece>> pieces_of(JsonId value);
  std::optional<Port> resolve_piece(JsonId value, const TextPiece& piece, const LiteralPlace& place);
  bool check_value(JsonId value, const std::string& json, const LiteralPlace& place);
  uint32_t offset_in(JsonId string, uint32_t offset) const;

  // Topological order.
  void sort_nodes();
  void report_cycles(const std::vector<uint32_t>& placed);
  void report_cycle(uint32_t member, const std::vector<uint32_t>& placed);

  const JsonTree& tree_;
  const Catalog& catalog_;
  FileReport& report_;
  const LineIndex& lines_;
  SubgraphLoader load_;

  Graph graph_;
  std::vector<Draft> drafts_;  // in file order
  std::unordered_set<JsonId> duplicates_;
  std::unordered_map<std::string_view, uint32_t> input_index_, model_index_, node_index_;
  std::vector<JsonId> input_ids_, model_ids_;
  std::vector<std::string> input_names_, model_names_, node_names_;
  std::vector<uint8_t> input_used_;
  struct ModelUser {
    JsonId id;
    const std::vector<std::string>* accepted;
  };
  std::vector<std::vector<ModelUser>> model_users_;
};

}  // namespace weft
#endif
