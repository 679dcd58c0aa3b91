#include "plugins/plot/ticks.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace weft::plot {
namespace {

constexpr std::string_view kMinus = "\u2212";

std::string superscript(int value) {
  static constexpr std::array<const char*, 10> kDigits = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = value < 0 ? "⁻" : "";
  for (const char digit : std::to_string(std::abs(value))) text += kDigits[static_cast<size_t>(digit - '0')];
  return text;
}

// The smallest of 1, 2, 2.5, 5, 10 times a power of ten that is at least `least`.
double nice_step(double least) {
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

int decimals_of(double step) {
  for (int decimals = 0; decimals < 12; ++decimals) {
    const double scaled = step * std::pow(10.0, decimals);
    if (std::fabs(scaled - std::round(scaled)) < 1e-6 * scaled) return decimals;
  }
  return 12;
}

// Multiples of `step` within low to high; each is computed from its index, so that errors do not add up.
std::vector<double> multiples(double low, double high, double step) {
  std::vector<double> values;
  const double slack = 1e-9 * (high - low) / step;
  const double first = std::ceil(low / step - slack), last = std::floor(high / step + slack);
  for (double i = first; i <= last && values.size() < 1000; ++i) values.push_back(i == 0 ? 0.0 : i * step);
  return values;
}

// The smallest step of a table that makes at most `most` marks; the table's last one times 2, 4 ... beyond it.
template <size_t n>
double table_step(const std::array<double, n>& steps, double range, int most) {
  for (const double step : steps) {
    if (range / step <= most - 1 + 1e-9) return step;
  }
  double step = steps.back();
  while (range / step > most - 1) step *= 2;
  return step;
}

struct TimeUnits {
  double seconds = 1;  // in one unit
  double epoch = 0;    // seconds since 1970-01-01
};

std::optional<TimeUnits> parse_time_units(std::string_view units) {
  const size_t since = units.find(" since ");
  if (since == std::string_view::npos) return std::nullopt;
  TimeUnits result;
  const std::string_view unit = units.substr(0, since);
  if (unit.starts_with("day") || unit == "d") result.seconds = 86400;
  else if (unit.starts_with("hour") || unit == "h" || unit == "hr") result.seconds = 3600;
  else if (unit.starts_with("min")) result.seconds = 60;
  else if (!unit.starts_with("sec") && unit != "s") return std::nullopt;
  int year = 0, month = 0, day = 0, hour = 0, minute = 0;
  double second = 0;
  const std::string date(units.substr(since + 7, 64));
  const int found =
      std::sscanf(date.c_str(), "%d-%d-%d%*1[ T]%d:%d:%lf", &year, &month, &day, &hour, &minute, &second);
  const bool sane = found >= 3 && year >= 1 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 &&
                    day <= 31 && hour >= 0 && hour <= 24 && minute >= 0 && minute <= 60 && second >= 0 &&
                    second <= 61;
  if (!sane) return std::nullopt;
  using namespace std::chrono;
  const year_month_day civil{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                             std::chrono::day(static_cast<unsigned>(day))};
  if (!civil.ok()) return std::nullopt;
  const auto days = static_cast<double>(sys_days(civil).time_since_epoch().count());
  result.epoch = days * 86400 + hour * 3600 + minute * 60 + second;
  return result;
}

struct CivilTime {
  int year = 0;
  unsigned month = 0, day = 0;
  int hour = 0, minute = 0, second = 0;
};

// Precondition: within the years that chrono has.
CivilTime civil_of(double seconds) {
  using namespace std::chrono;
  const auto whole = static_cast<int64_t>(std::floor(seconds + 0.5));
  const int64_t day_number = (whole >= 0 ? whole : whole - 86399) / 86400;
  const year_month_day date{sys_days(days(static_cast<int>(day_number)))};
  const auto rest = static_cast<int>(whole - day_number * 86400);
  return {static_cast<int>(date.year()),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          rest / 3600,
          rest / 60 % 60,
          rest % 60};
}

double seconds_of(int year, unsigned month) {
  using namespace std::chrono;
  const sys_days first =
      year_month_day{std::chrono::year(year), std::chrono::month(month), std::chrono::day(1)};
  return static_cast<double>(first.time_since_epoch().count()) * 86400;
}

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr double kDay = 86400, kMonth = 30.44 * kDay;
constexpr double kEarliest = -62135596800, kLatest = 253402300800;  // the years 1 to 9999

// Marks at the first of months or years.
Ticks calendar_ticks(double low, double high, int most) {
  constexpr std::array kMonthSteps = {1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 60.0, 120.0, 240.0, 600.0, 1200.0};
  const double step = table_step(kMonthSteps, (high - low) / kMonth, most);
  Ticks ticks;
  const auto months = static_cast<int64_t>(step);
  const CivilTime from = civil_of(low);
  for (int64_t month = (from.year * int64_t{12} + from.month - 1) / months * months;; month += months) {
    const auto year = static_cast<int>(month / 12);
    const auto of_year = static_cast<unsigned>(month % 12);
    const double at = seconds_of(year, of_year + 1);
    if (at > high + 1) return ticks;
    if (at < low - 1) continue;
    ticks.ticks.push_back(
        {at, step >= 12 ? std::to_string(year) : kMonths[of_year] + (" " + std::to_string(year))});
  }
}

Ticks clock_ticks(double low, double high, int most) {
  constexpr std::array kSteps = {1.0,     2.0,     5.0,     10.0,  15.0,     30.0,     60.0,
                                 120.0,   300.0,   600.0,   900.0, 1800.0,   3600.0,   7200.0,
                                 10800.0, 21600.0, 43200.0, kDay,  2 * kDay, 5 * kDay, 10 * kDay};
  const double step = table_step(kSteps, high - low, most);
  const CivilTime first = civil_of(low), last = civil_of(high);
  const bool one_day = first.year == last.year && first.month == last.month && first.day == last.day;
  Ticks ticks;
  if (one_day) ticks.suffix = format("%04d-%02u-%02u", first.year, first.month, first.day);
  else if (first.year == last.year) ticks.suffix = std::to_string(first.year);
  for (const double at : multiples(low, high, step)) {
    const CivilTime time = civil_of(at);
    const std::string clock = step < 60 ? format("%02d:%02d:%02d", time.hour, time.minute, time.second)
                                        : format("%02d:%02d", time.hour, time.minute);
    const std::string day = format("%u %s", time.day, kMonths[time.month - 1]);
    const bool same_year = first.year == last.year;
    const std::string date = same_year ? day : day + " " + std::to_string(time.year);
    ticks.ticks.push_back({at, one_day ? clock : step < kDay ? date + " " + clock : date});
  }
  return ticks;
}

}  // namespace

std::string decimal_text(double value, int decimals) {
  std::string text = format("%.*f", decimals, value);
  if (text.find_first_not_of("-0.") == std::string::npos && text[0] == '-') text.erase(0, 1);
  return text[0] == '-' ? std::string(kMinus) + text.substr(1) : text;
}

std::string value_text(double value) {
  const double size = std::fabs(value);
  if (!std::isfinite(size)) return format("%g", value);
  if (size != 0 && (size >= 1e6 || size < 1e-4)) {
    const int exponent = static_cast<int>(std::floor(std::log10(size)));
    return value_text(value / std::pow(10.0, exponent)) + "×10" + superscript(exponent);
  }
  std::string text = format("%.5g", value);
  return text[0] == '-' ? std::string(kMinus) + text.substr(1) : text;
}

Ticks number_ticks(double low, double high, int most) {
  const double step = nice_step((high - low) / std::max(most - 1, 1));
  const double largest = std::max(std::fabs(low), std::fabs(high));
  int exponent = 0;
  if (largest >= 1e5 || largest < 1e-2) exponent = static_cast<int>(std::floor(std::log10(largest) / 3)) * 3;
  const double unit = std::pow(10.0, exponent);
  Ticks ticks;
  if (exponent != 0) ticks.multiplier = "×10" + superscript(exponent);
  const int decimals = decimals_of(step / unit);
  for (const double value : multiples(low, high, step)) {
    ticks.ticks.push_back({value, decimal_text(value / unit, decimals)});
  }
  return ticks;
}

Ticks log_ticks(double low, double high, int most) {
  const double first = std::ceil(std::log10(low) - 1e-9), last = std::floor(std::log10(high) + 1e-9);
  if (last - first < 1) return number_ticks(low, high, most);
  const double step = std::ceil((last - first) / std::max(most - 1, 1));
  Ticks ticks;
  for (double exponent = first; exponent <= last; exponent += step) {
    const int power = static_cast<int>(exponent);
    const double value = std::pow(10.0, exponent);
    ticks.ticks.push_back({value, power >= -3 && power <= 4 ? decimal_text(value, std::max(0, -power))
                                                            : "10" + superscript(power)});
  }
  return ticks;
}

std::string degree_text(AxisKind kind, double value, int decimals) {
  const bool turns = kind == AxisKind::kLongitude && std::fabs(value) > 180;
  const double angle = turns ? std::remainder(value, 360.0) : value;
  const std::string text = decimal_text(std::fabs(angle), decimals) + "°";
  if (angle == 0 || std::fabs(angle) == 180) return text;
  return text + (kind == AxisKind::kLatitude ? (angle > 0 ? "N" : "S") : (angle > 0 ? "E" : "W"));
}

Ticks degree_ticks(AxisKind kind, double low, double high, int most) {
  constexpr std::array kSteps = {0.01, 0.02, 0.05, 0.1,  0.2,  0.5,  1.0,  2.0,
                                 5.0,  10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0};
  const double step = table_step(kSteps, high - low, most);
  Ticks ticks;
  for (const double value : multiples(low, high, step)) {
    ticks.ticks.push_back({value, degree_text(kind, value, decimals_of(step))});
  }
  return ticks;
}

std::optional<Ticks> time_ticks(std::string_view units, double low, double high, int most) {
  const std::optional<TimeUnits> time = parse_time_units(units);
  if (!time) return std::nullopt;
  const double from = time->epoch + low * time->seconds, to = time->epoch + high * time->seconds;
  if (!(from >= kEarliest && to < kLatest && to - from >= 1)) return std::nullopt;
  Ticks ticks = (to - from) / std::max(most - 1, 1) > 10 * kDay ? calendar_ticks(from, to, most)
                                                                : clock_ticks(from, to, most);
  for (Tick& tick : ticks.ticks) tick.value = (tick.value - time->epoch) / time->seconds;
  return ticks;
}

std::optional<std::string> time_text(std::string_view units, double value) {
  const std::optional<TimeUnits> time = parse_time_units(units);
  if (!time) return std::nullopt;
  const double seconds = time->epoch + value * time->seconds;
  if (!(seconds >= kEarliest && seconds < kLatest)) return std::nullopt;
  const CivilTime civil = civil_of(seconds);
  return format("%04d-%02u-%02u %02d:%02d", civil.year, civil.month, civil.day, civil.hour, civil.minute);
}

Ticks fitting_ticks(double gap, int most, const std::function<Ticks(int)>& make,
                    const std::function<double(double)>& place,
                    const std::function<double(const std::string&)>& extent) {
  Ticks ticks;
  for (int count = most; count >= 2; --count) {
    ticks = make(count);
    bool fits = true;
    for (size_t i = 1; i < ticks.ticks.size(); ++i) {
      const double apart = std::fabs(place(ticks.ticks[i].value) - place(ticks.ticks[i - 1].value));
      fits = fits && apart >= (extent(ticks.ticks[i].label) + extent(ticks.ticks[i - 1].label)) / 2 + gap;
    }
    if (fits) return ticks;
  }
  if (ticks.ticks.size() > 1) ticks.ticks.resize(1);  // not even two labels have room
  return ticks;
}

std::string units_text(std::string_view units) {
  if (units.starts_with("degree") && units != "degrees_C") return "";
  if (units == "degC" || units == "degrees_C" || units == "Celsius") return "°C";
  std::string text;
  for (size_t i = 0; i < units.size();) {
    const bool stars = units.substr(i).starts_with("**");
    const bool behind_letter = i > 0 && std::isalpha(static_cast<unsigned char>(units[i - 1]));
    size_t at = i + (stars ? 2 : units[i] == '^' ? 1 : 0);
    const bool negative = at < units.size() && units[at] == '-';
    at += negative ? 1 : 0;
    size_t end = at;
    while (end < units.size() && std::isdigit(static_cast<unsigned char>(units[end]))) ++end;
    if (behind_letter && end > at && end - at <= 2) {
      const int power = std::stoi(std::string(units.substr(at, end - at)));
      text += superscript(negative ? -power : power);
      i = end;
    } else {
      text += units[i++];
    }
  }
  return text == "1" ? "" : text;
}

}  // namespace weft::plot
