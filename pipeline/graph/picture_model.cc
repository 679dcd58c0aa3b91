#include "pipeline/graph/picture_model.h"

#include <algorithm>

#include "pipeline/graph/literal.h"

namespace weft {
namespace {

uint32_t index_of(std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<uint32_t>(found - names.begin());
  names.push_back(name);
  return static_cast<uint32_t>(names.size() - 1);
}

class Builder {
 public:
  explicit Builder(const Graph& graph) : graph_(graph), input_box_(graph.inputs.size(), kNone) {}

  PictureModel build() {
    add_inputs();
    first_node_ = static_cast<uint32_t>(model_.boxes.size());
    for (const Node& node : graph_.nodes) add_node(node);
    for (const Node& node : graph_.nodes) link_node(node);
    for (const PipelineOutput& output : graph_.outputs) {
      model_.boxes.push_back({PictureBox::Kind::kOutput, output.name, output.type, {}, {}, {}});
      link(output.source, static_cast<uint32_t>(model_.boxes.size() - 1), "", PictureLink::Kind::kData);
    }
    return std::move(model_);
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  template <typename Visit>
  void visit_sources(const Node& node, const Visit& visit) const {
    if (node.when) visit(node.when->source, "when", PictureLink::Kind::kCondition);
    for (const InputBinding& input : node.inputs) {
      if (input.source) visit(*input.source, input.name, PictureLink::Kind::kData);
      if (!input.literal) continue;
      for (const Source& source : references(*input.literal))
        visit(source, input.name, PictureLink::Kind::kData);
    }
    for (const ParameterBinding& parameter : node.parameters) {
      for (const Source& source : references(parameter.value))
        visit(source, parameter.name, PictureLink::Kind::kData);
    }
  }

  void add_inputs() {
    std::vector<uint8_t> used(graph_.inputs.size());
    const auto note = [&](const Source& source, const std::string&, PictureLink::Kind) {
      if (source.node < 0) used[source.port] = 1;
    };
    for (const Node& node : graph_.nodes) visit_sources(node, note);
    for (const PipelineOutput& output : graph_.outputs) note(output.source, "", PictureLink::Kind::kData);
    for (size_t i = 0; i < used.size(); ++i) {
      if (used[i] == 0) continue;
      input_box_[i] = static_cast<uint32_t>(model_.boxes.size());
      model_.boxes.push_back(
          {PictureBox::Kind::kInput, graph_.inputs[i].name, graph_.inputs[i].type, {}, {}, {}});
    }
  }

  void add_node(const Node& node) {
    PictureBox box{PictureBox::Kind::kNode, node.name, node.uses, {}, {}, {}};
    if (node.for_each) box.tags.push_back("for each");
    for (const ModelUse& use : node.models) box.tags.push_back(graph_.models[use.model].name);
    model_.boxes.push_back(std::move(box));
  }

  void link_node(const Node& node) {
    const uint32_t to = first_node_ + static_cast<uint32_t>(&node - graph_.nodes.data());
    visit_sources(node, [&](const Source& source, const std::string& port, PictureLink::Kind kind) {
      link(source, to, port, kind);
    });
  }

  void link(const Source& source, uint32_t to, const std::string& port, PictureLink::Kind kind) {
    PictureLink result;
    result.from =
        source.node < 0 ? input_box_[source.port] : first_node_ + static_cast<uint32_t>(source.node);
    const std::string name = source.node < 0 ? "" : graph_.nodes[source.node].output_names[source.port];
    result.from_port = index_of(model_.boxes[result.from].outs, name);
    result.to = to;
    result.to_port = index_of(model_.boxes[to].ins, port);
    result.kind = kind;
    const bool again = !model_.links.empty() && model_.links.back().from == result.from &&
                       model_.links.back().from_port == result.from_port && model_.links.back().to == to &&
                       model_.links.back().to_port == result.to_port;
    if (!again) model_.links.push_back(result);
  }

  const Graph& graph_;
  PictureModel model_;
  std::vector<uint32_t> input_box_;
  uint32_t first_node_ = 0;
};

}  // namespace

PictureModel picture_model(const Graph& graph) { return Builder(graph).build(); }

}  // namespace weft
