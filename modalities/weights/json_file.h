/// Small JSON files beside a model's weights (config.json, tokenizer.json): read whole, with bounded memory.
///
/// Only sources include this header: it brings RapidJSON.
#ifndef WEFT_MODALITIES_WEIGHTS_JSON_FILE_H
#define WEFT_MODALITIES_WEIGHTS_JSON_FILE_H

#include <rapidjson/document.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "modalities/weights/metadata.h"

namespace weft {

inline constexpr uint64_t kMaxConfigBytes = 16 << 20;
inline constexpr uint64_t kMaxTokenizerBytes = 256 << 20;

/// Reads a whole file of at most `max_bytes`. Errors: kNotFound, kIoError, kPermissionDenied, kOutOfRange
/// (larger).
Result<std::string> read_small_file(const std::filesystem::path& path, uint64_t max_bytes);

/// Parses JSON text, whatever its nesting, without recursion. `name` is the file's.
/// Errors: kCorruptData with the offset.
Result<rapidjson::Document> parse_json(std::string_view text, const std::string& name);
Result<rapidjson::Document> read_json_file(const std::filesystem::path& path, uint64_t max_bytes);

/// Flattens an object into `metadata` as metadata.h describes. Errors: kCorruptData (not an object, a key
/// twice, deeper than 16 levels).
Status flatten_json(const rapidjson::Value& object, Metadata& metadata);

}  // namespace weft
#endif
