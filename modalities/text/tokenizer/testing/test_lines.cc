#include "modalities/text/tokenizer/testing/test_lines.h"

#include <fstream>
#include <utility>

#include "modalities/unicode/utf8.h"

namespace weft::testing {
namespace {

constexpr uint64_t kSeed = 20240607;
constexpr int kCount = 10'000;

constexpr std::pair<char32_t, char32_t> kRanges[] = {
    {0x20, 0x7E},      {0x20, 0x7E},     {0x00, 0x1F},       {0x7F, 0x9F},       {0xA0, 0xFF},
    {0x100, 0x17F},    {0x300, 0x36F},   {0x391, 0x3A1},     {0x3B1, 0x3C9},     {0x410, 0x44F},
    {0x5D0, 0x5EA},    {0x627, 0x63A},   {0x660, 0x669},     {0x905, 0x939},     {0xE01, 0xE30},
    {0x1100, 0x1112},  {0x1161, 0x1175}, {0x1E00, 0x1EFF},   {0x2000, 0x200F},   {0x2028, 0x202F},
    {0x2030, 0x205E},  {0x2080, 0x208E}, {0x2150, 0x2188},   {0x2190, 0x21FF},   {0x2460, 0x249B},
    {0x3000, 0x303F},  {0x3041, 0x3096}, {0x30A1, 0x30FA},   {0x4E00, 0x9FA5},   {0x4E00, 0x9FA5},
    {0xAC00, 0xD7A3},  {0xFF01, 0xFF5E}, {0x1F300, 0x1F5FF}, {0x1F600, 0x1F64F}, {0x1D400, 0x1D454},
    {0x20000, 0x2A6D6}};
constexpr std::string_view kSeparators[] = {" ", "", "  ", "\n", ", ", "\t", "'", "   ", "\n\n", "."};

std::u32string unescape(std::string_view text) {
  std::u32string out;
  while (!text.empty()) {
    if (text.starts_with("\\u{")) {
      const size_t end = text.find('}');
      out += static_cast<char32_t>(std::stoul(std::string(text.substr(3, end - 3)), nullptr, 16));
      text.remove_prefix(end + 1);
    } else if (text.starts_with('\\') && text.size() > 1) {
      const char c = text[1];
      out += c == 'n' ? U'\n' : c == 't' ? U'\t' : c == 'r' ? U'\r' : U'\\';
      text.remove_prefix(2);
    } else {
      const Utf8Step step = utf8_step(text);
      out += step.code_point;
      text.remove_prefix(step.size);
    }
  }
  return out;
}

std::vector<std::u32string> read_phrases() {
  std::ifstream file("assets/golden/tokenizer/phrases.txt");
  std::vector<std::u32string> phrases;
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && !line.starts_with("# ")) phrases.push_back(unescape(line));
  return phrases;
}

// One part of a line; `kind` as in the Python original.
std::u32string make_part(SplitMix64& random, uint64_t kind, const std::vector<std::u32string>& phrases) {
  std::u32string part;
  if (kind == 3) {
    const auto [low, high] = kRanges[random.below(std::size(kRanges))];
    const uint64_t count = 1 + random.below(8);
    for (uint64_t i = 0; i < count; ++i) part += low + static_cast<char32_t>(random.below(high - low + 1));
    return part;
  }
  part = phrases[random.below(phrases.size())];
  if (kind == 2) {
    const uint64_t begin = random.below(part.size());
    part = part.substr(begin, 1 + random.below(12));
  }
  return part;
}

}  // namespace

uint64_t SplitMix64::next() {
  state_ += 0x9E3779B97F4A7C15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

std::vector<std::string> tokenizer_test_lines() {
  const std::vector<std::u32string> phrases = read_phrases();
  std::vector<std::string> lines;
  if (phrases.empty()) return lines;
  SplitMix64 random(kSeed);
  for (int i = 0; i < kCount; ++i) {
    const uint64_t kind = random.below(4);
    const uint64_t parts = 1 + random.below(4);
    std::string line;
    for (uint64_t part = 0; part < parts; ++part) {
      for (char32_t c : make_part(random, kind, phrases)) append_utf8(line, c);
      const std::string_view separator = kSeparators[random.below(std::size(kSeparators))];
      if (part + 1 < parts) line += separator;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> invalid_test_lines() {
  std::vector<std::string> lines = {"\xFF",
                                    "\xC0\x80",
                                    "\xED\xA0\x80",
                                    "a\x80z",
                                    "\xE2\x82",
                                    "caf\xC3",
                                    "\xF0\x9F\x98 \xF0\x9F\x98\x80",
                                    " \xFE 12\xFD"
                                    "34",
                                    std::string("\0\xFF\0", 3),
                                    "\xE2\x96 \xE2\x96\x81"};
  SplitMix64 random(7);
  for (int i = 0; i < 2000; ++i) {
    std::string line;
    const uint64_t size = random.below(24);
    for (uint64_t k = 0; k < size; ++k) {
      if (random.below(3) == 0) append_utf8(line, static_cast<char32_t>(random.below(0xD000)));
      else line += static_cast<char>(random.below(256));
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace weft::testing
