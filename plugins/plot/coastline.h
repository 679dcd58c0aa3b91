/// Coast lines of the world at 1:110 million, from Natural Earth.
#ifndef WEFT_PLUGINS_PLOT_COASTLINE_H
#define WEFT_PLUGINS_PLOT_COASTLINE_H

#include <cstdint>
#include <span>

namespace weft::plot {

/// Of each line: the number of its points, and their longitudes (-18000 to 18000) and latitudes in hundredths of a degree.
std::span<const int16_t> coastline_table();

}  // namespace weft::plot
#endif
