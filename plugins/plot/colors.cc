#include "plugins/plot/colors.h"

#include <algorithm>
#include <cmath>

namespace weft::plot {

Result<ChosenColors> choose_colors(const sdk::Parameters& parameters, const Field& field) {
  double lowest = INFINITY, highest = -INFINITY;
  for (int64_t i = 0; i < field.type.elements(); ++i) {
    const double value = field.at(i);
    if (!std::isfinite(value)) continue;
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
  }
  if (lowest > highest)
    return Status(StatusCode::kInvalidArgument, "no value of the field is finite: there is nothing to draw");
  double low = parameters.is_set("minimum") ? parameters.get_float("minimum") : lowest;
  double high = parameters.is_set("maximum") ? parameters.get_float("maximum") : highest;
  const bool centered = parameters.is_set("center");
  if (centered) {
    const double center = parameters.get_float("center");
    const double half = std::max(std::fabs(low - center), std::fabs(high - center));
    low = center - half;
    high = center + half;
  }
  if (parameters.is_set("minimum") && parameters.is_set("maximum") && !(low < high)) {
    return Status(StatusCode::kInvalidArgument, "\"minimum\" must be below \"maximum\"")
        .got(number_text(low) + " and " + number_text(high));
  }
  if (!(low < high)) {  // one value everywhere, or a limit beyond the data
    const double largest = std::max(std::fabs(low), std::fabs(high));
    const double margin = largest == 0 ? 1 : std::max(largest * 0.01, 1e-300);
    if (parameters.is_set("maximum")) low = high - margin;
    else if (parameters.is_set("minimum")) high = low + margin;
    else low -= margin, high += margin;
  }
  if (!std::isfinite(high - low)) {
    return Status(StatusCode::kOutOfRange, "the colours' ends are too far apart to compute with")
        .got(number_text(low) + " to " + number_text(high))
        .hint("give \"minimum\" and \"maximum\"");
  }
  const std::string_view name = parameters.get_text("scale");
  const ColorTable* table = color_table(name == "auto" ? (centered ? "coolwarm" : "viridis") : name);
  return ChosenColors{ColorScale(*table, low, high), lowest<low, highest> high};
}

}  // namespace weft::plot
