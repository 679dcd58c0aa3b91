/// Values as bytes on disk, and their content hash: for the result cache and manifests.
///
/// Format, little-endian: u8 kind, u32 length + type, then by kind: bool u8; int i64; float f64 bits; bytes
/// u32 length + media type, u64 length + data; tensor i32 dtype, i32 rank, i64 extents, u32 length +
/// attributes, u64 length + row-major elements; list u64 count + items. Equal values give equal bytes,
/// wherever they live and however strided.
#ifndef WEFT_PIPELINE_MEMORY_VALUE_CODEC_H
#define WEFT_PIPELINE_MEMORY_VALUE_CODEC_H

#include <functional>
#include <string>
#include <string_view>

#include "pipeline/memory/pool.h"
#include "pipeline/memory/value.h"

namespace weft {

/// Hands the encoding to `sink` piece by piece. Errors: kUnsupported for a tensor that is not in host memory.
Status encode_value(const Value& value, const std::function<void(std::string_view)>& sink);

/// Reads one value from the front of `data` and moves it past. Every size is checked against what is left
/// before anything is allocated. Errors: kCorruptData, kOutOfMemory.
Result<Value> decode_value(std::string_view& data, Pool& pool);

/// SHA-256 of a value's content in 64 lower-case hexadecimal digits: of the plain bytes for text, json, path
/// and bytes, so that it equals the hash of a file that holds them; of the encoding for everything else.
Result<std::string> content_sha256(const Value& value);
/// XXH3-128 of the encoding, 32 hexadecimal digits: for cache keys.
Result<std::string> content_xxh128(const Value& value);

}  // namespace weft
#endif
