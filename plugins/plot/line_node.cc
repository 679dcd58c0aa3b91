#include <algorithm>
#include <array>
#include <cmath>

#include "plugins/plot/plot_nodes.h"

namespace weft::plot {
namespace {

constexpr const char* kSpacings[] = {"linear", "logarithmic", nullptr};
constexpr const char* kMarks[] = {"line", "points", "both", nullptr};
constexpr weft_parameter kParameters[] = {
    kTitleParameter,
    kXLabelParameter,
    kYLabelParameter,
    sdk::parameter({.name = "labels",
                    .type = "list<text>",
                    .default_json = "[]",
                    .help = "Of the lines, in their order; instead of the names of inputs or rows."}),
    sdk::parameter({.name = "x_names",
                    .type = "list<text>",
                    .default_json = "[]",
                    .help = "What the positions are called, instead of their coordinates."}),
    sdk::parameter({.name = "marks",
                    .type = "choice",
                    .default_json = "\"line\"",
                    .choices = kMarks,
                    .help = "What is drawn."}),
    sdk::parameter({.name = "spacing",
                    .type = "choice",
                    .default_json = "\"linear\"",
                    .choices = kSpacings,
                    .help = "Of the vertical axis; logarithmic leaves out what is not above 0."}),
    sdk::parameter({.name = "minimum",
                    .type = "float",
                    .help = "Of the vertical axis; the data's if not given.",
                    .flags = WEFT_PARAMETER_OPTIONAL}),
    sdk::parameter({.name = "maximum",
                    .type = "float",
                    .help = "Of the vertical axis; the data's if not given.",
                    .flags = WEFT_PARAMETER_OPTIONAL}),
    kWidthParameter,
    kHeightParameter,
    kDensityParameter};

constexpr size_t kMaxLines = 24;
// Okabe and Ito's colours, which people with colour blindness tell apart, without the yellow that white swallows.
constexpr std::array<Color, 7> kColors = {{{0.0, 0.447, 0.698},
                                           {0.835, 0.369, 0.0},
                                           {0.0, 0.62, 0.451},
                                           {0.8, 0.475, 0.655},
                                           {0.902, 0.624, 0.0},
                                           {0.337, 0.706, 0.914},
                                           {0.2, 0.2, 0.2}}};

struct Line {
  std::string label;
  std::vector<double> x, y;
};

struct Lines {
  std::vector<Line> lines;
  FieldType first;  // of the first field: what the axes are called
  Axis x_axis;      // its last one
};

Result<Field> field_at(const sdk::Value& value, const std::string& name) {
  Result<Field> field = field_of(value);
  if (!field.ok()) return field.status().at("port '" + name + "'");
  std::vector<Axis>& axes = field->type.axes;
  std::erase_if(axes, [&](const Axis& axis) { return axis.size == 1 && axes.size() > 1; });
  if (axes.empty() || axes.size() > 2 || field->type.elements() == 0) {
    return Status(StatusCode::kInvalidShape, "lines have one dimension, or two: lines, positions")
        .at("port '" + name + "'")
        .got(to_string(field->type))
        .hint("field.select takes a part");
  }
  return field;
}

std::string row_label(const Axis& rows, int64_t row) {
  if (rows.coordinates.empty())
    return rows.name.starts_with("dim_") ? std::to_string(row) : rows.name + " " + std::to_string(row);
  if (const std::optional<std::string> time = time_text(rows.units, rows.coordinate(row))) return *time;
  const std::string units = units_text(rows.units), value = value_text(rows.coordinate(row));
  return units.empty() ? rows.name + " " + value : value + " " + units;
}

void add_field(const Field& field, const std::string& name, Lines* lines) {
  const Axis& axis = field.type.axes.back();
  if (lines->lines.empty()) {
    lines->first = field.type;
    lines->x_axis = axis;
  }
  std::erase_if(lines->first.scalars,
                [&](const ScalarCoordinate& scalar) {  // what all lines share stands below the title
                  return std::find(field.type.scalars.begin(), field.type.scalars.end(), scalar) ==
                         field.type.scalars.end();
                });
  const int64_t rows = field.type.axes.size() == 2 ? field.type.axes[0].size : 1;
  for (int64_t row = 0; row < rows && lines->lines.size() <= kMaxLines; ++row) {
    Line line{.label = rows > 1 ? row_label(field.type.axes[0], row) : name, .x = {}, .y = {}};
    for (int64_t i = 0; i < axis.size; ++i) {
      line.x.push_back(axis.coordinate(i));
      line.y.push_back(field.at(row * axis.size + i));
    }
    lines->lines.push_back(std::move(line));
  }
}

Result<Lines> lines_of(const sdk::Request& request, const std::vector<std::string>& inputs) {
  Lines lines;
  for (size_t port = 0; port < inputs.size(); ++port) {
    const sdk::Value value = request.input(port);
    if (!value) continue;
    if (value.kind() == WEFT_KIND_LIST && (value.type() == "list<float>" || value.type() == "list<int>")) {
      Line line{.label = inputs[port], .x = {}, .y = {}};
      for (size_t i = 0; i < value.size(); ++i) {
        line.x.push_back(static_cast<double>(i));
        line.y.push_back(value.item(i).as_float());
      }
      if (lines.lines.empty()) lines.x_axis = {.name = "dim_0", .size = static_cast<int64_t>(line.x.size())};
      lines.lines.push_back(std::move(line));
      continue;
    }
    const Result<Field> field = field_at(value, inputs[port]);
    if (!field.ok()) return field.status();
    add_field(*field, inputs[port], &lines);
  }
  if (lines.lines.size() > kMaxLines) {
    return Status(StatusCode::kOutOfRange, "there are too many lines to tell them apart")
        .expected("at most " + std::to_string(kMaxLines))
        .hint("plot.heatmap shows many rows");
  }
  if (lines.lines.empty()) {
    return Status(StatusCode::kInvalidArgument, "there is nothing to draw")
        .hint(
            "connect fields, tensors or lists of numbers to inputs of any name: \"in\": {\"measured\": "
            "\"load.field\"}");
  }
  return lines;
}

struct Range {
  double low = INFINITY, high = -INFINITY;
  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

// With room around; given limits are kept.
Status vertical_range(const sdk::Parameters& parameters, Spacing spacing, const Lines& lines,
                      PlotAxis* axis) {
  Range range;
  for (const Line& line : lines.lines) {
    for (const double y : line.y) {
      if (std::isfinite(y) && (spacing == Spacing::kLinear || y > 0)) range.take(y);
    }
  }
  if (range.low > range.high) {
    return Status(StatusCode::kInvalidArgument,
                  spacing == Spacing::kLinear
                      ? "no value of the lines is finite: there is nothing to draw"
                      : "no value of the lines is above 0, as a logarithmic axis needs");
  }
  const auto forward = [&](double v) { return spacing == Spacing::kLinear ? v : std::log(v); };
  const auto back = [&](double v) { return spacing == Spacing::kLinear ? v : std::exp(v); };
  double margin = (forward(range.high) - forward(range.low)) * 0.05;
  const double largest = std::max(std::fabs(range.low), std::fabs(range.high));
  if (spacing == Spacing::kLogarithmic) margin = std::max(margin, 0.05);
  else if (largest == 0) margin = 1;
  else if (margin < largest * 1e-10) margin = largest * 0.05;  // one value, but for rounding
  axis->from =
      parameters.is_set("minimum") ? parameters.get_float("minimum") : back(forward(range.low) - margin);
  axis->to =
      parameters.is_set("maximum") ? parameters.get_float("maximum") : back(forward(range.high) + margin);
  if (axis->from < axis->to && (spacing == Spacing::kLinear || axis->from > 0)) return {};
  return Status(StatusCode::kInvalidArgument, "the vertical axis has no extent")
      .expected("a minimum below the maximum, and above 0 on a logarithmic axis")
      .got(number_text(axis->from) + " to " + number_text(axis->to));
}

void horizontal_range(const Lines& lines, PlotAxis* axis) {
  Range range;
  for (const Line& line : lines.lines) {
    for (const double x : line.x) range.take(x);
  }
  if (!(range.low < range.high)) {
    range.low -= 0.5;
    range.high += 0.5;
  }
  const double margin = (range.high - range.low) * 0.02;
  axis->from = range.low - margin;
  axis->to = range.high + margin;
}

Stroke stroke_of(size_t line) {
  static const std::vector<double> kDashes[] = {{}, {7, 3}, {2, 2.5}, {8, 3, 2, 3}};
  return {.color = kColors[line % kColors.size()], .width = 2, .dashes = kDashes[line / kColors.size() % 4]};
}

void draw_lines(Canvas& canvas, const Lines& lines, const Figure& figure, const Box& data,
                std::string_view marks) {
  canvas.clip({data.left - 3, data.top - 3, data.width + 6, data.height + 6});
  for (size_t i = 0; i < lines.lines.size(); ++i) {
    const Line& line = lines.lines[i];
    std::vector<Point> points;
    for (size_t k = 0; k < line.x.size(); ++k) {
      const bool shown = std::isfinite(line.y[k]) && (figure.y.spacing == Spacing::kLinear || line.y[k] > 0);
      const double y = shown ? data.bottom() - figure.y.place(line.y[k]) * data.height : NAN;
      points.push_back({data.left + figure.x.place(line.x[k]) * data.width, y});
    }
    const Stroke stroke = stroke_of(i);
    if (marks != "points") canvas.polyline(points, stroke);
    if (marks == "line") continue;
    for (const Point& point : points) {
      if (std::isfinite(point.y)) canvas.dot(point, 3.2, stroke.color);
    }
  }
  canvas.unclip();
}

Status apply_labels(const sdk::Parameters& parameters, Lines* lines) {
  const std::vector<std::string> labels = sdk::text_list(parameters, "labels");
  if (labels.empty()) return {};
  if (labels.size() != lines->lines.size()) {
    return Status(StatusCode::kInvalidArgument, "there are not as many labels as lines")
        .at("parameter 'labels'")
        .expected(std::to_string(lines->lines.size()))
        .got(std::to_string(labels.size()));
  }
  for (size_t i = 0; i < labels.size(); ++i) lines->lines[i].label = labels[i];
  return {};
}

std::string value_label(const FieldType& type) {
  const std::string units = units_text(type.units);
  if (units.empty()) return "";
  return type.name.empty() ? units : type.name + " (" + units + ")";
}

}  // namespace

LineNode::LineNode(const sdk::NodeConfig& config) : size_(plot_size(config.parameters())) {
  for (size_t i = 0; i < config.n_inputs(); ++i) inputs_.emplace_back(config.input_name(i));
}

Status LineNode::prepare(sdk::Specs, sdk::Plan plan) { return plan_plot(plan, size_); }

Status LineNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Parameters parameters = request.parameters();
  Result<Lines> lines = lines_of(request, inputs_);
  if (!lines.ok()) return lines.status();
  Status status = apply_labels(parameters, &*lines);
  if (!status.ok()) return status;
  Figure figure{.width = size_.width,
                .height = size_.height,
                .title = text_or(parameters, "title", field_title(lines->first)),
                .subtitle = scalars_text(lines->first),
                .x = {.label = text_or(parameters, "x_label", axis_label(lines->x_axis))},
                .y = {.label = text_or(parameters, "y_label", value_label(lines->first))}};
  figure.y.spacing = parameters.get_text("spacing") == "linear" ? Spacing::kLinear : Spacing::kLogarithmic;
  status = vertical_range(parameters, figure.y.spacing, *lines, &figure.y);
  if (!status.ok()) return status;
  horizontal_range(*lines, &figure.x);
  status = figure.x.check("what the lines go over");
  if (status.ok()) status = figure.y.check("the values of the lines");
  if (!status.ok()) return status;
  figure.x.ticks = axis_ticks(lines->x_axis, figure.x.from, figure.x.to);
  if (std::vector<std::string> names = sdk::text_list(parameters, "x_names"); !names.empty()) {
    if (static_cast<int64_t>(names.size()) != lines->x_axis.size || !lines->x_axis.coordinates.empty()) {
      return Status(StatusCode::kInvalidArgument,
                    "there are not as many names as positions without coordinates")
          .at("parameter 'x_names'")
          .got(std::to_string(names.size()));
    }
    figure.x.named = true;
    figure.x.ticks = name_ticks(std::move(names));
  }
  figure.y.ticks = [axis = figure.y](int most) {
    return axis.spacing == Spacing::kLinear ? number_ticks(axis.from, axis.to, most)
                                            : log_ticks(axis.from, axis.to, most);
  };
  if (lines->lines.size() > 1) {
    for (size_t i = 0; i < lines->lines.size(); ++i)
      figure.legend.push_back({lines->lines[i].label, stroke_of(i)});
  }
  return set_plot(request, execution, size_, [&](Canvas& canvas) {
    const Layout layout = lay_out(canvas, figure);
    draw_background(canvas, figure, layout);
    draw_lines(canvas, *lines, figure, layout.data, parameters.get_text("marks"));
    draw_axes(canvas, figure, layout);
  });
}

constexpr weft_node_type kLineNode = sdk::node<LineNode>(
    {.name = "plot.line",
     .help = "Draws lines: each input is a field, a tensor or a list of numbers, in one or two dimensions.",
     .flags = WEFT_NODE_PURE | WEFT_NODE_EXTRA_INPUTS,
     .outputs = kPlotOutputs,
     .parameters = kParameters});

}  // namespace weft::plot
