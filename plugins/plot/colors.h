/// The colour scale of a plot: chosen by parameters, as wide as the data.
#ifndef WEFT_PLUGINS_PLOT_COLORS_H
#define WEFT_PLUGINS_PLOT_COLORS_H

#include <weft/sdk/plugin.h>

#include "modalities/field/field.h"
#include "plugins/plot/color_scale.h"

namespace weft::plot {

inline constexpr const char* kScaleChoices[] = {"auto",     "viridis",  "magma",       "cividis", "gray",
                                                "coolwarm", "red_blue", "brown_green", nullptr};
constexpr weft_parameter kScaleParameter =
    sdk::parameter({.name = "scale",
                    .type = "choice",
                    .default_json = "\"auto\"",
                    .choices = kScaleChoices,
                    .help = "Colours. auto: viridis, or coolwarm if center is given. Diverging: coolwarm, "
                            "red_blue, brown_green."});
constexpr weft_parameter kMinimumParameter =
    sdk::parameter({.name = "minimum",
                    .type = "float",
                    .help = "Of the colours; the data's if not given.",
                    .flags = WEFT_PARAMETER_OPTIONAL});
constexpr weft_parameter kMaximumParameter =
    sdk::parameter({.name = "maximum",
                    .type = "float",
                    .help = "Of the colours; the data's if not given.",
                    .flags = WEFT_PARAMETER_OPTIONAL});
constexpr weft_parameter kCenterParameter =
    sdk::parameter({.name = "center",
                    .type = "float",
                    .help = "Has the middle colour: minimum and maximum become equally far from it.",
                    .flags = WEFT_PARAMETER_OPTIONAL});
constexpr weft_parameter kScaleLabelParameter =
    sdk::parameter({.name = "scale_label",
                    .type = "text",
                    .help = "Of the colour bar, instead of the units.",
                    .flags = WEFT_PARAMETER_OPTIONAL});

struct ChosenColors {
  ColorScale scale;
  bool below = false, above = false;  // whether data lies beyond the scale
};
/// Errors: kInvalidArgument (no value that is finite; minimum not below maximum), kOutOfRange.
Result<ChosenColors> choose_colors(const sdk::Parameters& parameters, const Field& field);

}  // namespace weft::plot
#endif
