#include "modalities/text/tokenizer/bert_normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "modalities/text/tokenizer/normal_forms.h"
#include "modalities/unicode/char_class.h"
#include "modalities/unicode/utf8.h"

namespace weft {
namespace {

struct Range {
  char32_t first, last;
};

// Punctuation, marks and format characters since Unicode 8.0, with what lies between them and is none of these.
constexpr Range kLaterCharacters[] = {
    {0x61D, 0x61D},     {0x7FD, 0x7FD},     {0x890, 0x8E2},     {0x9FD, 0x9FE},     {0xA76, 0xA76},
    {0xAFA, 0xAFF},     {0xB55, 0xB55},     {0xC04, 0xC3C},     {0xC77, 0xC77},     {0xC84, 0xC84},
    {0xD00, 0xD00},     {0xD3B, 0xD3C},     {0xD81, 0xD81},     {0xEBA, 0xEBA},     {0xECE, 0xECE},
    {0x180F, 0x1886},   {0x1ABF, 0x1ACE},   {0x1B7D, 0x1B7E},   {0x1DF6, 0x1DFB},   {0x2E43, 0x2E5D},
    {0xA82C, 0xA82C},   {0xA8C5, 0xA8C5},   {0xA8FF, 0xA8FF},   {0xA9BD, 0xA9BD},   {0x10D24, 0x10F89},
    {0x11070, 0x11074}, {0x110C2, 0x110CD}, {0x111C9, 0x111C9}, {0x111CF, 0x111CF}, {0x1123E, 0x11241},
    {0x1133B, 0x1133B}, {0x11438, 0x1145E}, {0x11660, 0x1166C}, {0x116B9, 0x116B9}, {0x1182F, 0x11FFF},
    {0x12FF1, 0x13455}, {0x16E97, 0x16F4F}, {0x16FE2, 0x16FE4}, {0x1CF00, 0x1CF46}, {0x1E000, 0x1E4EF},
    {0x1E944, 0x1E95F}};
// Their categories were others then.
constexpr char32_t kOncePunctuation[] = {0x166D, 0x111C9};
constexpr char32_t kOnceNonSpacingMark = 0x1734;

// Unified ideographs and their compatibility forms, as BERT's authors listed them.
constexpr Range kChinese[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},  {0x20000, 0x2A6DF},
                              {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};

template <size_t kCount>
bool contains(const Range (&ranges)[kCount], char32_t c) {
  const Range* after =
      std::upper_bound(std::begin(ranges), std::end(ranges), c,
                       [](char32_t value, const Range& range) { return value < range.first; });
  return after != std::begin(ranges) && c <= std::prev(after)->last;
}

int category(char32_t c) {
  return contains(kLaterCharacters, c) ? UTF8PROC_CATEGORY_LO
                                       : utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool is_non_spacing_mark(char32_t c) {
  return c >= 0x300 && (category(c) == UTF8PROC_CATEGORY_MN || c == kOnceNonSpacingMark);
}

bool is_control(char32_t c) {
  if (c < 0x7F) return c < ' ' && c != '\t' && c != '\n' && c != '\r';
  const int found = category(c);
  return c == 0xFFFD || found == UTF8PROC_CATEGORY_CC || found == UTF8PROC_CATEGORY_CF ||
         found == UTF8PROC_CATEGORY_CO;
}

// Cleans, and puts spaces around Chinese characters.
void append_parted(std::string& out, std::string_view text, const BertNormalizer& how) {
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    const std::string_view character = text.substr(0, step.size);
    text.remove_prefix(step.size);
    if (step.state != Utf8::kValid) {
      if (!how.cleans_text) out += character;
      continue;
    }
    const char32_t c = step.code_point;
    if (how.cleans_text && is_control(c)) continue;
    if (how.cleans_text && (char_class(c) & kSpace)) out += ' ';
    else if (how.parts_chinese && contains(kChinese, c)) (out += ' ').append(character) += ' ';
    else out += character;
  }
}

void append_without_accents(std::string& out, std::string_view decomposed) {
  while (!decomposed.empty()) {
    const Utf8Step step = utf8_step(decomposed);
    if (step.state != Utf8::kValid || !is_non_spacing_mark(step.code_point))
      out += decomposed.substr(0, step.size);
    decomposed.remove_prefix(step.size);
  }
}

}  // namespace

void BertNormalizer::append(std::string& out, std::string_view text) const {
  std::string parted, decomposed;
  append_parted(parted, text, *this);
  if (strips_accents) {
    append_nfd(decomposed, parted);
    parted.clear();
    append_without_accents(parted, decomposed);
  }
  if (lower_cases) append_lower_case(out, parted);
  else out += parted;
}

bool is_bert_punctuation(char32_t c) {
  if (c < 0x80)
    return (c > ' ' && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7F);
  const bool once =
      std::find(std::begin(kOncePunctuation), std::end(kOncePunctuation), c) != std::end(kOncePunctuation);
  return once || ((char_class(c) & kPunctuation) && !contains(kLaterCharacters, c));
}

}  // namespace weft
