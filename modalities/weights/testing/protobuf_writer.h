/// Makes protocol buffer messages for tests: fields appended in order, nothing checked.
///
///   const std::string tensor = ProtobufWriter().text(8, "w").integer(2, 1).packed(1, {2, 3}).bytes();
#ifndef WEFT_MODALITIES_WEIGHTS_TESTING_PROTOBUF_WRITER_H
#define WEFT_MODALITIES_WEIGHTS_TESTING_PROTOBUF_WRITER_H

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace weft::testing {

class ProtobufWriter {
 public:
  ProtobufWriter& integer(uint32_t field, uint64_t value) {
    varint(uint64_t{field} << 3);
    varint(value);
    return *this;
  }
  /// Text, bytes, or a message.
  ProtobufWriter& text(uint32_t field, std::string_view content) {
    varint(uint64_t{field} << 3 | 2);
    varint(content.size());
    bytes_ += content;
    return *this;
  }
  ProtobufWriter& message(uint32_t field, const ProtobufWriter& inner) { return text(field, inner.bytes_); }
  ProtobufWriter& packed(uint32_t field, std::initializer_list<uint64_t> values) {
    ProtobufWriter inner;
    for (const uint64_t value : values) inner.varint(value);
    return message(field, inner);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

}  // namespace weft::testing
#endif
