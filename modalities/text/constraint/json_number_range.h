/// Grammars of the JSON numbers within bounds, digit by digit and so without rounding.
#ifndef WEFT_MODALITIES_TEXT_CONSTRAINT_JSON_NUMBER_RANGE_H
#define WEFT_MODALITIES_TEXT_CONSTRAINT_JSON_NUMBER_RANGE_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "modalities/text/constraint/grammar_builder.h"

namespace weft::constraint {

/// A decimal number: sign, then digits without leading zeros before the point and without trailing zeros after it.
struct Decimal {
  enum class Sign : uint8_t { kPositive, kNegative } sign = Sign::kPositive;
  std::string integer = "0";
  std::string fraction;

  /// From a JSON number's spelling. Nothing if it has more than 400 digits when written out.
  static std::optional<Decimal> parse(std::string_view json_number);
  bool is_zero() const { return integer == "0" && fraction.empty(); }
};
/// Negative, 0 or positive as a is less than, equal to or greater than b.
int compare(const Decimal& a, const Decimal& b);

enum class Inclusion : uint8_t { kInclusive, kExclusive };
struct Bound {
  Decimal value;
  Inclusion inclusion = Inclusion::kInclusive;
};
struct NumberRange {
  std::optional<Bound> low, high;
};

/// Integers have at most this many digits, fractions of numbers too: enough for every double, and an end.
inline constexpr size_t kMaxDigits = 16;

/// Integers within the range, without leading zeros, fraction or exponent.
ExpressionId integer_range(GrammarBuilder& builder, const NumberRange& range);
/// Numbers within the range; with an exponent only if the range has no bounds.
ExpressionId number_range(GrammarBuilder& builder, const NumberRange& range);

}  // namespace weft::constraint
#endif
