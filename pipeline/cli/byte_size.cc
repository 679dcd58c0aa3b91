#include "pipeline/cli/byte_size.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace weft::cli {
namespace {

constexpr std::string_view kUnits = "BKMGTP";

Error not_a_size(std::string_view text) {
  return Error{StatusCode::kInvalidArgument,
               "not a size",
               {},
               "a number and a unit, for example 512MiB or 2G",
               "'" + std::string(text) + "'",
               {}};
}

}  // namespace

Result<uint64_t> parse_byte_size(std::string_view text) {
  const std::string_view whole = text;
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return not_a_size(whole);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  double scale = 1;
  if (!text.empty()) {
    const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
    const size_t unit = kUnits.find(upper(text.front()));
    if (unit == std::string_view::npos) return not_a_size(whole);
    scale = std::pow(1024.0, static_cast<double>(unit));
    text.remove_prefix(1);
    if (unit > 0 && !text.empty() && upper(text.front()) == 'I') text.remove_prefix(1);
    if (unit > 0 && !text.empty() && upper(text.front()) == 'B') text.remove_prefix(1);
    if (!text.empty()) return not_a_size(whole);
  }
  const double size = number * scale;
  if (size >= 18446744073709551616.0) {
    return Error{StatusCode::kOutOfRange, "the size is too large",        {},
                 "less than 16 EiB",      "'" + std::string(whole) + "'", {}};
  }
  return static_cast<uint64_t>(size);
}

std::string format_byte_size(uint64_t size_bytes) {
  char text[32];
  if (size_bytes < 1024) {
    std::snprintf(text, sizeof text, "%u B", static_cast<unsigned>(size_bytes));
    return text;
  }
  double size = static_cast<double>(size_bytes);
  size_t unit = 0;
  // 999.5 would print as 1000: the next unit reads better.
  while (size >= 999.5 && unit + 1 < kUnits.size()) size /= 1024, ++unit;
  const int decimals = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  std::snprintf(text, sizeof text, "%.*f %ciB", decimals, size, kUnits[unit]);
  return text;
}

std::string format_duration(double seconds) {
  char text[48];
  if (seconds < 0.9995) {
    std::snprintf(text, sizeof text, "%.0f ms", seconds * 1e3);
  } else if (seconds < 99.95) {
    std::snprintf(text, sizeof text, "%.*f s", seconds < 9.995 ? 2 : 1, seconds);
  } else {
    const auto whole = static_cast<unsigned long long>(seconds + 0.5);
    const bool long_one = whole >= 2 * 3600;
    std::snprintf(text, sizeof text, long_one ? "%llu h %llu min" : "%llu min %llu s",
                  whole / (long_one ? 3600 : 60), long_one ? whole / 60 % 60 : whole % 60);
  }
  return text;
}

}  // namespace weft::cli
