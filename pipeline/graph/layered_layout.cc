#include "pipeline/graph/layered_layout.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace weft {
namespace {

constexpr size_t kMostBends = 20'000;
constexpr int kOrderSweeps = 8, kPositionSweeps = 12;
constexpr double kBendHeight = 6;

// A box, or the place where a link passes a column.
struct Item {
  uint32_t column = 0;
  double height = 0, y = 0;
  double rank = 0;  // in its column
  std::vector<uint32_t> left, right;
};

class LayeredLayout {
 public:
  LayeredLayout(std::span<const LayoutBox> boxes, std::span<const LayoutLink> links, double row_gap)
      : boxes_(boxes), links_(links), row_gap_(row_gap) {}

  Layout place(double column_gap) {
    assign_columns();
    add_links();
    order_columns();
    place_rows();
    return result(column_gap);
  }

 private:
  void assign_columns() {
    items_.resize(boxes_.size());
    for (size_t i = 0; i < boxes_.size(); ++i) items_[i].height = boxes_[i].height;
    std::vector<std::vector<uint32_t>> users(boxes_.size());
    for (const LayoutLink& link : links_) users[link.from].push_back(link.to);
    for (size_t i = 0; i < boxes_.size(); ++i) {
      for (uint32_t user : users[i])
        items_[user].column = std::max(items_[user].column, items_[i].column + 1);
    }
    // A box that only gives moves right, next to its first user: shorter links.
    std::vector<uint8_t> has_producer(boxes_.size());
    for (const LayoutLink& link : links_) has_producer[link.to] = 1;
    for (size_t i = 0; i < boxes_.size(); ++i) {
      if (has_producer[i] != 0 || users[i].empty()) continue;
      uint32_t nearest = UINT32_MAX;
      for (uint32_t user : users[i]) nearest = std::min(nearest, items_[user].column);
      items_[i].column = nearest - 1;
    }
    uint32_t last = 0;
    for (size_t i = 0; i < boxes_.size(); ++i) {
      if (boxes_[i].column == LayoutBox::Column::kByLinks) last = std::max(last, items_[i].column);
    }
    for (size_t i = 0; i < boxes_.size(); ++i) {
      if (boxes_[i].column == LayoutBox::Column::kLast) items_[i].column = last + 1;
    }
    uint32_t n_columns = 0;
    for (const Item& item : items_) n_columns = std::max(n_columns, item.column + 1);
    columns_.resize(n_columns);
    for (uint32_t i = 0; i < items_.size(); ++i) columns_[items_[i].column].push_back(i);
  }

  void add_links() {
    size_t n_bends = 0;
    for (const LayoutLink& link : links_) n_bends += items_[link.to].column - items_[link.from].column - 1;
    bends_.resize(links_.size());
    for (size_t i = 0; i < links_.size(); ++i) {
      uint32_t before = links_[i].from;
      const uint32_t end = items_[links_[i].to].column;
      for (uint32_t column = items_[before].column + 1; column < end && n_bends <= kMostBends; ++column) {
        const auto bend = static_cast<uint32_t>(items_.size());
        items_.push_back({column, kBendHeight, 0, 0, {}, {}});
        columns_[column].push_back(bend);
        bends_[i].push_back(bend);
        connect(before, bend);
        before = bend;
      }
      connect(before, links_[i].to);
    }
  }

  void connect(uint32_t left, uint32_t right) {
    items_[left].right.push_back(right);
    items_[right].left.push_back(left);
  }

  void number(const std::vector<uint32_t>& column) {
    for (size_t i = 0; i < column.size(); ++i) items_[column[i]].rank = static_cast<double>(i);
  }

  // Sorts a column by the mean rank of the neighbours on one side.
  void sort_column(std::vector<uint32_t>& column, std::vector<uint32_t> Item::*side) {
    std::vector<double> key(column.size());
    for (size_t i = 0; i < column.size(); ++i) {
      const std::vector<uint32_t>& neighbours = items_[column[i]].*side;
      double sum = 0;
      for (uint32_t neighbour : neighbours) sum += items_[neighbour].rank;
      key[i] = neighbours.empty() ? items_[column[i]].rank : sum / static_cast<double>(neighbours.size());
    }
    std::vector<size_t> order(column.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key[a] < key[b]; });
    std::vector<uint32_t> sorted;
    for (size_t i : order) sorted.push_back(column[i]);
    column = std::move(sorted);
    number(column);
  }

  void order_columns() {
    for (const std::vector<uint32_t>& column : columns_) number(column);
    for (int sweep = 0; sweep < kOrderSweeps; ++sweep) {
      for (size_t c = 1; c < columns_.size(); ++c) sort_column(columns_[c], &Item::left);
      for (size_t c = columns_.size(); c-- > 1;) sort_column(columns_[c - 1], &Item::right);
    }
  }

  double middle(uint32_t item) const { return items_[item].y + items_[item].height / 2; }

  // Moves the items of a column towards their neighbours; none passes another, and row_gap stays between them.
  void relax(const std::vector<uint32_t>& column, bool from_left) {
    std::vector<double> wanted(column.size());
    for (size_t i = 0; i < column.size(); ++i) {
      const Item& item = items_[column[i]];
      const std::vector<uint32_t>& neighbours = from_left ? item.left : item.right;
      double sum = 0;
      for (uint32_t neighbour : neighbours) sum += middle(neighbour);
      wanted[i] =
          neighbours.empty() ? item.y : sum / static_cast<double>(neighbours.size()) - item.height / 2;
    }
    // Blocks of items that touch share the mean of what they want (pool adjacent violators).
    struct Block {
      double sum, weight, offset;  // offset: height of the block's items and gaps
      size_t end;
    };
    std::vector<Block> blocks;
    for (size_t i = 0; i < column.size(); ++i) {
      blocks.push_back({wanted[i], 1, items_[column[i]].height + row_gap_, i + 1});
      while (blocks.size() > 1) {
        Block &upper = blocks[blocks.size() - 2], &lower = blocks.back();
        if (upper.sum / upper.weight + upper.offset <= lower.sum / lower.weight) break;
        upper.sum += lower.sum - upper.offset * lower.weight;
        upper.weight += lower.weight;
        upper.offset += lower.offset;
        upper.end = lower.end;
        blocks.pop_back();
      }
    }
    size_t i = 0;
    for (const Block& block : blocks) {
      double y = block.sum / block.weight;
      for (; i < block.end; ++i) {
        items_[column[i]].y = y;
        y += items_[column[i]].height + row_gap_;
      }
    }
  }

  void place_rows() {
    for (const std::vector<uint32_t>& column : columns_) {
      double y = 0;
      for (uint32_t item : column) {
        items_[item].y = y;
        y += items_[item].height + row_gap_;
      }
    }
    for (int sweep = 0; sweep < kPositionSweeps; ++sweep) {
      for (size_t c = 1; c < columns_.size(); ++c) relax(columns_[c], true);
      for (size_t c = columns_.size(); c-- > 1;) relax(columns_[c - 1], false);
    }
  }

  Layout result(double column_gap) const {
    std::vector<double> x(columns_.size()), width(columns_.size());
    for (size_t i = 0; i < boxes_.size(); ++i) {
      width[items_[i].column] = std::max(width[items_[i].column], boxes_[i].width);
    }
    for (size_t c = 1; c < x.size(); ++c) x[c] = x[c - 1] + width[c - 1] + column_gap;
    double top = items_.empty() ? 0 : items_[0].y;
    for (const Item& item : items_) top = std::min(top, item.y);
    Layout layout;
    for (size_t i = 0; i < boxes_.size(); ++i) {
      const uint32_t column = items_[i].column;
      layout.boxes.push_back({x[column] + (width[column] - boxes_[i].width) / 2, items_[i].y - top});
    }
    for (const std::vector<uint32_t>& link : bends_) {
      std::vector<LayoutPoint>& points = layout.bends.emplace_back();
      for (uint32_t bend : link) {
        const uint32_t column = items_[bend].column;
        points.push_back({x[column], middle(bend) - top});
        points.push_back({x[column] + width[column], middle(bend) - top});
      }
    }
    for (const Item& item : items_) layout.height = std::max(layout.height, item.y - top + item.height);
    if (!x.empty()) layout.width = x.back() + width.back();
    return layout;
  }

  std::span<const LayoutBox> boxes_;
  std::span<const LayoutLink> links_;
  double row_gap_;
  std::vector<Item> items_;  // the boxes, then bends
  std::vector<std::vector<uint32_t>> columns_;
  std::vector<std::vector<uint32_t>> bends_;  // by link
};

}  // namespace

Layout layered_layout(std::span<const LayoutBox> boxes, std::span<const LayoutLink> links, double column_gap,
                      double row_gap) {
  return LayeredLayout(boxes, links, row_gap).place(column_gap);
}

}  // namespace weft
