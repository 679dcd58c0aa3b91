// String operations that keep the origin of every byte.
#include <utf8proc.h>

#include <ctime>

#include "modalities/text/chat_template/builtins.h"
#include "modalities/unicode/utf8.h"

namespace weft::jinja {
namespace {

bool is_cased(uint32_t c) {
  const auto code_point = static_cast<utf8proc_int32_t>(c);
  return utf8proc_toupper(code_point) != code_point || utf8proc_tolower(code_point) != code_point;
}

bool contains_code_point(std::string_view set, uint32_t wanted) {
  for (size_t i = 0; i < set.size();) {
    if (next_code_point(set, &i) == wanted) return true;
  }
  return false;
}

}  // namespace

// Each code point's own mapping; the one common mapping to two characters is that of the German sharp s.
Text change_case(Evaluator& evaluator, const Text& text, Case wanted) {
  BoundedText out(&evaluator);
  const std::string_view bytes = text.bytes();
  if (!evaluator.charge(static_cast<int64_t>(bytes.size() / 4))) return {};
  size_t begin = 0;
  bool after_letter = false;
  for (const Text::Run& run : text.runs()) {
    std::string mapped;
    for (size_t i = begin; i < run.end;) {
      const bool first = i == 0;
      const uint32_t c = next_code_point(bytes, &i);
      const auto code_point = static_cast<utf8proc_int32_t>(c);
      const bool upper = wanted == Case::kUpper || (wanted == Case::kCapitalised && first) ||
                         (wanted == Case::kTitle && !after_letter);
      after_letter = is_cased(c);
      if (upper && c == 0xDF) {
        mapped += wanted == Case::kUpper ? "SS" : "Ss";
      } else {
        const auto result = !upper                   ? utf8proc_tolower(code_point)
                            : wanted == Case::kUpper ? utf8proc_toupper(code_point)
                                                     : utf8proc_totitle(code_point);
        append_utf8(mapped, static_cast<char32_t>(result));
      }
    }
    out.append(mapped, run.origin);
    begin = run.end;
  }
  return out.finish();
}

Text strip(const Text& text, const Text* characters, Sides sides) {
  const std::string_view bytes = text.bytes();
  const auto stripped = [&](uint32_t c) {
    return characters == nullptr ? is_space(c) : contains_code_point(characters->bytes(), c);
  };
  size_t begin = 0, end = bytes.size();
  while (sides != Sides::kRight && begin < end) {
    size_t after = begin;
    if (!stripped(next_code_point(bytes, &after))) break;
    begin = after;
  }
  while (sides != Sides::kLeft && begin < end) {
    size_t last = end - 1;
    while (last > begin && (static_cast<unsigned char>(bytes[last]) & 0xC0) == 0x80) --last;
    size_t after = last;
    if (!stripped(next_code_point(bytes, &after))) break;
    end = last;
  }
  return text.slice(begin, end);
}

Text replace(Evaluator& evaluator, const Text& text, const Text& from, const Text& to, int64_t limit) {
  BoundedText out(&evaluator);
  const std::string_view bytes = text.bytes(), wanted = from.bytes();
  if (!evaluator.charge(static_cast<int64_t>(bytes.size() / 16))) return {};
  size_t copied = 0, search = 0;
  while (limit != 0 && search <= bytes.size() && evaluator.charge(1)) {
    const size_t found = bytes.find(wanted, search);
    if (found == bytes.npos) break;
    out.append(text, copied, found).append(to);
    copied = found + wanted.size();
    search = copied;
    if (wanted.empty()) {  // between all characters, as Python does
      if (found == bytes.size()) break;
      next_code_point(bytes, &search);
    }
    if (limit > 0) --limit;
  }
  return evaluator.failed() ? Text() : out.append(text, copied, text.size()).finish();
}

std::vector<Text> split_lines(const Text& text) {
  std::vector<Text> lines;
  const std::string_view bytes = text.bytes();
  size_t begin = 0;
  for (size_t i = 0; i < bytes.size();) {
    const size_t end = i;
    const uint32_t c = next_code_point(bytes, &i);
    const bool breaks =
        (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!breaks) continue;
    if (c == '\r' && i < bytes.size() && bytes[i] == '\n') ++i;
    lines.push_back(text.slice(begin, end));
    begin = i;
  }
  if (begin < bytes.size()) lines.push_back(text.slice(begin, bytes.size()));
  return lines;
}

Text percent_format(Evaluator& evaluator, const Text& format, const std::vector<Value>& arguments) {
  BoundedText out(&evaluator);
  const std::string_view bytes = format.bytes();
  size_t used = 0, copied = 0;
  for (size_t i = bytes.find('%'); i != bytes.npos; i = bytes.find('%', copied)) {
    out.append(format, copied, i);
    const char kind = i + 1 < bytes.size() ? bytes[i + 1] : '\0';
    copied = std::min(i + 2, bytes.size());
    if (kind == '%') {
      out.append(format, i, i + 1);
      continue;
    }
    if (kind != 's' && kind != 'd' && kind != 'i') {
      evaluator.fail(StatusCode::kUnsupported, "this conversion is not part of the template language",
                     "%s, %d, %i or %%", std::string(bytes.substr(i, 2)));
      return {};
    }
    if (used == arguments.size()) {
      evaluator.fail(StatusCode::kCorruptData, "a format has more conversions than values");
      return {};
    }
    const Value& value = arguments[used++];
    if (kind == 's') {
      out.append(evaluator.text_of(value));
    } else if (value.number()) {
      const double number = *value.number();
      if (!value.integer() && !(number > -9e18 && number < 9e18)) {
        evaluator.wrong_type("%d", value, "a number within 64 bits");
        return {};
      }
      out.append(std::to_string(value.integer() ? *value.integer() : static_cast<int64_t>(number)),
                 TextOrigin::kTemplate);
    } else {
      evaluator.wrong_type("%d", value, "a number");
      return {};
    }
  }
  if (used < arguments.size()) {
    evaluator.fail(StatusCode::kCorruptData, "a format has fewer conversions than values");
    return {};
  }
  return out.append(format, copied, format.size()).finish();
}

Text brace_format(Evaluator& evaluator, const Text& format, const Arguments& arguments) {
  BoundedText out(&evaluator);
  const std::string_view bytes = format.bytes();
  size_t copied = 0, automatic = 0;
  for (size_t i = bytes.find_first_of("{}"); i != bytes.npos; i = bytes.find_first_of("{}", copied)) {
    out.append(format, copied, i);
    if (i + 1 < bytes.size() && bytes[i + 1] == bytes[i]) {  // a doubled brace is one
      out.append(format, i, i + 1);
      copied = i + 2;
      continue;
    }
    const size_t end = bytes[i] == '{' ? bytes.find('}', i) : bytes.npos;
    if (end == bytes.npos) {
      evaluator.fail(StatusCode::kCorruptData, "a format has a single brace", "{}, {0}, {name}, {{ or }}");
      return {};
    }
    const std::string_view field = bytes.substr(i + 1, end - i - 1);
    copied = end + 1;
    if (field.find_first_of(":!.[{") != field.npos) {
      evaluator.fail(StatusCode::kUnsupported, "this replacement field is not part of the template language",
                     "{}, {0} or {name}", "{" + std::string(field) + "}");
      return {};
    }
    const bool by_index = field.find_first_not_of("0123456789") == field.npos && field.size() < 6;
    const size_t index = field.empty() ? automatic++
                         : by_index    ? std::stoul(std::string(field))
                                       : arguments.positional.size();
    const Value* value =
        by_index && index < arguments.positional.size() ? &arguments.positional[index] : nullptr;
    for (const auto& [name, named] : arguments.named) {
      if (name == field) value = &named;
    }
    if (value == nullptr) {
      evaluator.fail(StatusCode::kCorruptData, "a format names a value that is not given", {},
                     "{" + std::string(field) + "}");
      return {};
    }
    out.append(evaluator.text_of(*value));
  }
  return out.append(format, copied, format.size()).finish();
}

std::string format_time(std::string_view format, int64_t seconds) {
  static constexpr const char* kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};
  static constexpr const char* kMonths[] = {"January",   "February", "March",    "April",
                                            "May",       "June",     "July",     "August",
                                            "September", "October",  "November", "December"};
  const std::time_t time = seconds;
  std::tm tm{};
  if (gmtime_r(&time, &tm) == nullptr) return {};
  std::string out;
  const auto number = [&](int value, size_t width, char fill) {
    const std::string digits = std::to_string(value);
    if (fill != '\0' && digits.size() < width) out.append(width - digits.size(), fill);
    out += digits;
  };
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const bool unpadded = format[i + 1] == '-' && i + 2 < format.size();
    if (unpadded) ++i;
    const char fill = unpadded ? '\0' : '0';
    const char kind = format[++i];
    switch (kind) {
      case 'Y': number(tm.tm_year + 1900, 4, fill); break;
      case 'y': number(tm.tm_year % 100, 2, fill); break;
      case 'm': number(tm.tm_mon + 1, 2, fill); break;
      case 'd': number(tm.tm_mday, 2, fill); break;
      case 'e': number(tm.tm_mday, 2, unpadded ? '\0' : ' '); break;
      case 'j': number(tm.tm_yday + 1, 3, fill); break;
      case 'H': number(tm.tm_hour, 2, fill); break;
      case 'I': number((tm.tm_hour + 11) % 12 + 1, 2, fill); break;
      case 'M': number(tm.tm_min, 2, fill); break;
      case 'S': number(tm.tm_sec, 2, fill); break;
      case 'p': out += tm.tm_hour < 12 ? "AM" : "PM"; break;
      case 'B': out += kMonths[tm.tm_mon]; break;
      case 'b': out += std::string(kMonths[tm.tm_mon]).substr(0, 3); break;
      case 'A': out += kDays[tm.tm_wday]; break;
      case 'a': out += std::string(kDays[tm.tm_wday]).substr(0, 3); break;
      case 'F': out += format_time("%Y-%m-%d", seconds); break;
      case 'T': out += format_time("%H:%M:%S", seconds); break;
      case '%': out += '%'; break;
      default: out += {'%', kind};
    }
  }
  return out;
}

}  // namespace weft::jinja
