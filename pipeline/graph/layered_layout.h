/// Places the boxes of an acyclic drawing in columns from left to right (Sugiyama's method): columns by longest path, order
/// within a column by barycentres, then vertical positions that keep links straight. Deterministic.
///
/// Links that pass over columns get a bend in each of them, with room of its own, so that they do not run through boxes.
#ifndef WEFT_PIPELINE_GRAPH_LAYERED_LAYOUT_H
#define WEFT_PIPELINE_GRAPH_LAYERED_LAYOUT_H

#include <cstdint>
#include <span>
#include <vector>

namespace weft {

struct LayoutBox {
  double width = 0, height = 0;
  enum class Column {
    kByLinks,
    kLast
  } column = Column::kByLinks;  // kLast: all in one column behind the others
};
struct LayoutLink {
  uint32_t from = 0, to = 0;  // from < to
};
struct LayoutPoint {
  double x = 0, y = 0;
};

struct Layout {
  std::vector<LayoutPoint> boxes;  // upper left corners
  std::vector<std::vector<LayoutPoint>>
      bends;                     // by link: points between its ends, from left to right, two a column
  double width = 0, height = 0;  // of everything; the corner is at 0, 0
};

/// Units are those of the boxes. Many links over many columns (more than about 20,000 bends) are drawn without bends.
Layout layered_layout(std::span<const LayoutBox> boxes, std::span<const LayoutLink> links, double column_gap,
                      double row_gap);

}  // namespace weft
#endif
