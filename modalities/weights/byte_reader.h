/// A cursor over a file's bytes that cannot leave them: reads little-endian scalars and length-prefixed
/// strings. A failed read leaves the cursor where it was. Views it gives out live as long as the bytes.
#ifndef WEFT_MODALITIES_WEIGHTS_BYTE_READER_H
#define WEFT_MODALITIES_WEIGHTS_BYTE_READER_H

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace weft {

static_assert(std::endian::native == std::endian::little, "weight files are little-endian and read in place");

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes, uint64_t offset = 0)
      : bytes_(bytes), offset_(offset) {}

  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return bytes_.size() - offset_; }

  template <typename T>
  [[nodiscard]] bool read(T& value) {
    if (remaining() < sizeof(T)) return false;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return true;
  }

  /// A u64 length and that many bytes: GGUF's string.
  [[nodiscard]] bool read_string(std::string_view& text) {
    uint64_t size = 0;
    if (remaining() < sizeof size) return false;
    std::memcpy(&size, bytes_.data() + offset_, sizeof size);
    if (remaining() - sizeof size < size) return false;
    text = {reinterpret_cast<const char*>(bytes_.data() + offset_ + sizeof size), static_cast<size_t>(size)};
    offset_ += sizeof size + size;
    return true;
  }

  [[nodiscard]] bool skip(uint64_t size) {
    if (remaining() < size) return false;
    offset_ += size;
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
  uint64_t offset_;
};

}  // namespace weft
#endif
