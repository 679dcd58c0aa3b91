#include "pipeline/graph/picture.h"

#include "pipeline/graph/picture_model.h"

namespace weft {
namespace {

// One line for a quoted DOT string. Graphviz knows only these two escapes; control characters become blanks.
std::string dot_text(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result;
}

// Mermaid reads #name; as a character, and Markdown pages read HTML.
std::string mermaid_text(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '"') result += "#quot;";
    else if (c == '<') result += "#lt;";
    else if (c == '>') result += "#gt;";
    else if (c == '#') result += "#35;";
    else if (c == '`') result += "#96;";
    else if (static_cast<unsigned char>(c) < 0x20) result += ' ';
    else result += c;
  }
  return result;
}

std::string subtitle_of(const PictureBox& box) {
  std::string text = box.subtitle;
  for (const std::string& tag : box.tags) text += ", " + tag;
  return text;
}

// "text -> prompt", one name where they are equal or one is missing.
std::string link_label(const PictureModel& model, const PictureLink& link) {
  const std::string& from = model.boxes[link.from].outs[link.from_port];
  const std::string& to = model.boxes[link.to].ins[link.to_port];
  if (from.empty() || from == to) return to;
  return to.empty() ? from : from + " \u2192 " + to;
}

}  // namespace

std::string picture_dot(const Graph& graph) {
  const PictureModel model = picture_model(graph);
  std::string out = "digraph pipeline {\n  rankdir=LR;\n";
  out += "  node [fontname=\"sans-serif\", fontsize=11, shape=box, style=rounded];\n";
  out += "  edge [fontname=\"sans-serif\", fontsize=9];\n";
  for (size_t i = 0; i < model.boxes.size(); ++i) {
    const PictureBox& box = model.boxes[i];
    out += "  n" + std::to_string(i) + " [label=\"" + dot_text(box.title) + "\\n" +
           dot_text(subtitle_of(box)) + "\"";
    out += box.kind == PictureBox::Kind::kNode ? "];\n" : ", shape=ellipse];\n";
  }
  for (const PictureLink& link : model.links) {
    out += "  n" + std::to_string(link.from) + " -> n" + std::to_string(link.to);
    out += " [label=\"" + dot_text(link_label(model, link)) + "\"";
    out += link.kind == PictureLink::Kind::kCondition ? ", style=dashed];\n" : "];\n";
  }
  return out + "}\n";
}

std::string picture_mermaid(const Graph& graph) {
  const PictureModel model = picture_model(graph);
  std::string out = "flowchart LR\n";
  for (size_t i = 0; i < model.boxes.size(); ++i) {
    const PictureBox& box = model.boxes[i];
    const bool node = box.kind == PictureBox::Kind::kNode;
    out += "  n" + std::to_string(i) + (node ? "[\"" : "([\"") + mermaid_text(box.title) + "<br/><small>" +
           mermaid_text(subtitle_of(box)) + "</small>" + (node ? "\"]\n" : "\"])\n");
  }
  for (const PictureLink& link : model.links) {
    const std::string label = mermaid_text(link_label(model, link));
    const char* arrow = link.kind == PictureLink::Kind::kCondition ? " -.->" : " -->";
    out += "  n" + std::to_string(link.from) + arrow + (label.empty() ? "" : "|\"" + label + "\"|") + " n" +
           std::to_string(link.to) + "\n";
  }
  return out;
}

}  // namespace weft
