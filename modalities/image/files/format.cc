#include <algorithm>
#include <cstring>

#include "modalities/image/files/image_file.h"

namespace weft {
namespace {

bool starts_with(std::span<const std::byte> file, size_t offset, std::string_view text) {
  return file.size() >= offset + text.size() &&
         std::memcmp(file.data() + offset, text.data(), text.size()) == 0;
}

}  // namespace

const char* to_string(ImageFormat format) {
  switch (format) {
    case ImageFormat::kPng: return "PNG";
    case ImageFormat::kJpeg: return "JPEG";
    case ImageFormat::kWebp: return "WebP";
    case ImageFormat::kAvif: return "AVIF";
  }
  return "unknown";
}

std::optional<ImageFormat> image_format_of(std::span<const std::byte> file) {
  if (starts_with(file, 0, "\x89PNG\r\n\x1a\n")) return ImageFormat::kPng;
  if (starts_with(file, 0, "\xff\xd8\xff")) return ImageFormat::kJpeg;
  if (starts_with(file, 0, "RIFF") && starts_with(file, 8, "WEBP")) return ImageFormat::kWebp;
  const bool avif =
      starts_with(file, 8, "avif") || starts_with(file, 8, "avis") || starts_with(file, 8, "mif1");
  if (starts_with(file, 4, "ftyp") && avif) return ImageFormat::kAvif;
  return std::nullopt;
}

std::optional<ImageFormat> image_format_of_name(std::string_view name) {
  const size_t dot = name.rfind('.');
  std::string ending(dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1));
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (ending == "png") return ImageFormat::kPng;
  if (ending == "jpg" || ending == "jpeg") return ImageFormat::kJpeg;
  if (ending == "webp") return ImageFormat::kWebp;
  if (ending == "avif") return ImageFormat::kAvif;
  return std::nullopt;
}

}  // namespace weft
