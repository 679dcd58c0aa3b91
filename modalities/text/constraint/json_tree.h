/// JSON as a tree that keeps the spelling of numbers and the order of members.
#ifndef WEFT_MODALITIES_TEXT_CONSTRAINT_JSON_TREE_H
#define WEFT_MODALITIES_TEXT_CONSTRAINT_JSON_TREE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::constraint {

struct JsonMember;

struct Json {
  enum class Kind : uint8_t { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  std::string text;  ///< a string's value, a number's spelling
  std::vector<Json> items;
  std::vector<JsonMember> members;

  // Defined where JsonMember is complete.
  explicit Json(Kind of_kind = Kind::kNull, std::string of_text = {});
  Json(const Json&);
  Json(Json&&) noexcept;
  Json& operator=(const Json&);
  Json& operator=(Json&&) noexcept;
  ~Json();
  static Json string(std::string text);
  static Json array(std::vector<Json> items);
  static Json object(std::vector<JsonMember> members);

  bool is_object() const { return kind == Kind::kObject; }
  bool is_array() const { return kind == Kind::kArray; }
  bool is_string() const { return kind == Kind::kString; }
  const Json* find(std::string_view name) const;
};

struct JsonMember {
  std::string name;
  Json value;
};

/// Whether two values are equal as JSON Schema compares them: numbers by value, objects whatever their order.
bool equal(const Json& a, const Json& b);
/// Without white space; numbers as they were spelled.
std::string to_json_text(const Json& json);
/// "an object", "a string", ...
const char* kind_name(const Json& json);

/// Errors: kCorruptData (with the offset; a member twice, too), kOutOfRange (nested deeper than max_depth).
Result<Json> parse_json_tree(std::string_view text, int max_depth);

}  // namespace weft::constraint
#endif
