#include "modalities/image/files/record.h"

#include <cstdint>
#include <cstring>
#include <utility>

namespace weft {
namespace {

constexpr std::string_view kKeyword = "weft";
// Part 3 of the XMP specification makes packets to be found by scanning for this, in files of any format.
constexpr std::string_view kPacketBegin = "<?xpacket begin=";
constexpr std::string_view kPacketEnd = "<?xpacket end=";
constexpr std::string_view kOpen = "<weft:record>", kClose = "</weft:record>";
constexpr size_t kLargestJpegSegment = 65533;
constexpr char kJpegXmp[] = "http://ns.adobe.com/xap/1.0/";  // with its NUL

constexpr std::pair<char, std::string_view> kEscapes[] = {
    {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&apos;"}};

std::string escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    std::string_view written(&c, 1);
    for (const auto& [plain, code] : kEscapes) {
      if (c == plain && c != '"' && c != '\'') written = code;  // quotes need none between tags
    }
    escaped += written;
  }
  return escaped;
}

std::string unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size();) {
    size_t step = 1;
    char c = text[i];
    for (const auto& [meant, code] : kEscapes) {
      if (text.substr(i, code.size()) == code) c = meant, step = code.size();
    }
    plain += c;
    i += step;
  }
  return plain;
}

Status too_long(size_t size, size_t limit) {
  return Status(StatusCode::kOutOfRange, "the record of how the picture was made is too long")
      .expected("at most " + std::to_string(limit) + " bytes")
      .got(std::to_string(size) + " bytes");
}

Status damaged(const char* what, size_t offset) {
  return Status(StatusCode::kCorruptData, what).at("offset " + std::to_string(offset));
}

uint32_t big_endian(std::string_view bytes, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}

// The text of an iTXt chunk with the keyword; none if it is about something else.
Result<std::optional<std::string>> read_itxt(std::string_view chunk, size_t offset) {
  if (chunk.substr(0, kKeyword.size() + 1) != std::string_view("weft\0", 5))
    return std::optional<std::string>();
  size_t position = kKeyword.size() + 1;
  if (chunk.size() < position + 2) return damaged("the chunk iTXt ends early", offset);
  if (chunk[position] != 0) {
    return Status(StatusCode::kUnsupported, "the record is compressed; Weft does not write it so")
        .at("offset " + std::to_string(offset));
  }
  position += 2;
  for (int skipped = 0; skipped < 2; ++skipped) {  // language, translated keyword
    const size_t end = chunk.find('\0', position);
    if (end == std::string_view::npos) return damaged("the chunk iTXt ends early", offset);
    position = end + 1;
  }
  return std::optional<std::string>(chunk.substr(position));
}

Result<std::optional<std::string>> read_png(std::string_view file) {
  constexpr size_t kSignature = 8, kFrame = 12;  // length, type, check sum
  for (size_t offset = kSignature; offset + kFrame <= file.size();) {
    const size_t size = big_endian(file, offset);
    if (size > file.size() - offset - kFrame) return damaged("the PNG file ends within a chunk", offset);
    const std::string_view type = file.substr(offset + 4, 4);
    if (type == "IEND") break;
    if (type == "iTXt") {
      Result<std::optional<std::string>> record = read_itxt(file.substr(offset + 8, size), offset);
      if (!record.ok() || record->has_value()) return record;
    }
    offset += kFrame + size;
  }
  return std::optional<std::string>();
}

std::optional<std::string> find_in_packets(std::string_view file) {
  for (size_t begin = file.find(kPacketBegin); begin != std::string_view::npos;
       begin = file.find(kPacketBegin, begin + 1)) {
    const std::string_view packet = file.substr(begin, file.find(kPacketEnd, begin) - begin);
    const size_t open = packet.find(kOpen);
    const size_t close = open == std::string_view::npos ? open : packet.find(kClose, open);
    if (close == std::string_view::npos) continue;
    return unescape(packet.substr(open + kOpen.size(), close - open - kOpen.size()));
  }
  return std::nullopt;
}

}  // namespace

Result<std::optional<std::string>> read_image_record(std::span<const std::byte> file) {
  const std::optional<ImageFormat> format = image_format_of(file);
  if (!format) return Status(StatusCode::kUnsupported, "this is no picture of a known format");
  const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  Result<std::optional<std::string>> record =
      *format == ImageFormat::kPng ? read_png(bytes) : Result(find_in_packets(bytes));
  if (record.ok() && record->has_value() && (*record)->size() > kMaxRecordBytes) {
    return too_long((*record)->size(), kMaxRecordBytes);
  }
  return record;
}

Status check_record_size(std::string_view record, ImageFormat format) {
  if (record.size() > kMaxRecordBytes) return too_long(record.size(), kMaxRecordBytes);
  if (format != ImageFormat::kJpeg || record.empty()) return {};
  const size_t segment = jpeg_record_segment(record).size();
  if (segment <= kLargestJpegSegment) return {};
  return std::move(too_long(segment, kLargestJpegSegment)).hint("save as PNG, WebP or AVIF");
}

std::string record_packet(std::string_view record) {
  return "<?xpacket begin=\"\xef\xbb\xbf\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>"
         "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">"
         "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">"
         "<rdf:Description rdf:about=\"\" xmlns:weft=\"urn:weft:picture:1\">" +
         std::string(kOpen) + escape(record) + std::string(kClose) +
         "</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end=\"r\"?>";
}

std::string jpeg_record_segment(std::string_view record) {
  return std::string(kJpegXmp, sizeof kJpegXmp) + record_packet(record);
}

}  // namespace weft
