// The part of FileParser that orders the nodes and finds cycles.
#include <algorithm>
#include <queue>

#include "pipeline/graph/file_parser.h"

namespace weft {
namespace {

void renumber(Source& source, const std::vector<uint32_t>& new_index) {
  if (source.node >= 0) source.node = static_cast<int32_t>(new_index[source.node]);
}

void renumber(Literal& literal, const std::vector<uint32_t>& new_index) {
  auto* text = std::get_if<TemplateText>(&literal);
  if (text == nullptr) return;
  for (TemplateText::Part& part : text->parts) {
    if (auto* source = std::get_if<Source>(&part)) renumber(*source, new_index);
  }
}

void renumber(Node& node, const std::vector<uint32_t>& new_index) {
  for (InputBinding& input : node.inputs) {
    if (input.source) renumber(*input.source, new_index);
    if (input.literal) renumber(*input.literal, new_index);
  }
  for (ParameterBinding& parameter : node.parameters) renumber(parameter.value, new_index);
  if (node.when) renumber(node.when->source, new_index);
  if (node.for_each) renumber(*node.for_each, new_index);
  for (uint32_t& dependency : node.depends_on) dependency = new_index[dependency];
  std::sort(node.depends_on.begin(), node.depends_on.end());
}

}  // namespace

// Kahn's algorithm; among the nodes that are ready the first of the file goes first.
void FileParser::sort_nodes() {
  const size_t n = drafts_.size();
  std::vector<uint32_t> waiting_for(n);
  std::vector<std::vector<uint32_t>> users(n);
  for (uint32_t i = 0; i < n; ++i) {
    waiting_for[i] = static_cast<uint32_t>(drafts_[i].node.depends_on.size());
    for (uint32_t producer : drafts_[i].node.depends_on) users[producer].push_back(i);
  }
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ready;
  for (uint32_t i = 0; i < n; ++i) {
    if (waiting_for[i] == 0) ready.push(i);
  }
  std::vector<uint32_t> order, new_index(n, UINT32_MAX);
  order.reserve(n);
  while (!ready.empty()) {
    const uint32_t node = ready.top();
    ready.pop();
    new_index[node] = static_cast<uint32_t>(order.size());
    order.push_back(node);
    for (uint32_t user : users[node]) {
      if (--waiting_for[user] == 0) ready.push(user);
    }
  }
  if (order.size() < n) {
    report_cycles(new_index);
    return;
  }
  graph_.nodes.reserve(n);
  for (uint32_t index : order) {
    graph_.nodes.push_back(std::move(drafts_[index].node));
    renumber(graph_.nodes.back(), new_index);
  }
  for (PipelineOutput& output : graph_.outputs) renumber(output.source, new_index);
}

// Every node that could not be placed waits for another such node: following those leads into a cycle.
void FileParser::report_cycles(const std::vector<uint32_t>& placed) {
  std::vector<uint32_t> seen_in(drafts_.size(), 0);  // the walk that first came here, from 1
  uint32_t walk = 0;
  for (uint32_t start = 0; start < drafts_.size(); ++start) {
    if (placed[start] != UINT32_MAX || seen_in[start] != 0) continue;
    ++walk;
    uint32_t at = start;
    while (seen_in[at] == 0) {
      seen_in[at] = walk;
      const std::vector<uint32_t>& producers = drafts_[at].node.depends_on;
      at = *std::find_if(producers.begin(), producers.end(),
                         [&](uint32_t p) { return placed[p] == UINT32_MAX; });
    }
    if (seen_in[at] != walk) continue;  // a cycle that is reported already
    report_cycle(at, placed);
  }
}

void FileParser::report_cycle(uint32_t member, const std::vector<uint32_t>& placed) {
  constexpr size_t kShownNodes = 12;
  std::vector<uint32_t> cycle;  // against the direction of the links
  uint32_t at = member;
  do {
    cycle.push_back(at);
    const std::vector<uint32_t>& producers = drafts_[at].node.depends_on;
    at = *std::find_if(producers.begin(), producers.end(),
                       [&](uint32_t p) { return placed[p] == UINT32_MAX; });
  } while (at != member);
  std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
  std::string path = drafts_[cycle[0]].node.name;
  for (size_t i = cycle.size(); i-- > 0;) {
    if (cycle.size() > kShownNodes && cycle.size() - i == kShownNodes) {
      path += " -> ... (" + std::to_string(cycle.size()) + " nodes)";
      break;
    }
    path += " -> " + drafts_[cycle[i]].node.name;
  }
  report_.error_at_name(drafts_[cycle[0]].id,
                        {"a cycle: " + path, {}, {}, "no node may depend on its own output"});
}

}  // namespace weft
