#include "modalities/text/constraint/json_number_range.h"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

namespace weft::constraint {
namespace {

constexpr int kMaxExponent = 400;

/// Of numbers without sign: digits before the point, digits after it, and whether the number itself is within.
struct Magnitude {
  std::string integer;
  std::string fraction;
  Inclusion inclusion = Inclusion::kInclusive;
};
struct MagnitudeRange {
  Magnitude low{"0", {}};
  std::optional<Magnitude> high;
};
enum class Numbers : uint8_t { kIntegers, kAll };

int compare_digits(const std::string& a, const std::string& b) {  // without leading zeros
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

std::string plus_one(std::string digits) {
  for (size_t i = digits.size(); i-- > 0;) {
    if (digits[i] != '9') return ++digits[i], digits;
    digits[i] = '0';
  }
  return "1" + digits;
}

std::string minus_one(std::string digits) {  // of a positive number
  for (size_t i = digits.size(); i-- > 0;) {
    if (digits[i] != '0') {
      --digits[i];
      break;
    }
    digits[i] = '9';
  }
  const size_t first = digits.find_first_not_of('0');
  return first == digits.npos ? "0" : digits.substr(first);
}

class RangeGrammar {
 public:
  explicit RangeGrammar(GrammarBuilder& builder) : builder_(builder) {}

  ExpressionId build(const NumberRange& range, Numbers numbers) {
    std::vector<ExpressionId> choices;
    const auto negative = [](const Bound& b) { return b.value.sign == Decimal::Sign::kNegative; };
    const auto magnitude = [](const Bound& b) {
      return Magnitude{b.value.integer, b.value.fraction, b.inclusion};
    };
    // Numbers from zero up.
    if (!range.high || !negative(*range.high)) {
      MagnitudeRange up;
      if (range.low && !negative(*range.low)) up.low = magnitude(*range.low);
      if (range.high) up.high = magnitude(*range.high);
      choices.push_back(unsigned_range(std::move(up), numbers));
    }
    // Numbers below zero, and a negative zero where zero is within and fractions are.
    if (!range.low || negative(*range.low)) {
      MagnitudeRange down;
      if (range.low) down.high = magnitude(*range.low);
      const bool zero_is_high = range.high && range.high->value.is_zero();
      if (range.high && negative(*range.high)) {
        down.low = magnitude(*range.high);
      } else if (numbers == Numbers::kIntegers ||
                 (zero_is_high && range.high->inclusion == Inclusion::kExclusive)) {
        down.low.inclusion = Inclusion::kExclusive;  // more than zero
      }
      choices.push_back(builder_.sequence({builder_.literal("-"), unsigned_range(std::move(down), numbers)}));
    }
    return builder_.alternatives(std::move(choices));
  }

 private:
  ExpressionId digit(char first, char last) {
    return builder_.character({{static_cast<uint32_t>(first), static_cast<uint32_t>(last)}});
  }
  ExpressionId digits(size_t min, size_t max) {
    return builder_.repeat(digit('0', '9'), static_cast<uint32_t>(min), static_cast<uint32_t>(max));
  }
  ExpressionId nothing() { return builder_.character({}); }

  ExpressionId unsigned_range(MagnitudeRange range, Numbers numbers) {
    Magnitude& low = range.low;
    if (!range.high || range.high->integer.size() > kMaxDigits) {
      range.high = Magnitude{std::string(kMaxDigits, '9'), {}};
      if (numbers == Numbers::kAll) range.high->fraction = std::string(kMaxDigits, '9');
    }
    Magnitude& high = *range.high;
    if (numbers == Numbers::kIntegers) {  // to whole inclusive bounds
      if (!low.fraction.empty() || low.inclusion == Inclusion::kExclusive)
        low.integer = plus_one(low.integer);
      if (high.fraction.empty() && high.inclusion == Inclusion::kExclusive) {
        if (high.integer == "0") return nothing();
        high.integer = minus_one(high.integer);
      }
      return compare_digits(low.integer, high.integer) > 0 ? nothing()
                                                           : whole_range(low.integer, high.integer);
    }
    const int order = compare_digits(low.integer, high.integer);
    if (order > 0) return nothing();
    if (order == 0) {
      return builder_.sequence({builder_.literal(low.integer), fraction(&low, &high)});
    }
    std::vector<ExpressionId> choices = {
        builder_.sequence({builder_.literal(low.integer), fraction(&low, nullptr)}),
        builder_.sequence({builder_.literal(high.integer), fraction(nullptr, &high)})};
    const std::string first = plus_one(low.integer), last = minus_one(high.integer);
    if (compare_digits(first, last) <= 0) {
      choices.push_back(builder_.sequence({whole_range(first, last), fraction(nullptr, nullptr)}));
    }
    return builder_.alternatives(std::move(choices));
  }

  // Whole numbers from `low` to `high`, by their number of digits.
  ExpressionId whole_range(const std::string& low, const std::string& high) {
    std::vector<ExpressionId> choices;
    for (size_t size = low.size(); size <= high.size(); ++size) {
      const std::string from = size == low.size() ? low : "1" + std::string(size - 1, '0');
      const std::string to = size == high.size() ? high : std::string(size, '9');
      choices.push_back(same_size(&from, &to, 0, size));
    }
    return builder_.alternatives(std::move(choices));
  }

  // Digits from `at` on, not below `low` nor above `high` (null: any).
  ExpressionId same_size(const std::string* low, const std::string* high, size_t at, size_t size) {
    if (low == nullptr && high == nullptr)
      return at == size ? GrammarBuilder::kEmpty : digits(size - at, size - at);
    if (at == size) return GrammarBuilder::kEmpty;
    const char first = low == nullptr ? '0' : (*low)[at], last = high == nullptr ? '9' : (*high)[at];
    if (first == last) {
      return builder_.sequence({digit(first, first), same_size(low, high, at + 1, size)});
    }
    std::vector<ExpressionId> choices;
    char between = first, until = last;
    if (low != nullptr) {
      choices.push_back(builder_.sequence({digit(first, first), same_size(low, nullptr, at + 1, size)}));
      ++between;
    }
    if (high != nullptr) {
      choices.push_back(builder_.sequence({digit(last, last), same_size(nullptr, high, at + 1, size)}));
      --until;
    }
    if (between <= until)
      choices.push_back(
          builder_.sequence({digit(between, until), same_size(nullptr, nullptr, at + 1, size)}));
    return builder_.alternatives(std::move(choices));
  }

  // A fraction with its point, or none, whose value is not below low's nor above high's (null: any).
  ExpressionId fraction(const Magnitude* low, const Magnitude* high) {
    size_t room = kMaxDigits;
    if (low != nullptr) room = std::max(room, low->fraction.size() + 1);
    if (high != nullptr) room = std::max(room, high->fraction.size() + 1);
    const ExpressionId point = builder_.literal(".");
    const ExpressionId some = builder_.sequence({point, more_digits(low, high, 0, room)});
    return may_stop(low, high, 0) ? builder_.optional(some) : some;
  }

  static char digit_at(const Magnitude& m, size_t at) {
    return at < m.fraction.size() ? m.fraction[at] : '0';
  }

  // Whether the digits may end here, where all of them equalled those of the bounds that are left.
  static bool may_stop(const Magnitude* low, const Magnitude* high, size_t at) {
    const auto rest_is_zero = [&](const Magnitude& m) { return at >= m.fraction.size(); };
    if (low != nullptr && !(rest_is_zero(*low) && low->inclusion == Inclusion::kInclusive)) return false;
    return high == nullptr || !rest_is_zero(*high) || high->inclusion == Inclusion::kInclusive;
  }

  // One digit or more, at most `room`. A bound stays while all digits equal its own.
  ExpressionId more_digits(const Magnitude* low, const Magnitude* high, size_t at, size_t room) {
    if (room == 0) return nothing();
    if (low == nullptr && high == nullptr) return digits(1, room);
    std::vector<ExpressionId> choices;
    const char first = low == nullptr ? '0' : digit_at(*low, at),
               last = high == nullptr ? '9' : digit_at(*high, at);
    const auto add = [&](char from, char to, const Magnitude* next_low, const Magnitude* next_high) {
      if (from > to) return;
      const ExpressionId rest = more_digits(next_low, next_high, at + 1, room - 1);
      choices.push_back(builder_.sequence(
          {digit(from, to), may_stop(next_low, next_high, at + 1) ? builder_.optional(rest) : rest}));
    };
    if (first == last) {
      add(first, first, low, high);
    } else if (first < last) {
      if (low != nullptr) add(first, first, low, nullptr);
      if (high != nullptr) add(last, last, nullptr, high);
      add(static_cast<char>(first + (low != nullptr ? 1 : 0)),
          static_cast<char>(last - (high != nullptr ? 1 : 0)), nullptr, nullptr);
    }
    return builder_.alternatives(std::move(choices));
  }

  GrammarBuilder& builder_;
};

}  // namespace

std::optional<Decimal> Decimal::parse(std::string_view text) {
  Decimal out;
  if (text.starts_with('-')) {
    out.sign = Sign::kNegative;
    text.remove_prefix(1);
  }
  const size_t e = std::min(text.find_first_of("eE"), text.size());
  const std::string exponent_text(e < text.size() ? text.substr(e + 1) : std::string_view("0"));
  if (exponent_text.size() > 6) return std::nullopt;
  const int exponent = std::atoi(exponent_text.c_str());
  const std::string_view mantissa = text.substr(0, e);
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  std::string digits(mantissa.substr(0, point));
  if (point < mantissa.size()) digits += mantissa.substr(point + 1);
  if (digits.size() > kMaxExponent || std::abs(exponent) > kMaxExponent) return std::nullopt;
  // Where the point stands in `digits`, once the exponent is gone.
  int place = static_cast<int>(point) + exponent;
  if (place < 0) {
    digits.insert(0, static_cast<size_t>(-place), '0');
    place = 0;
  }
  if (place > static_cast<int>(digits.size())) digits.append(static_cast<size_t>(place) - digits.size(), '0');
  out.integer = digits.substr(0, static_cast<size_t>(place));
  out.fraction = digits.substr(static_cast<size_t>(place));
  const size_t first = out.integer.find_first_not_of('0');
  out.integer = first == out.integer.npos ? "0" : out.integer.substr(first);
  const size_t last = out.fraction.find_last_not_of('0');
  out.fraction.resize(last == out.fraction.npos ? 0 : last + 1);
  if (out.is_zero()) out.sign = Sign::kPositive;
  return out;
}

int compare(const Decimal& a, const Decimal& b) {
  if (a.sign != b.sign) return a.sign == Decimal::Sign::kNegative ? -1 : 1;
  int order = compare_digits(a.integer, b.integer);
  if (order == 0) order = a.fraction.compare(b.fraction);  // equal digits and more of them: greater
  return a.sign == Decimal::Sign::kNegative ? -order : order;
}

ExpressionId integer_range(GrammarBuilder& builder, const NumberRange& range) {
  return RangeGrammar(builder).build(range, Numbers::kIntegers);
}

ExpressionId number_range(GrammarBuilder& builder, const NumberRange& range) {
  const ExpressionId numbers = RangeGrammar(builder).build(range, Numbers::kAll);
  if (range.low || range.high) return numbers;
  const CodePointSet digit = {{'0', '9'}};
  const ExpressionId exponent =
      builder.sequence({builder.character({{'e', 'e'}, {'E', 'E'}}),
                        builder.optional(builder.character({{'+', '+'}, {'-', '-'}})),
                        builder.repeat(builder.character(digit), 1, 2)});
  return builder.sequence({numbers, builder.optional(exponent)});
}

}  // namespace weft::constraint
