/// Strings of the template language: immutable UTF-8 in which every byte knows where it came from.
///
/// Slices share nothing but keep each byte's origin, so "is this control token written in the template?" has
/// an exact answer after any number of operations. Indices are in bytes; the functions below turn code points
/// into bytes. Thread safety: immutable values.
#ifndef WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_TEXT_H
#define WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_TEXT_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/text/chat_template/chat_template.h"

namespace weft::jinja {

class Text {
 public:
  /// Bytes up to `end` (from the previous run's end) have this origin.
  struct Run {
    size_t end;
    TextOrigin origin;
  };

  Text() = default;
  Text(std::string bytes, TextOrigin origin);

  std::string_view bytes() const { return data_ ? std::string_view(data_->bytes) : std::string_view(); }
  size_t size() const { return data_ ? data_->bytes.size() : 0; }
  bool empty() const { return size() == 0; }
  const std::vector<Run>& runs() const;
  /// Content as soon as one byte is: the origin of what is computed from the whole.
  TextOrigin origin() const;
  /// Bytes [begin, end). Precondition: begin <= end <= size().
  Text slice(size_t begin, size_t end) const;

 private:
  friend class TextBuilder;
  struct Data {
    std::string bytes;
    std::vector<Run> runs;
  };
  std::shared_ptr<const Data> data_;
};

class TextBuilder {
 public:
  TextBuilder& append(std::string_view bytes, TextOrigin origin);
  TextBuilder& append(const Text& text) { return append(text, 0, text.size()); }
  TextBuilder& append(const Text& text, size_t begin, size_t end);
  size_t size() const { return data_.bytes.size(); }
  /// The text built; the builder is empty afterwards.
  Text finish();

 private:
  Text::Data data_;
};

/// The offset of the first byte that does not begin or continue valid UTF-8, or npos.
size_t find_invalid_utf8(std::string_view bytes);
/// The code point at `*offset`, which moves behind it. Precondition: valid UTF-8, *offset < size.
uint32_t next_code_point(std::string_view bytes, size_t* offset);
size_t count_code_points(std::string_view bytes);
/// The byte offset of the code point with this index; size() for all past the end.
size_t byte_offset(std::string_view bytes, size_t code_point_index);
/// What Python's str.isspace() calls white space.
bool is_space(uint32_t code_point);
/// The part of `bytes` without white space at its ends, as [begin, end).
struct ByteRange {
  size_t begin, end;
};
ByteRange without_leading_space(std::string_view bytes);
ByteRange without_trailing_space(std::string_view bytes);

}  // namespace weft::jinja
#endif
