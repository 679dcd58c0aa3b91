#include "pipeline/graph/picture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "pipeline/graph/layered_layout.h"
#include "pipeline/graph/parse.h"
#include "pipeline/graph/testing/example_catalog.h"

namespace weft {
namespace {

std::shared_ptr<const Graph> graph_of(const std::string& text) {
  static const Catalog catalog = example_catalog();
  const PipelineReader inner = [](const std::string&) -> Result<std::string> {
    return std::string(
        R"({"weft":1,"inputs":{"t":{"type":"text"}},"nodes":{"s":{"uses":"text.split","in":{"text":"inputs.t"}}},
                           "outputs":{"n":"s.count"}})");
  };
  const ParsedPipeline parsed = parse_pipeline(text, "p.json", catalog, inner);
  if (!parsed.graph) ADD_FAILURE() << to_text(parsed.diagnostics.at(0), Excerpt::kShow);
  return parsed.graph;
}

const char* const kPipeline =
    R"({"weft":1,"name":"a <b> & \"c\"","inputs":{"topic":{"type":"text"},"words":{"type":"list<text>"}},
  "models":{"m":{"path":"x"}},"nodes":{
    "route":{"uses":"text.choose","with":{"model":"m","prompt":"${inputs.topic}?","options":["a"]}},
    "say":{"uses":"text.generate","with":{"model":"m","prompt":"${inputs.topic}"},"when":"route.sure"},
    "each":{"uses":"text.split","for_each":"inputs.words"},
    "inner":{"uses":"pipeline:x<\"y\">.json","in":{"t":"say.text"}},
    "save":{"uses":"text.save","in":{"text":"say.text"},"with":{"path":"${route.choice}.txt"}}},
  "outputs":{"file":"save.path","n":"inner.n","counts":"each.count"}})";

TEST(Picture, IsDotWithEscapedLabels) {
  EXPECT_EQ(picture_dot(*graph_of(kPipeline)),
            R"x(digraph pipeline {
  rankdir=LR;
  node [fontname="sans-serif", fontsize=11, shape=box, style=rounded];
  edge [fontname="sans-serif", fontsize=9];
  n0 [label="topic\ntext", shape=ellipse];
  n1 [label="words\nlist<text>", shape=ellipse];
  n2 [label="route\ntext.choose, m"];
  n3 [label="say\ntext.generate, m"];
  n4 [label="each\ntext.split, for each"];
  n5 [label="inner\npipeline:x<\"y\">.json"];
  n6 [label="save\ntext.save"];
  n7 [label="file\npath", shape=ellipse];
  n8 [label="n\nint", shape=ellipse];
  n9 [label="counts\nlist<int>", shape=ellipse];
  n0 -> n2 [label="prompt"];
  n2 -> n3 [label="sure → when", style=dashed];
  n0 -> n3 [label="prompt"];
  n1 -> n4 [label="text"];
  n3 -> n5 [label="text → t"];
  n3 -> n6 [label="text"];
  n2 -> n6 [label="choice → path"];
  n6 -> n7 [label="path"];
  n5 -> n8 [label="n"];
  n4 -> n9 [label="count"];
}
)x");
}

TEST(Picture, IsMermaidWithEscapedLabels) {
  const std::string text = picture_mermaid(*graph_of(kPipeline));
  EXPECT_EQ(text.substr(0, 13), "flowchart LR\n");
  EXPECT_NE(text.find("  n0([\"topic<br/><small>text</small>\"])\n"), std::string::npos);
  EXPECT_NE(text.find("  n5[\"inner<br/><small>pipeline:x#lt;#quot;y#quot;#gt;.json</small>\"]\n"),
            std::string::npos);
  EXPECT_NE(text.find("  n2 -.->|\"sure → when\"| n3\n"), std::string::npos);
}

// A reader of the XML that the picture uses: tags nest, attributes are quoted, text is escaped. Returns the texts.
std::vector<std::string> texts_of_xml(const std::string& xml) {
  std::vector<std::string> open, texts;
  size_t at = 0;
  while (at < xml.size()) {
    if (xml[at] != '<') {
      const size_t end = std::min(xml.find('<', at), xml.size());
      const std::string text = xml.substr(at, end - at);
      EXPECT_EQ(text.find("]]>"), std::string::npos);
      if (!open.empty() && (open.back() == "text" || open.back() == "title")) texts.push_back(text);
      at = end;
      continue;
    }
    size_t end = at;
    for (bool quoted = false; end < xml.size() && (quoted || xml[end] != '>'); ++end)
      quoted ^= xml[end] == '"';
    if (end >= xml.size()) {
      ADD_FAILURE() << "a tag without its end at " << at;
      break;
    }
    const std::string tag = xml.substr(at + 1, end - at - 1);
    EXPECT_EQ(tag.find('<'), std::string::npos) << tag;
    if (tag[0] == '/') {
      if (open.empty() || open.back() != tag.substr(1)) {
        ADD_FAILURE() << "unbalanced " << tag;
        break;
      }
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(tag.substr(0, tag.find_first_of(" \n")));
    }
    at = end + 1;
  }
  EXPECT_TRUE(open.empty());
  return texts;
}

TEST(Picture, IsWellFormedSvgThatShowsEverything) {
  const std::string svg = picture_svg(*graph_of(kPipeline));
  const std::vector<std::string> texts = texts_of_xml(svg);
  for (const char* text : {"a &lt;b&gt; &amp; &quot;c&quot;", "topic", "words", "route", "say", "each",
                           "inner", "save", "file", "text.generate", "for each", "when", "prompt",
                           "pipeline:x&lt;&quot;y&quot;&gt;.json", "list&lt;text&gt;"}) {
    EXPECT_NE(std::find(texts.begin(), texts.end(), text), texts.end()) << text;
  }
  EXPECT_NE(svg.find("prefers-color-scheme:dark"), std::string::npos);
  EXPECT_NE(svg.find("class=\"link condition\""), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(Picture, OfALargePipelineIsDrawnToo) {
  std::string text = R"({"weft":1,"nodes":{"n0":{"uses":"math.scale","with":{"x":1}})";
  for (int i = 1; i < 3000; ++i) {
    text += ",\"n" + std::to_string(i) + R"(":{"uses":"math.scale","in":{"x":"n)" + std::to_string(i - 1) +
            R"(.y","by":"n0.y"}})";
  }
  const std::string svg = picture_svg(*graph_of(text + "}}"));
  EXPECT_NE(svg.find(">n2999</text>"), std::string::npos);
}

TEST(LayeredLayout, NeverOverlapsBoxesAndKeepsLinksGoingRight) {
  std::mt19937 random(5);
  for (int round = 0; round < 40; ++round) {
    std::vector<LayoutBox> boxes(2 + random() % 60);
    std::vector<LayoutLink> links;
    for (LayoutBox& box : boxes)
      box = {20.0 + random() % 100, 10.0 + random() % 60, LayoutBox::Column::kByLinks};
    boxes.back().column = LayoutBox::Column::kLast;
    for (uint32_t to = 1; to < boxes.size(); ++to) {
      for (uint32_t i = 0; i < random() % 4; ++i) {
        const uint32_t from = random() % to;
        links.push_back({from, to});
      }
    }
    const Layout layout = layered_layout(boxes, links, 30, 8);
    for (size_t a = 0; a < boxes.size(); ++a) {
      const LayoutPoint p = layout.boxes[a];
      EXPECT_GE(p.x, 0);
      EXPECT_GE(p.y, -1e-9);
      EXPECT_LE(p.x + boxes[a].width, layout.width + 1e-9);
      EXPECT_LE(p.y + boxes[a].height, layout.height + 1e-9);
      for (size_t b = 0; b < a; ++b) {
        const LayoutPoint q = layout.boxes[b];
        const bool apart = p.x + boxes[a].width <= q.x || q.x + boxes[b].width <= p.x ||
                           p.y + boxes[a].height <= q.y + 1e-6 || q.y + boxes[b].height <= p.y + 1e-6;
        ASSERT_TRUE(apart) << round << ": " << a << " and " << b;
      }
    }
    for (size_t i = 0; i < links.size(); ++i) {
      double x = layout.boxes[links[i].from].x + boxes[links[i].from].width;
      for (const LayoutPoint& bend : layout.bends[i]) {
        EXPECT_GE(bend.x, x - 1e-9);
        x = bend.x;
      }
      EXPECT_GE(layout.boxes[links[i].to].x, x);
    }
  }
}

}  // namespace
}  // namespace weft
