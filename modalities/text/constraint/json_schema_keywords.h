/// What the words of a JSON schema are, and where a schema stands.
#ifndef WEFT_MODALITIES_TEXT_CONSTRAINT_JSON_SCHEMA_KEYWORDS_H
#define WEFT_MODALITIES_TEXT_CONSTRAINT_JSON_SCHEMA_KEYWORDS_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "modalities/text/constraint/json_tree.h"

namespace weft::constraint {

/// A schema and where it stands. The JSON is not owned.
struct Schema {
  const Json* json;
  std::string pointer;  ///< JSON pointer (RFC 6901)

  /// The part under a member's name or an element's index.
  Schema below(std::string_view key, const Json* part) const;
  /// An error at this place.
  Status error(StatusCode code, std::string message, std::string expected = {}, std::string got = {}) const;
};

enum class KeywordGroup : uint8_t {
  kAnnotation,  ///< says nothing about which values are valid
  kGeneral,
  kObject,
  kArray,
  kString,
  kNumber,
};
bool is_keyword(KeywordGroup group, std::string_view name);
/// Whether a schema has a keyword of the group.
bool mentions(const Json& schema, KeywordGroup group);
/// Errors: kUnsupported, for a keyword of none of the groups.
Status check_keywords(const Schema& schema);

/// A format's regular expression, for the whole string; null for an unknown one.
const std::string* format_pattern(std::string_view format);
std::string format_names();

}  // namespace weft::constraint
#endif
