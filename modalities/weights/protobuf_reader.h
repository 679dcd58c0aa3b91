/// A cursor over the fields of one protocol buffer message that cannot leave its bytes.
///
/// It knows the wire format, not what fields mean: numbers and contents in file order, groups (deprecated) as damage. A field of
/// another wire type than its reader expects has an empty content or the integer 0, as an unknown field would.
/// Ownership: views into the message, which must outlive them. Thread safety: one thread.
///
///   ProtobufReader reader(message, 0);
///   for (ProtobufField field; reader.next(field);)
///     if (field.number == 1) name = field.content;
///   if (reader.damaged()) return corrupt(reader.offset());
///
/// Source: protobuf.dev, "Encoding".
#ifndef WEFT_MODALITIES_WEIGHTS_PROTOBUF_READER_H
#define WEFT_MODALITIES_WEIGHTS_PROTOBUF_READER_H

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace weft {

struct ProtobufField {
  uint32_t number = 0;
  bool has_content = false;  // length-delimited: text, bytes, a message, packed numbers
  uint64_t integer = 0;      // varint or fixed
  std::string_view content;
};

class ProtobufReader {
 public:
  /// base: offset of the message in its file, for offset().
  ProtobufReader(std::string_view message, uint64_t base) : message_(message), base_(base) {}

  /// False at the end or at damage; then damaged() tells which.
  bool next(ProtobufField& field) {
    if (at_ == message_.size() || damaged_) return false;
    uint64_t key = 0;
    if (!varint(key) || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) return fail();
    field = {static_cast<uint32_t>(key >> 3), false, 0, {}};
    switch (key & 7) {
      case 0: return varint(field.integer) || fail();
      case 1: return fixed(8, field.integer) || fail();
      case 5: return fixed(4, field.integer) || fail();
      case 2: {
        uint64_t size = 0;
        if (!varint(size) || size > message_.size() - at_) return fail();
        field.content = message_.substr(at_, size);
        field.has_content = true;
        at_ += size;
        return true;
      }
      default: return fail();
    }
  }
  /// The next of the varints that a packed field consists of; as next().
  bool next_packed(uint64_t& value) {
    if (at_ == message_.size() || damaged_) return false;
    return varint(value) || fail();
  }
  bool damaged() const { return damaged_; }
  uint64_t offset() const { return base_ + at_; }
  uint64_t offset_of(std::string_view content) const {
    return content.empty() ? offset() : base_ + static_cast<uint64_t>(content.data() - message_.data());
  }

 private:
  bool fail() {
    damaged_ = true;
    return false;
  }
  bool varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && at_ < message_.size(); shift += 7) {
      const auto byte = static_cast<uint8_t>(message_[at_++]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool fixed(size_t size, uint64_t& value) {
    if (message_.size() - at_ < size) return false;
    value = 0;
    std::memcpy(&value, message_.data() + at_, size);
    at_ += size;
    return true;
  }

  std::string_view message_;
  uint64_t base_;
  size_t at_ = 0;
  bool damaged_ = false;
};

}  // namespace weft
#endif
