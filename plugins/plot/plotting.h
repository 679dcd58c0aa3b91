/// What the plot nodes share: their parameters, names for axes out of fields, and a drawing as the outputs image and svg.
///
/// Thread safety: as the request.
#ifndef WEFT_PLUGINS_PLOT_PLOTTING_H
#define WEFT_PLUGINS_PLOT_PLOTTING_H

#include <weft/sdk/plugin.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "modalities/field/field.h"
#include "plugins/plot/canvas.h"
#include "plugins/plot/figure.h"

namespace weft::plot {

/// Parameters that every plot has.
constexpr weft_parameter kTitleParameter =
    sdk::parameter({.name = "title",
                    .type = "text",
                    .help = "Instead of the field's own name; may be empty.",
                    .flags = WEFT_PARAMETER_PER_REQUEST | WEFT_PARAMETER_OPTIONAL});
constexpr weft_parameter kWidthParameter = sdk::parameter({.name = "width",
                                                           .type = "int",
                                                           .default_json = "800",
                                                           .minimum = 200,
                                                           .maximum = 8000,
                                                           .unit = "pixels",
                                                           .help = "Of the plot, at density 1."});
constexpr weft_parameter kHeightParameter = sdk::parameter({.name = "height",
                                                            .type = "int",
                                                            .default_json = "500",
                                                            .minimum = 150,
                                                            .maximum = 8000,
                                                            .unit = "pixels",
                                                            .help = "Of the plot, at density 1."});
constexpr weft_parameter kDensityParameter = sdk::parameter(
    {.name = "density",
     .type = "int",
     .default_json = "1",
     .minimum = 1,
     .maximum = 8,
     .help = "Pixels of the picture for each pixel of the plot: 2 for print and fine screens."});
constexpr weft_parameter kXLabelParameter =
    sdk::parameter({.name = "x_label",
                    .type = "text",
                    .help = "Instead of the dimension's name and units; may be empty.",
                    .flags = WEFT_PARAMETER_OPTIONAL});
constexpr weft_parameter kYLabelParameter =
    sdk::parameter({.name = "y_label",
                    .type = "text",
                    .help = "Instead of the name and units; may be empty.",
                    .flags = WEFT_PARAMETER_OPTIONAL});

/// Outputs that every plot has.
inline constexpr weft_port kPlotOutputs[] = {sdk::port("image", "image", "The plot, RGB bytes."),
                                             sdk::port("svg", "text", "The same as SVG.")};

/// Width, height and density.
struct PlotSize {
  int width = 800, height = 500, density = 1;
};
PlotSize plot_size(const sdk::Parameters& parameters);
/// The parameter where it was given, else `otherwise`.
std::string text_or(const sdk::Parameters& parameters, const char* name, const std::string& otherwise);

/// Bounds of the two outputs. Errors: kOutOfRange (a side beyond Canvas::kMaxSide).
Status plan_plot(sdk::Plan plan, const PlotSize& size);
/// Draws twice, on pixels and as SVG, and sets both outputs. Precondition: a size that was planned. Errors: those of Canvas.
Status set_plot(sdk::Request& request, const sdk::Execution& execution, const PlotSize& size,
                const std::function<void(Canvas&)>& draw);

/// "2 metre temperature", "t2m", or "".
std::string field_title(const FieldType& type);
/// "500 hPa, 2026-01-02 06:00": the field's scalars.
std::string scalars_text(const FieldType& type);
/// "latitude", "level (hPa)"; time has its units in the ticks; "" for dim_0 and the like.
std::string axis_label(const Axis& axis);
/// Ticks for a dimension, by what it is.
std::function<Ticks(int)> axis_ticks(const Axis& axis, double low, double high);
/// Ticks with names at 0, 1, 2 ... as many as there is room for.
std::function<Ticks(int)> name_ticks(std::vector<std::string> names);

}  // namespace weft::plot
#endif
