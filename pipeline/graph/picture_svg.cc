#include <algorithm>
#include <cstdio>

#include "pipeline/graph/layered_layout.h"
#include "pipeline/graph/picture.h"
#include "pipeline/graph/picture_model.h"

namespace weft {
namespace {

constexpr double kMargin = 16, kColumnGap = 56, kRowGap = 22;
constexpr double kHeader = 40, kTags = 18, kPortRow = 18, kPadding = 10;
constexpr double kTitleCharacter = 7.8,
                 kSmallCharacter = 6.4;  // mean widths of a sans-serif at 13 and 11 pixels

constexpr const char* kStyle =
    "<style>\n"
    "  "
    ".weft{--box:#ffffff;--line:#8a94a6;--text:#1c2430;--quiet:#5d6878;--link:#5f7fb8;--tag:#e8edf6;--end:#"
    "eef3ea}\n"
    "  @media (prefers-color-scheme:dark){.weft{--box:#232a35;--line:#66718a;--text:#e8ecf3;--quiet:#a3adbd;"
    "--link:#83a5e3;--tag:#323c4d;--end:#27332a}}\n"
    "  .weft text{font-family:system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif;font-size:11px;"
    "fill:var(--quiet)}\n"
    "  .weft .title{font-size:13px;font-weight:600;fill:var(--text)}\n"
    "  .weft .box{fill:var(--box);stroke:var(--line)}\n"
    "  .weft .end{fill:var(--end);stroke:var(--line)}\n"
    "  .weft .tag{fill:var(--tag)}\n"
    "  .weft .port{fill:var(--link)}\n"
    "  .weft .link{fill:none;stroke:var(--link);stroke-width:1.5}\n"
    "  .weft .condition{stroke-dasharray:5 4}\n"
    "</style>\n";

std::string svg_text(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '&') result += "&amp;";
    else if (c == '<') result += "&lt;";
    else if (c == '>') result += "&gt;";
    else if (c == '"') result += "&quot;";
    else if (static_cast<unsigned char>(c) < 0x20) result += ' ';
    else result += c;
  }
  return result;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  std::string result = text;
  if (result.ends_with(".0")) result.resize(result.size() - 2);
  return result == "-0" ? "0" : result;
}

double columns(std::string_view text) {
  return static_cast<double>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string attributes(std::initializer_list<std::pair<const char*, double>> values) {
  std::string text;
  for (const auto& [name, value] : values) text += std::string(" ") + name + "=\"" + number(value) + "\"";
  return text;
}

double tags_width(const PictureBox& box) {
  double width = 0;
  for (const std::string& tag : box.tags) width += columns(tag) * kSmallCharacter + 16;
  return width;
}

bool has_port_rows(const PictureBox& box) { return box.kind == PictureBox::Kind::kNode; }

double header_height(const PictureBox& box) { return kHeader + (box.tags.empty() ? 0 : kTags); }

LayoutBox size_of(const PictureBox& box) {
  LayoutBox size;
  double rows_width = 0;
  size_t rows = 0;
  if (has_port_rows(box)) {
    rows = std::max(box.ins.size(), box.outs.size());
    for (size_t i = 0; i < rows; ++i) {
      const double left = i < box.ins.size() ? columns(box.ins[i]) : 0;
      const double right = i < box.outs.size() ? columns(box.outs[i]) : 0;
      rows_width = std::max(rows_width, (left + right) * kSmallCharacter + 20);
    }
  }
  size.width =
      2 * kPadding + std::max({columns(box.title) * kTitleCharacter, columns(box.subtitle) * kSmallCharacter,
                               tags_width(box), rows_width, 40.0});
  if (!has_port_rows(box)) size.width += kPadding;  // round ends
  size.height = header_height(box) + (rows > 0 ? static_cast<double>(rows) * kPortRow + 6 : 0);
  if (box.kind == PictureBox::Kind::kOutput) size.column = LayoutBox::Column::kLast;
  return size;
}

// Where a link meets the box, from the box's corner.
double port_y(const PictureBox& box, const LayoutBox& size, uint32_t port) {
  if (!has_port_rows(box)) return size.height / 2;
  return header_height(box) + kPortRow * (port + 0.5);
}

std::string draw_link(const PictureLink& link, LayoutPoint from, LayoutPoint to,
                      const std::vector<LayoutPoint>& bends) {
  std::vector<LayoutPoint> points{from};
  points.insert(points.end(), bends.begin(), bends.end());
  points.push_back(to);
  std::string path = "M" + number(from.x) + " " + number(from.y);
  for (size_t i = 1; i < points.size(); ++i) {
    const LayoutPoint &a = points[i - 1], &b = points[i];
    if (i % 2 == 0) {  // along a column
      path += " L" + number(b.x) + " " + number(b.y);
      continue;
    }
    const double half = std::max((b.x - a.x) / 2, 12.0);
    path += " C" + number(a.x + half) + " " + number(a.y) + " " + number(b.x - half) + " " + number(b.y) +
            " " + number(b.x) + " " + number(b.y);
  }
  const bool condition = link.kind == PictureLink::Kind::kCondition;
  return std::string("<path class=\"link") + (condition ? " condition" : "") + "\" d=\"" + path + "\"/>\n";
}

std::string draw_text(double x, double y, const char* rest, std::string_view text) {
  return "<text" + attributes({{"x", x}, {"y", y}}) + rest + ">" + svg_text(text) + "</text>\n";
}

std::string draw_port(double x, double y) {
  return "<circle class=\"port\"" + attributes({{"cx", x}, {"cy", y}, {"r", 3}}) + "/>\n";
}

std::string draw_box(const PictureBox& box, const LayoutBox& size, LayoutPoint at) {
  const bool node = box.kind == PictureBox::Kind::kNode;
  std::string out = std::string("<g><rect class=\"") + (node ? "box" : "end") + "\"" +
                    attributes({{"x", at.x},
                                {"y", at.y},
                                {"width", size.width},
                                {"height", size.height},
                                {"rx", node ? 6 : size.height / 2}}) +
                    "/>\n";
  const double middle = at.x + size.width / 2;
  out += draw_text(middle, at.y + 17, " class=\"title\" text-anchor=\"middle\"", box.title);
  out += draw_text(middle, at.y + 32, " text-anchor=\"middle\"", box.subtitle);
  double x = middle - tags_width(box) / 2;
  for (const std::string& tag : box.tags) {
    const double width = columns(tag) * kSmallCharacter + 12;
    out +=
        "<rect class=\"tag\"" +
        attributes({{"x", x + 2}, {"y", at.y + kHeader - 1}, {"width", width}, {"height", 16}, {"rx", 8}}) +
        "/>\n";
    out += draw_text(x + 2 + width / 2, at.y + kHeader + 11, " text-anchor=\"middle\"", tag);
    x += width + 4;
  }
  for (uint32_t i = 0; i < box.ins.size(); ++i) {
    const double y = at.y + port_y(box, size, i);
    out += draw_port(at.x, y);
    if (node) out += draw_text(at.x + 8, y + 4, "", box.ins[i]);
  }
  for (uint32_t i = 0; i < box.outs.size(); ++i) {
    const double y = at.y + port_y(box, size, i);
    out += draw_port(at.x + size.width, y);
    if (node) out += draw_text(at.x + size.width - 8, y + 4, " text-anchor=\"end\"", box.outs[i]);
  }
  return out + "</g>\n";
}

}  // namespace

std::string picture_svg(const Graph& graph) {
  const PictureModel model = picture_model(graph);
  std::vector<LayoutBox> sizes;
  std::vector<LayoutLink> links;
  for (const PictureBox& box : model.boxes) sizes.push_back(size_of(box));
  for (const PictureLink& link : model.links) links.push_back({link.from, link.to});
  const Layout layout = layered_layout(sizes, links, kColumnGap, kRowGap);
  const double width = layout.width + 2 * kMargin, height = layout.height + 2 * kMargin;

  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"weft\" viewBox=\"0 0 " +
                    number(width) + " " + number(height) + "\"" +
                    attributes({{"width", width}, {"height", height}}) + " role=\"img\">\n";
  out += "<title>" + svg_text(graph.name.empty() ? "pipeline" : graph.name) + "</title>\n" + kStyle;
  out += "<g transform=\"translate(" + number(kMargin) + " " + number(kMargin) + ")\">\n";
  for (size_t i = 0; i < model.links.size(); ++i) {
    const PictureLink& link = model.links[i];
    const LayoutPoint from = layout.boxes[link.from], to = layout.boxes[link.to];
    out +=
        draw_link(link,
                  {from.x + sizes[link.from].width,
                   from.y + port_y(model.boxes[link.from], sizes[link.from], link.from_port)},
                  {to.x, to.y + port_y(model.boxes[link.to], sizes[link.to], link.to_port)}, layout.bends[i]);
  }
  for (size_t i = 0; i < model.boxes.size(); ++i) out += draw_box(model.boxes[i], sizes[i], layout.boxes[i]);
  return out + "</g>\n</svg>\n";
}

}  // namespace weft
