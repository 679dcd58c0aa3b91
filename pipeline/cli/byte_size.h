/// Sizes in bytes as people write and read them.
#ifndef WEFT_PIPELINE_CLI_BYTE_SIZE_H
#define WEFT_PIPELINE_CLI_BYTE_SIZE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::cli {

/// "4096", "512 MiB", "512M", "1.5g": units are powers of 1024, their case and the "iB" or "B" do not matter.
/// Errors: kInvalidArgument; kOutOfRange from 2^64 bytes on.
Result<uint64_t> parse_byte_size(std::string_view text);
/// "0 B", "1023 B", "1.5 KiB", "98.3 MiB": three digits.
std::string format_byte_size(uint64_t size_bytes);
/// "12 ms", "1.25 s", "3 min 4 s", "5 h 12 min".
std::string format_duration(double seconds);

}  // namespace weft::cli
#endif
