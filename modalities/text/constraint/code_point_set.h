/// Sets of Unicode code points, as sorted ranges. Surrogates are no characters: complements leave them out.
#ifndef WEFT_MODALITIES_TEXT_CONSTRAINT_CODE_POINT_SET_H
#define WEFT_MODALITIES_TEXT_CONSTRAINT_CODE_POINT_SET_H

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace weft::constraint {

struct CodePointRange {
  uint32_t first, last;  ///< both within
  friend auto operator<=>(const CodePointRange&, const CodePointRange&) = default;
};

class CodePointSet {
 public:
  CodePointSet() = default;
  CodePointSet(std::initializer_list<CodePointRange> ranges) {
    for (const CodePointRange& range : ranges) add(range.first, range.last);
  }
  static CodePointSet single(uint32_t code_point) { return {{code_point, code_point}}; }
  /// Every character.
  static CodePointSet all() { return CodePointSet().complement(); }
  /// Unicode's general category: "L", "Lu", "Nd", ... Empty if there is none of this name.
  static CodePointSet category(std::string_view name);

  void add(uint32_t first, uint32_t last);
  void add(const CodePointSet& other);
  CodePointSet complement() const;
  CodePointSet intersection(const CodePointSet& other) const;
  CodePointSet without(const CodePointSet& other) const { return intersection(other.complement()); }
  bool contains(uint32_t code_point) const;
  bool empty() const { return ranges_.empty(); }
  /// Sorted, disjoint, not adjoining.
  const std::vector<CodePointRange>& ranges() const { return ranges_; }
  friend auto operator<=>(const CodePointSet&, const CodePointSet&) = default;

 private:
  std::vector<CodePointRange> ranges_;
};

}  // namespace weft::constraint
#endif
