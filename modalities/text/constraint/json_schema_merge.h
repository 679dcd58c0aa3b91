/// Schemas that apply together, as one: $ref and allOf resolved, keywords merged.
#ifndef WEFT_MODALITIES_TEXT_CONSTRAINT_JSON_SCHEMA_MERGE_H
#define WEFT_MODALITIES_TEXT_CONSTRAINT_JSON_SCHEMA_MERGE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "modalities/text/constraint/json_schema_keywords.h"
#include "modalities/text/constraint/json_tree.h"

namespace weft::constraint {

/// Owns what it merges; schemas that it returns live as long as it and the root do.
class SchemaMerger {
 public:
  explicit SchemaMerger(const Json& root) : root_(root) {}

  /// What a $ref refers to. Errors: kCorruptData (it leads nowhere), kUnsupported (it leaves the schema).
  Result<Schema> resolve(const Schema& ref) const;
  /// The schema with its $ref and allOf merged into it.
  /// Errors: kUnsupported (keywords that cannot be merged), kOutOfRange (too much to merge), those of resolve().
  Result<Schema> flatten(const Schema& schema) { return flatten(schema, 0); }
  /// A schema that holds of the values of which both hold. What cannot be decided at once is left as an allOf of a
  /// member. Precondition: both are flat. Errors: as flatten().
  Result<Schema> merge(const Schema& a, const Schema& b);
  /// The schema without a keyword, and without annotations.
  Result<Schema> without(const Schema& schema, std::string_view keyword);
  /// Whether no value can satisfy both, as far as types, constants and required constant properties tell.
  bool disjoint(const Schema& a, const Schema& b) { return disjoint(a, b, 0); }

 private:
  Result<Schema> flatten(const Schema& schema, int depth);
  Result<Schema> own(Json json, const Schema& at);
  bool disjoint(const Schema& a, const Schema& b, int depth);

  const Json& root_;
  std::deque<Json> owned_;  // a deque, since schemas point at its elements
  size_t owned_values_ = 0;
  size_t flattened_ = 0;
};

/// The values that const or enum allow; none if the schema has neither.
std::vector<Json> constants(const Json& schema);
/// The name of a value's type; "number" for integers, too.
const char* type_name(const Json& value);

}  // namespace weft::constraint
#endif
