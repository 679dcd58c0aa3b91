/// Descriptors as JSON text: what the describing child sends, and what the descriptor cache holds.
#ifndef WEFT_PIPELINE_LOADER_DESCRIPTOR_JSON_H
#define WEFT_PIPELINE_LOADER_DESCRIPTOR_JSON_H

#include <string>
#include <string_view>

#include "pipeline/loader/describe.h"

namespace weft {

/// One JSON object on one line; infinite bounds are null.
std::string description_to_json(const Description& description);

/// Errors: kVersionMismatch (written by another version), kCorruptData (anything else that is not what
/// description_to_json writes).
Result<Description> description_from_json(std::string_view json);

}  // namespace weft
#endif
