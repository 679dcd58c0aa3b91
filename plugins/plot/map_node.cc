#include <algorithm>
#include <cmath>

#include "plugins/plot/cell_raster.h"
#include "plugins/plot/coastline.h"
#include "plugins/plot/colors.h"
#include "plugins/plot/plot_nodes.h"

namespace weft::plot {
namespace {

constexpr weft_port kInputs[] = {
    sdk::port("field", "field.array",
              "Latitude and longitude, in either order; other dimensions of size 1 do not count.")};
constexpr weft_parameter kParameters[] = {
    kTitleParameter,
    kScaleParameter,
    kScaleLabelParameter,
    kMinimumParameter,
    kMaximumParameter,
    kCenterParameter,
    sdk::parameter({.name = "center_longitude",
                    .type = "float",
                    .minimum = -360,
                    .maximum = 360,
                    .unit = "degrees east",
                    .help = "In the middle of a map of the whole world; 0 if not given.",
                    .flags = WEFT_PARAMETER_OPTIONAL}),
    sdk::parameter({.name = "coastlines",
                    .type = "bool",
                    .default_json = "true",
                    .help = "Draws coasts, at 1:110 million."}),
    sdk::parameter({.name = "graticule",
                    .type = "bool",
                    .default_json = "true",
                    .help = "Draws lines of latitude and longitude."}),
    kWidthParameter,
    sdk::parameter(
        {.name = "height",
         .type = "int",
         .default_json = "0",
         .minimum = 0,
         .maximum = 8000,
         .unit = "pixels",
         .help = "Of the plot, at density 1. 0: as high as the map needs, at most twice the width."}),
    kDensityParameter};

/// A field over latitude and longitude, and the part of the world that its cells cover.
struct Globe {
  Field field;
  Axis latitudes, longitudes;
  bool latitude_first = true;
  std::vector<double> y_borders, x_borders;
  double west = 0, east = 0, south = 0, north = 0;

  double at(int64_t row, int64_t column) const {
    return field.at(latitude_first ? row * longitudes.size + column : column * latitudes.size + row);
  }
};

Status check_axis(const Axis& axis, double lowest, double highest) {
  const auto outside = [&](double value) { return value < lowest || value > highest; };
  const bool in_range = std::none_of(axis.coordinates.begin(), axis.coordinates.end(), outside);
  if (!axis.coordinates.empty() && is_monotonic(axis) && in_range) return {};
  return Status(StatusCode::kInvalidArgument, "the coordinates of '" + axis.name + "' make no map")
      .expected("degrees from " + number_text(lowest) + " to " + number_text(highest) + " that rise, or fall")
      .got(axis.coordinates.empty() ? "no coordinates"
           : !in_range              ? "others"
                                    : "degrees in no order");
}

Result<Globe> globe_of(const sdk::Value& value, std::optional<double> center) {
  Result<Field> field = field_of(value);
  if (!field.ok()) return field.status();
  Globe globe;
  globe.field = *std::move(field);
  std::vector<Axis> axes = globe.field.type.axes;
  std::erase_if(axes, [](const Axis& axis) {
    return axis.size == 1 && axis.kind != AxisKind::kLatitude && axis.kind != AxisKind::kLongitude;
  });
  const FieldType two{.axes = axes};
  const std::optional<size_t> latitude = two.axis_of(AxisKind::kLatitude),
                              longitude = two.axis_of(AxisKind::kLongitude);
  if (axes.size() != 2 || !latitude || !longitude) {
    return Status(StatusCode::kInvalidShape, "a map has two dimensions, latitude and longitude")
        .got(to_string(globe.field.type))
        .hint("field.select takes a part; field.describe says what dimensions are");
  }
  globe.latitudes = axes[*latitude];
  globe.longitudes = axes[*longitude];
  globe.latitude_first = *latitude == 0;
  Status status = check_axis(globe.latitudes, -90, 90);
  if (status.ok()) status = check_axis(globe.longitudes, -720, 720);
  if (!status.ok()) return status;
  globe.y_borders = cell_borders(globe.latitudes);
  globe.x_borders = cell_borders(globe.longitudes);
  const auto [south, north] = std::minmax(globe.y_borders.front(), globe.y_borders.back());
  const auto [west, east] = std::minmax(globe.x_borders.front(), globe.x_borders.back());
  globe.south = south;
  globe.north = north;
  globe.west = west;
  globe.east = east;
  if (east - west > 359) {  // the whole world
    globe.west = center.value_or(0) - 180;
    globe.east = globe.west + 360;
  }
  return globe;
}

// Lines a degree apart that cells repeat at.
void draw_coasts(Canvas& canvas, const Globe& globe, const Figure& figure, const Box& data) {
  const std::span<const int16_t> table = coastline_table();
  const Stroke stroke{.color = {0.1, 0.1, 0.1, 0.85}, .width = 0.9};
  for (size_t at = 0; at < table.size();) {
    const auto count = static_cast<size_t>(table[at++]);
    for (double turn = -720; turn <= 720; turn += 360) {
      std::vector<Point> line;
      bool visible = false;
      for (size_t i = 0; i < count; ++i) {
        const double longitude = table[at + 2 * i] / 100.0 + turn, latitude = table[at + 2 * i + 1] / 100.0;
        visible = visible || (longitude >= globe.west && longitude <= globe.east);
        line.push_back({data.left + figure.x.place(longitude) * data.width,
                        data.bottom() - figure.y.place(latitude) * data.height});
      }
      if (visible) canvas.polyline(line, stroke);
    }
    at += 2 * count;
  }
}

void draw_graticule(Canvas& canvas, const Figure& figure, const Layout& layout) {
  const Stroke stroke{.color = {0.25, 0.25, 0.25, 0.35}, .width = 0.7, .dashes = {2, 3}};
  const Box& data = layout.data;
  for (const Tick& tick : layout.x.ticks) {
    const double x = data.left + figure.x.place(tick.value) * data.width;
    canvas.line({x, data.top}, {x, data.bottom()}, stroke);
  }
  for (const Tick& tick : layout.y.ticks) {
    const double y = data.bottom() - figure.y.place(tick.value) * data.height;
    canvas.line({data.left, y}, {data.right(), y}, stroke);
  }
}

// Of a map that is as high as it needs.
int most_height(const PlotSize& size) { return std::min(2 * size.width, Canvas::kMaxSide / size.density); }

Figure map_figure(const Globe& globe, const sdk::Parameters& parameters, const ChosenColors& colors,
                  const PlotSize& size) {
  const FieldType& type = globe.field.type;
  Figure figure{.width = size.width,
                .height = size.height,
                .title = text_or(parameters, "title", field_title(type)),
                .subtitle = scalars_text(type),
                .x = {.from = globe.west, .to = globe.east, .label = {}},
                .y = {.from = globe.south, .to = globe.north, .label = {}}};
  figure.x.ticks = axis_ticks(globe.longitudes, globe.west, globe.east);
  figure.y.ticks = axis_ticks(globe.latitudes, globe.south, globe.north);
  figure.scale = &colors.scale;
  figure.scale_label = text_or(parameters, "scale_label", units_text(type.units));
  figure.below = colors.below;
  figure.above = colors.above;
  figure.framed = true;
  // A degree of longitude is as wide as it is in the middle of the map, unless that is most of the world.
  const double middle = (globe.south + globe.north) / 2;
  const double narrowing = globe.north - globe.south > 100 ? 1 : std::max(0.2, std::cos(middle * M_PI / 180));
  figure.aspect = (globe.north - globe.south) / ((globe.east - globe.west) * narrowing);
  return figure;
}

}  // namespace

Status MapNode::prepare(sdk::Specs, sdk::Plan plan) {
  PlotSize largest = size_;
  if (size_.height == 0) largest.height = most_height(size_);
  return plan_plot(plan, largest);
}

Status MapNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Parameters parameters = request.parameters();
  std::optional<double> center;
  if (parameters.is_set("center_longitude")) center = parameters.get_float("center_longitude");
  const Result<Globe> globe = globe_of(request.input(0), center);
  if (!globe.ok()) return globe.status().at("port 'field'");
  const Result<ChosenColors> colors = choose_colors(parameters, globe->field);
  if (!colors.ok()) return colors.status().at("port 'field'");
  Figure figure = map_figure(*globe, parameters, *colors, size_);
  if (size_.height == 0) {
    const Result<Canvas> measure = Canvas::for_pixels(1, 1, 1);
    if (!measure.ok()) return measure.status();
    figure.height = fitting_height(*measure, figure, most_height(size_));
  }
  return set_plot(request, execution, {size_.width, figure.height, size_.density}, [&](Canvas& canvas) {
    const Layout layout = lay_out(canvas, figure);
    draw_background(canvas, figure, layout);
    const Box& data = layout.data;
    const auto pixels = [&](double length) { return static_cast<int>(std::lround(length / canvas.pixel())); };
    const Coverage y = cover(globe->y_borders, globe->north, globe->south, pixels(data.height), 0);
    const Coverage x = cover(globe->x_borders, globe->west, globe->east, pixels(data.width), 360);
    canvas.fill(data, kMissingColor);
    const auto value = [&](int64_t row, int64_t column) { return globe->at(row, column); };
    canvas.raster(rasterize(y, x, globe->longitudes.size, value, colors->scale), data);
    canvas.clip(data);
    if (parameters.get_bool("graticule")) draw_graticule(canvas, figure, layout);
    if (parameters.get_bool("coastlines")) draw_coasts(canvas, *globe, figure, data);
    canvas.unclip();
    draw_axes(canvas, figure, layout);
  });
}

constexpr weft_node_type kMapNode = sdk::node<MapNode>(
    {.name = "plot.map",
     .help = "Draws a field over latitude and longitude as a map (equirectangular projection).",
     .flags = WEFT_NODE_PURE,
     .inputs = kInputs,
     .outputs = kPlotOutputs,
     .parameters = kParameters});

}  // namespace weft::plot
