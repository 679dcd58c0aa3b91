/// The text that Weft keeps with a picture: how it was made (see pipeline/run/run_record.h for what it says).
///
/// PNG holds it as an uncompressed iTXt chunk with the keyword "weft", the other formats as the property weft:record of
/// an XMP packet, where picture viewers look for such things. Reading needs no picture library. The text is JSON, so that
/// it has no control characters.
/// Thread safety: no shared state.
#ifndef WEFT_MODALITIES_IMAGE_FILES_RECORD_H
#define WEFT_MODALITIES_IMAGE_FILES_RECORD_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "modalities/image/files/image_file.h"

namespace weft {

inline constexpr size_t kMaxRecordBytes = 1 << 20;

/// The record of a picture file; none if it has none. Errors: kUnsupported (no picture of a known format), kCorruptData
/// (with the offset), kOutOfRange (longer than kMaxRecordBytes).
Result<std::optional<std::string>> read_image_record(std::span<const std::byte> file);

/// Whether a file of that format can hold it: a megabyte, in JPEG about 65,000 bytes. Errors: kOutOfRange.
Status check_record_size(std::string_view record, ImageFormat format);

/// The XMP packet around a record.
std::string record_packet(std::string_view record);
/// The content of JPEG's APP1 segment with that packet.
std::string jpeg_record_segment(std::string_view record);

}  // namespace weft
#endif
