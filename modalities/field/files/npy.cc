#include "modalities/field/files/npy.h"

#include <weft/sdk/value.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

#include "kernels/quant/half.h"
#include "modalities/field/files/readers.h"

namespace weft::files {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxRank = WEFT_MAX_RANK;

Status corrupt(size_t offset, const std::string& what) {
  return Status(StatusCode::kCorruptData, what).at("offset " + std::to_string(offset));
}

/// A cursor over the header's text: a Python dictionary of a string, a boolean and a tuple of integers.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, size_t file_offset) : text_(text), file_offset_(file_offset) {}

  Status parse(NpyHeader* header) {
    if (!take('{')) return wrong("'{'");
    bool descr = false, order = false, shape = false;
    while (!take('}')) {
      const std::string_view key = string();
      if (!take(':')) return wrong("a key and ':'");
      bool* seen = key == "descr"           ? &descr
                   : key == "fortran_order" ? &order
                   : key == "shape"         ? &shape
                                            : nullptr;
      if (seen == nullptr || *seen) return wrong("the keys descr, fortran_order and shape, each once");
      *seen = true;
      Status status = seen == &descr   ? parse_descr(header)
                      : seen == &order ? parse_order(header)
                                       : parse_shape(header);
      if (!status.ok()) return status;
      if (!take(',') && peek() != '}') return wrong("',' or '}'");
    }
    if (peek() != '\0') return wrong("nothing after '}'");
    if (!descr || !order || !shape) return wrong("the keys descr, fortran_order and shape");
    return {};
  }

 private:
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  Status wrong(const std::string& expected) const {
    return corrupt(file_offset_ + at_, "the header of the array is malformed").expected(expected);
  }
  // Between single or double quotes; empty if there is none. No escapes: NumPy writes none.
  std::string_view string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return {};
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return {};
    const std::string_view content = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return content;
  }

  Status parse_descr(NpyHeader* header) {
    if (peek() == '[') return unsupported("a record of several types");
    const std::string_view descr = string();
    if (descr.size() < 2) return wrong("a type such as '<f4'");
    const std::string_view order = "<>|=";
    const bool known = order.find(descr[0]) != std::string_view::npos;
    header->big_endian = descr[0] == '>';
    header->kind = descr[1];
    int bytes = 0;
    const auto [end, error] = std::from_chars(descr.data() + 2, descr.data() + descr.size(), bytes);
    if (!known || error != std::errc() || end != descr.data() + descr.size()) {
      return unsupported("'" + std::string(descr) + "'");
    }
    header->item_bytes = bytes;
    const bool power = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
    const bool number = descr[1] == 'f'   ? power && bytes != 1
                        : descr[1] == 'b' ? bytes == 1
                                          : (descr[1] == 'i' || descr[1] == 'u') && power;
    return number ? Status() : unsupported("'" + std::string(descr) + "'");
  }
  static Status unsupported(const std::string& got) {
    return Status(StatusCode::kUnsupported, "the array holds no simple numbers")
        .expected("f2 to f8, i1 to i8, u1 to u8 or b1")
        .got(got);
  }
  Status parse_order(NpyHeader* header) {
    for (const auto& [word, value] : {std::pair{std::string_view("True"), true}, {"False", false}}) {
      if (peek() == word[0] && text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        header->fortran_order = value;
        return {};
      }
    }
    return wrong("True or False");
  }
  Status parse_shape(NpyHeader* header) {
    if (!take('(')) return wrong("'('");
    while (!take(')')) {
      int64_t extent = 0;
      peek();
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (error != std::errc() || extent < 0 || header->shape.size() == kMaxRank) {
        return wrong("at most " + std::to_string(kMaxRank) + " extents from 0 on");
      }
      at_ = static_cast<size_t>(end - text_.data());
      header->shape.push_back(extent);
      if (!take(',') && peek() != ')') return wrong("',' or ')'");
    }
    return {};
  }

  std::string_view text_;
  size_t file_offset_, at_ = 0;
};

Status check_size(const NpyHeader& header) {
  uint64_t bytes = static_cast<uint64_t>(header.item_bytes);
  for (const int64_t extent : header.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes) || bytes > INT64_MAX) {
      return corrupt(0, "the size of the array overflows");
    }
  }
  return {};
}

template <typename T>
T load(const std::byte* from, bool swap) {
  std::array<std::byte, sizeof(T)> bytes;
  std::memcpy(bytes.data(), from, sizeof(T));
  if (swap) std::reverse(bytes.begin(), bytes.end());
  return std::bit_cast<T>(bytes);
}

// Calls body(row-major index, position among the stored elements) for each element.
template <typename Body>
void for_each_stored(const NpyHeader& header, Body&& body) {
  int64_t count = 1;
  for (const int64_t extent : header.shape) count *= extent;
  if (!header.fortran_order || header.shape.size() < 2) {
    for (int64_t i = 0; i < count; ++i) body(i, i);
    return;
  }
  const size_t rank = header.shape.size();
  std::vector<int64_t> position(rank, 0), strides(rank, 1);
  for (size_t i = 1; i < rank; ++i) strides[i] = strides[i - 1] * header.shape[i - 1];
  int64_t stored = 0;
  for (int64_t i = 0; i < count; ++i) {
    body(i, stored);
    for (size_t axis = rank; axis-- > 0;) {
      stored += strides[axis];
      if (++position[axis] < header.shape[axis]) break;
      stored -= strides[axis] * header.shape[axis];
      position[axis] = 0;
    }
  }
}

template <typename From, typename To>
Status convert(const NpyHeader& header, const std::byte* data, To* to) {
  constexpr int64_t kExact = int64_t{1} << 53;
  int64_t inexact = -1;
  for_each_stored(header, [&](int64_t index, int64_t stored) {
    const From value = load<From>(data + stored * int64_t{sizeof(From)}, header.big_endian);
    if constexpr (sizeof(From) == 8 && std::is_integral_v<From>) {
      const bool fits = std::is_signed_v<From>
                            ? value <= static_cast<From>(kExact) &&
                                  (!std::is_signed_v<From> || static_cast<int64_t>(value) >= -kExact)
                            : value <= static_cast<From>(kExact);
      if (!fits && inexact < 0) inexact = index;
    }
    to[index] = static_cast<To>(value);
  });
  if (inexact < 0) return {};
  return Status(StatusCode::kUnsupported, "an integer of the array is too large to be held exactly")
      .at("element " + std::to_string(inexact))
      .expected("at most 2^53");
}

Status convert_half(const NpyHeader& header, const std::byte* data, float* to) {
  for_each_stored(header, [&](int64_t index, int64_t stored) {
    to[index] = f32_from_f16_bits(load<uint16_t>(data + stored * 2, header.big_endian));
  });
  return {};
}

/// One array in a file of its own.
class NpyFile : public FieldFile {
 public:
  NpyFile(std::span<const std::byte> file, NpyHeader header, FieldType type, const FieldFileOptions& options)
      : FieldFile(options), data_(file.data() + header.data_offset), header_(std::move(header)) {
    fields_.push_back(std::move(type));
  }
  Status read(size_t, void* to) override { return read_npy_elements(header_, data_, to); }

 private:
  const std::byte* data_;
  NpyHeader header_;
};

}  // namespace

weft_dtype NpyHeader::dtype() const {
  const bool f32 = kind == 'f' ? item_bytes <= 4 : item_bytes <= 2;
  return f32 ? WEFT_DTYPE_F32 : WEFT_DTYPE_F64;
}

uint64_t NpyHeader::stored_bytes() const {
  uint64_t bytes = static_cast<uint64_t>(item_bytes);
  for (const int64_t extent : shape) bytes *= static_cast<uint64_t>(extent);
  return bytes;
}

Result<NpyHeader> read_npy_header(std::span<const std::byte> file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (!text.starts_with(kMagic)) return corrupt(0, "the array does not begin with \\x93NUMPY");
  if (text.size() < 12) return corrupt(text.size(), "the array ends within its header");
  const int major = static_cast<unsigned char>(text[6]);
  if (major < 1 || major > 3) {
    return Status(StatusCode::kUnsupported, "the array has another version of its format")
        .expected("1 to 3")
        .got(std::to_string(major));
  }
  const size_t begin = major == 1 ? 10 : 12;
  const size_t size =
      major == 1 ? load<uint16_t>(file.data() + 8, false) : load<uint32_t>(file.data() + 8, false);
  if (size > kMaxNpyHeaderBytes || size > text.size() - begin) {
    return corrupt(8, "the header of the array is too long")
        .expected("at most " + std::to_string(std::min(kMaxNpyHeaderBytes, text.size() - begin)) + " bytes")
        .got(std::to_string(size));
  }
  NpyHeader header;
  Status status = HeaderParser(text.substr(begin, size), begin).parse(&header);
  if (status.ok()) status = check_size(header);
  if (!status.ok()) return status;
  header.data_offset = begin + size;
  return header;
}

Status read_npy_elements(const NpyHeader& header, const std::byte* data, void* to) {
  float* const f32 = static_cast<float*>(to);
  double* const f64 = static_cast<double*>(to);
  switch (header.kind) {
    case 'f':
      return header.item_bytes == 2   ? convert_half(header, data, f32)
             : header.item_bytes == 4 ? convert<float>(header, data, f32)
                                      : convert<double>(header, data, f64);
    case 'i':
      return header.item_bytes == 1   ? convert<int8_t>(header, data, f32)
             : header.item_bytes == 2 ? convert<int16_t>(header, data, f32)
             : header.item_bytes == 4 ? convert<int32_t>(header, data, f64)
                                      : convert<int64_t>(header, data, f64);
    default:
      return header.item_bytes == 1   ? convert<uint8_t>(header, data, f32)
             : header.item_bytes == 2 ? convert<uint16_t>(header, data, f32)
             : header.item_bytes == 4 ? convert<uint32_t>(header, data, f64)
                                      : convert<uint64_t>(header, data, f64);
  }
}

std::string npy_header(weft_dtype dtype, std::span<const int64_t> shape) {
  std::string text = "{'descr': '";
  text += dtype == WEFT_DTYPE_F64 ? "<f8" : "<f4";
  text += "', 'fortran_order': False, 'shape': (";
  for (const int64_t extent : shape) text += std::to_string(extent) + ", ";
  if (!shape.empty() && shape.size() > 1) text.resize(text.size() - 2);
  else if (shape.size() == 1) text.resize(text.size() - 1);  // "(3,)"
  text += "), }";
  const size_t before = kMagic.size() + 4;
  text.append(63 - (before + text.size()) % 64, ' ');  // with the newline, a multiple of 64
  text += '\n';
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  return header + text;
}

FieldFileResult open_npy(std::span<const std::byte> file, const FieldFileOptions& options) {
  Result<NpyHeader> header = read_npy_header(file);
  if (!header.ok()) return header.status();
  if (file.size() - header->data_offset < header->stored_bytes()) {
    return corrupt(file.size(), "the file ends within the array")
        .expected(std::to_string(header->data_offset + header->stored_bytes()) + " bytes")
        .got(std::to_string(file.size()));
  }
  Result<FieldType> type = parse_field_type(header->dtype(), header->shape, "");
  if (!type.ok()) return type.status();
  if (Status status = name_axes(&*type, options.dimensions); !status.ok()) return status;
  return std::unique_ptr<FieldFile>(
      std::make_unique<NpyFile>(file, *std::move(header), *std::move(type), options));
}

Result<std::string> encode_npy(const FieldType& type, const void* data) {
  std::string file = npy_header(type.dtype, type.shape());
  file.append(static_cast<const char*>(data),
              static_cast<size_t>(type.elements() * sdk::element_size_bytes(type.dtype)));
  return file;
}

}  // namespace weft::files
