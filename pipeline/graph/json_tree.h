/// JSON text as a tree that remembers where everything stands, for a reader that reports many mistakes at once.
///
/// Strict RFC 8259 in UTF-8: no comments, no trailing commas, no NaN. A key that stands twice in one object is kept both
/// times and listed in duplicates(). Nodes are numbered in the order of the text; the root is 0.
/// Ownership: the tree copies decoded strings; `text` must outlive it. Thread safety: const access from any thread.
#ifndef WEFT_PIPELINE_GRAPH_JSON_TREE_H
#define WEFT_PIPELINE_GRAPH_JSON_TREE_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "pipeline/graph/graph.h"

namespace weft {

enum class JsonKind : uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };

using JsonId = uint32_t;
inline constexpr JsonId kNoJson = UINT32_MAX;

struct JsonNode {
  JsonKind kind = JsonKind::kNull;
  uint32_t begin = 0, end = 0;  // bytes of the text
  uint32_t key_begin = 0;       // of the member's name, where the parent is an object
  std::string_view key;         // decoded
  std::string_view text;        // a string decoded; a number or bool as written
  JsonId parent = kNoJson, first_child = kNoJson, next = kNoJson;
  uint32_t n_children = 0;
};

struct JsonLimits {
  size_t bytes, depth, string_bytes, values;
};

struct JsonError {
  uint32_t offset = 0;
  std::string message, expected, hint;
};

class JsonTree {
 public:
  /// text: at most 2^32 - 2 bytes, whatever the limits say.
  static std::variant<JsonTree, JsonError> parse(std::string_view text, const JsonLimits& limits);

  const JsonNode& operator[](JsonId id) const { return nodes_[id]; }
  JsonKind kind(JsonId id) const { return nodes_[id].kind; }
  /// Of an array or object, in the order of the text.
  std::vector<JsonId> children(JsonId id) const;
  /// The first member of that name, or kNoJson.
  JsonId find(JsonId object, std::string_view key) const;
  /// The second and later ones of equal keys in one object.
  const std::vector<JsonId>& duplicates() const { return duplicates_; }

  /// RFC 6901; "" for the root.
  std::string pointer(JsonId id) const;
  /// JSON text without blanks; equal values give equal texts, except for how numbers are written.
  std::string compact(JsonId id) const;

 private:
  friend class JsonTreeBuilder;
  std::vector<JsonNode> nodes_;
  std::vector<JsonId> duplicates_;
  std::unique_ptr<char[]> strings_;  // decoded text is never longer than its source
};

/// Line and column of offsets in a text. The text must outlive it.
class LineIndex {
 public:
  explicit LineIndex(std::string_view text);
  SourcePosition position(uint32_t offset) const;
  /// The line around the offset, cut to at most `width` bytes at character boundaries, and where in it the offset is.
  std::pair<std::string, uint32_t> excerpt(uint32_t offset, size_t width) const;

 private:
  std::string_view text_;
  std::vector<uint32_t> starts_;
};

/// True if two JSON texts write the same value: numbers by value, members in any order. False if one of them is not JSON.
bool same_json(std::string_view a, std::string_view b);

/// "a text", "an object" ...
const char* describe(JsonKind kind);

}  // namespace weft
#endif
