#include "modalities/text/tokenizer/normal_forms.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "modalities/unicode/char_class.h"
#include "modalities/unicode/utf8.h"

namespace weft {
namespace {

// Sorting the marks on one character takes the square of their number: a hostile text could have a million. Real ones
// stay below 30 (Unicode's stream-safe text format); a longer row is composed in parts.
constexpr int kMaxMarks = 256;

// How much of `text` can be normalised at once, and whether it needs to be: whether a character from first_that_changes on is
// there.
size_t normalisable_size(std::string_view text, char32_t first_that_changes, bool& needs_work) {
  int marks = 0;
  needs_work = false;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text.substr(at));
    if (step.state != Utf8::kValid) return at;
    needs_work = needs_work || step.code_point >= first_that_changes;
    marks = step.code_point >= 0x300 && (char_class(step.code_point) & kMark) ? marks + 1 : 0;
    at += step.size;
    if (marks == kMaxMarks) return at;
  }
  return text.size();
}

// The parts that are UTF-8.
void append_form(std::string& out, std::string_view text, utf8proc_option_t form,
                 char32_t first_that_changes) {
  while (!text.empty()) {
    bool needs_work = false;
    const size_t size = normalisable_size(text, first_that_changes, needs_work);
    if (size == 0) {  // not UTF-8
      out += text.front();
      text.remove_prefix(1);
      continue;
    }
    utf8proc_uint8_t* normalised = nullptr;
    utf8proc_ssize_t normalised_size = -1;
    if (needs_work)
      normalised_size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                     static_cast<utf8proc_ssize_t>(size), &normalised,
                                     static_cast<utf8proc_option_t>(UTF8PROC_STABLE | form));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(normalised, &std::free);
    if (normalised_size >= 0)
      out.append(reinterpret_cast<const char*>(normalised), static_cast<size_t>(normalised_size));
    else out.append(text.substr(0, size));
    text.remove_prefix(size);
  }
}

}  // namespace

void append_nfc(std::string& out, std::string_view text) {
  constexpr char32_t kFirst = 0x300;  // nothing below takes part in composition with what precedes
  append_form(out, text, UTF8PROC_COMPOSE, kFirst);
}

void append_nfd(std::string& out, std::string_view text) {
  constexpr char32_t kFirst = 0xC0;  // À
  append_form(out, text, UTF8PROC_DECOMPOSE, kFirst);
}

void append_lower_case(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (step.state != Utf8::kValid) {
      out += text.substr(0, step.size);
    } else if (step.code_point == U'İ') {  // the one character that becomes two
      out += "i\xCC\x87";
    } else {
      append_utf8(out,
                  static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(step.code_point))));
    }
    text.remove_prefix(step.size);
  }
}

}  // namespace weft
