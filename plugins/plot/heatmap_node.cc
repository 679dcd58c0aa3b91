#include <algorithm>
#include <cmath>

#include "plugins/plot/cell_raster.h"
#include "plugins/plot/colors.h"
#include "plugins/plot/plot_nodes.h"

namespace weft::plot {
namespace {

constexpr weft_port kInputs[] = {
    sdk::optional_port("field", "field.array",
                       "Two dimensions: rows, columns. Others of size 1 do not count."),
    sdk::optional_port("tensor", "tensor", "Instead of a field: f32 or f64 [rows, columns].")};
constexpr weft_parameter kParameters[] = {
    kTitleParameter,
    kXLabelParameter,
    kYLabelParameter,
    sdk::parameter({.name = "x_names",
                    .type = "list<text>",
                    .default_json = "[]",
                    .help = "What the columns are called."}),
    sdk::parameter(
        {.name = "y_names", .type = "list<text>", .default_json = "[]", .help = "What the rows are called."}),
    kScaleParameter,
    kScaleLabelParameter,
    kMinimumParameter,
    kMaximumParameter,
    kCenterParameter,
    kWidthParameter,
    kHeightParameter,
    kDensityParameter};

Result<Field> input_field(const sdk::Request& request) {
  const sdk::Value field = request.input(0), tensor = request.input(1);
  if (static_cast<bool>(field) == static_cast<bool>(tensor)) {
    return Status(StatusCode::kInvalidArgument, "one of \"field\" and \"tensor\" is drawn")
        .hint("connect exactly one of them");
  }
  Result<Field> found = field_of(field ? field : tensor);
  if (!found.ok()) return found.status().at(field ? "port 'field'" : "port 'tensor'");
  std::erase_if(found->type.axes, [](const Axis& axis) { return axis.size == 1; });
  while (found->type.axes.size() < 2)
    found->type.axes.insert(found->type.axes.begin(), Axis{.name = "dim_0", .size = 1});
  if (found->type.axes.size() > 2 || found->type.elements() == 0) {
    return Status(StatusCode::kInvalidShape, "a heat map has two dimensions")
        .expected("rows and columns")
        .got(to_string(found->type))
        .hint("field.select takes a part");
  }
  return found;
}

bool is_pressure(const Axis& axis) {
  return axis.kind == AxisKind::kLevel &&
         (axis.units == "hPa" || axis.units == "Pa" || axis.units == "millibars" || axis.units == "mbar");
}

// Upwards: rising coordinates; but rows of a matrix, and pressure, go down.
bool goes_down(const Axis& rows) { return rows.coordinates.empty() || is_pressure(rows); }

Status plot_axis(const Axis& axis, std::vector<std::string> names, const std::vector<double>& borders,
                 PlotAxis* plot) {
  plot->from = std::min(borders.front(), borders.back());
  plot->to = std::max(borders.front(), borders.back());
  if (Status status = plot->check("'" + axis.name + "'"); !status.ok()) return status;
  plot->ticks = axis_ticks(axis, plot->from, plot->to);
  if (names.empty()) return {};
  if (static_cast<int64_t>(names.size()) != axis.size) {
    return Status(StatusCode::kInvalidArgument, "there are not as many names as rows or columns")
        .expected(std::to_string(axis.size) + " for '" + axis.name + "'")
        .got(std::to_string(names.size()));
  }
  std::vector<double> places;
  for (int64_t i = 0; i < axis.size; ++i) places.push_back(axis.coordinate(i));
  plot->named = true;
  plot->ticks = [make = name_ticks(std::move(names)), places](int most) {
    Ticks ticks = make(most);
    for (Tick& tick : ticks.ticks) tick.value = places[static_cast<size_t>(tick.value)];
    return ticks;
  };
  return {};
}

}  // namespace

Status HeatmapNode::prepare(sdk::Specs, sdk::Plan plan) { return plan_plot(plan, size_); }

Status HeatmapNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Parameters parameters = request.parameters();
  const Result<Field> field = input_field(request);
  if (!field.ok()) return field.status();
  const Axis &rows = field->type.axes[0], &columns = field->type.axes[1];
  for (const Axis* axis : {&rows, &columns}) {
    if (!is_monotonic(*axis)) {
      return Status(StatusCode::kInvalidArgument, "the coordinates of '" + axis->name + "' are in no order")
          .hint("field.describe gives other ones, or none");
    }
  }
  const Result<ChosenColors> colors = choose_colors(parameters, *field);
  if (!colors.ok()) return colors.status();
  const std::vector<double> y_borders = cell_borders(rows), x_borders = cell_borders(columns);
  Figure figure{.width = size_.width,
                .height = size_.height,
                .title = text_or(parameters, "title", field_title(field->type)),
                .subtitle = scalars_text(field->type),
                .x = {.label = text_or(parameters, "x_label", axis_label(columns))},
                .y = {.label = text_or(parameters, "y_label", axis_label(rows))}};
  Status status = plot_axis(columns, sdk::text_list(parameters, "x_names"), x_borders, &figure.x);
  if (status.ok()) status = plot_axis(rows, sdk::text_list(parameters, "y_names"), y_borders, &figure.y);
  if (!status.ok()) return status;
  if (goes_down(rows)) std::swap(figure.y.from, figure.y.to);
  figure.scale = &colors->scale;
  figure.scale_label = text_or(parameters, "scale_label", units_text(field->type.units));
  figure.below = colors->below;
  figure.above = colors->above;
  figure.framed = true;
  return set_plot(request, execution, size_, [&](Canvas& canvas) {
    const Layout layout = lay_out(canvas, figure);
    draw_background(canvas, figure, layout);
    const Box& data = layout.data;
    const auto pixels = [&](double length) { return static_cast<int>(std::lround(length / canvas.pixel())); };
    const Coverage y = cover(y_borders, figure.y.to, figure.y.from, pixels(data.height), 0);
    const Coverage x = cover(x_borders, figure.x.from, figure.x.to, pixels(data.width), 0);
    canvas.fill(data, kMissingColor);
    const auto value = [&](int64_t row, int64_t column) { return field->at(row * columns.size + column); };
    canvas.raster(rasterize(y, x, columns.size, value, colors->scale), data);
    draw_axes(canvas, figure, layout);
  });
}

constexpr weft_node_type kHeatmapNode = sdk::node<HeatmapNode>({.name = "plot.heatmap",
                                                                .help = "Draws two dimensions as colours.",
                                                                .flags = WEFT_NODE_PURE,
                                                                .inputs = kInputs,
                                                                .outputs = kPlotOutputs,
                                                                .parameters = kParameters});

}  // namespace weft::plot
