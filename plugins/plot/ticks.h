/// Marks on axes: round numbers, degrees, days and hours, and how numbers and units are written.
///
/// Thread safety: no shared state.
///
///   Ticks ticks = number_ticks(0, 1234, 6);       // 0, 250 ... 1000; steps are 1, 2, 2.5 or 5 times a power of ten
#ifndef WEFT_PLUGINS_PLOT_TICKS_H
#define WEFT_PLUGINS_PLOT_TICKS_H

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/field/axis.h"

namespace weft::plot {

struct Tick {
  double value = 0;
  std::string label;
};

struct Ticks {
  std::vector<Tick> ticks;
  std::string multiplier;  // "×10³": what the labels are to be multiplied by; empty: nothing
  std::string suffix;      // what all labels have in common, for the axis's label: "2026-01-02"; may be empty
};

/// Within low to high, at most `most` (at least 2) of them. Precondition: finite, low < high.
Ticks number_ticks(double low, double high, int most);
/// Powers of ten, or numbers between them where there are fewer than two. Precondition: 0 < low < high.
Ticks log_ticks(double low, double high, int most);
/// "30°N", "60°W", "0°". kind: kLatitude or kLongitude; longitudes may go beyond -180 and 180.
Ticks degree_ticks(AxisKind kind, double low, double high, int most);
/// "45°N", "30.5°W", "180°". kind as above.
std::string degree_text(AxisKind kind, double value, int decimals);
/// Of time in CF units ("hours since 2000-01-01 00:00"), in the Gregorian calendar; none if the units are not such.
std::optional<Ticks> time_ticks(std::string_view units, double low, double high, int most);
/// "2026-01-02 06:00"; none if the units are not of time.
std::optional<std::string> time_text(std::string_view units, double value);

/// The most ticks, from `most` down to 2, that leave `gap` between labels. make: of at most so many. place: where a value lies along
/// the axis. extent: of a label along the axis.
Ticks fitting_ticks(double gap, int most, const std::function<Ticks(int)>& make,
                    const std::function<double(double)>& place,
                    const std::function<double(const std::string&)>& extent);

/// "m s⁻¹" for "m s-1" or "m s**-1", "°C" for "degC"; units of degrees are empty.
std::string units_text(std::string_view units);
/// "−1.5": with a real minus, `decimals` digits behind the point.
std::string decimal_text(double value, int decimals);
/// At most five digits: "500", "0.25", "1.2×10⁻⁷".
std::string value_text(double value);

}  // namespace weft::plot
#endif
