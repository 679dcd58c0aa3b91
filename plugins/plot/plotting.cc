#include "plugins/plot/plotting.h"

#include <algorithm>
#include <cmath>

#include "modalities/image/image.h"

namespace weft::plot {
namespace {

// "amino_acid" as people write it.
std::string spaced(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

}  // namespace

PlotSize plot_size(const sdk::Parameters& parameters) {
  return {static_cast<int>(parameters.get_int("width")), static_cast<int>(parameters.get_int("height")),
          static_cast<int>(parameters.get_int("density"))};
}

std::string text_or(const sdk::Parameters& parameters, const char* name, const std::string& otherwise) {
  return parameters.is_set(name) ? std::string(parameters.get_text(name)) : otherwise;
}

Status plan_plot(sdk::Plan plan, const PlotSize& size) {
  const int64_t shape[] = {1, int64_t{size.height} * size.density, int64_t{size.width} * size.density, 3};
  if (shape[1] > Canvas::kMaxSide || shape[2] > Canvas::kMaxSide) {
    return Status(StatusCode::kOutOfRange, "a plot of that size and density is too large")
        .expected("sides of at most " + std::to_string(Canvas::kMaxSide) + " pixels")
        .got(std::to_string(shape[2]) + " x " + std::to_string(shape[1]));
  }
  plan.set_output(0, sdk::tensor_spec(WEFT_DTYPE_U8, shape));
  plan.set_output(1, sdk::bytes_spec(WEFT_UNBOUNDED));
  return {};
}

Status set_plot(sdk::Request& request, const sdk::Execution& execution, const PlotSize& size,
                const std::function<void(Canvas&)>& draw) {
  const int64_t shape[] = {1, int64_t{size.height} * size.density, int64_t{size.width} * size.density, 3};
  Result<Canvas> pixels = Canvas::for_pixels(size.width, size.height, size.density);
  if (!pixels.ok()) return pixels.status();
  draw(*pixels);
  const Result<sdk::NewTensor> image =
      request.host().allocate_tensor(WEFT_DTYPE_U8, shape, execution.stream(), "plot");
  if (!image.ok()) return image.status();
  if (Status status = pixels->copy_pixels(image->data<uint8_t>()); !status.ok()) return status;
  if (request.cancelled()) return sdk::Request::cancelled_status();
  Result<Canvas> drawing = Canvas::for_svg(size.width, size.height);
  if (!drawing.ok()) return drawing.status();
  draw(*drawing);
  const Result<std::string> svg = drawing->finish_svg();
  if (!svg.ok()) return svg.status();
  Status status = request.set_output(0, request.host().make_tensor(image->buffer, image->view, "image",
                                                                   image_attributes(ColorSpace::kSrgb)));
  return status.ok() ? request.set_output(1, request.host().make_text(*svg)) : status;
}

std::string field_title(const FieldType& type) {
  return spaced(type.long_name.empty() ? type.name : type.long_name);
}

std::string scalars_text(const FieldType& type) {
  std::string text;
  for (const ScalarCoordinate& scalar : type.scalars) {
    std::string part = value_text(scalar.value);
    const std::optional<std::string> time = time_text(scalar.units, scalar.value);
    const std::string units = units_text(scalar.units);
    if (time) part = *time;
    else if (scalar.kind == AxisKind::kLatitude || scalar.kind == AxisKind::kLongitude)
      part = degree_text(scalar.kind, scalar.value, scalar.value == std::round(scalar.value) ? 0 : 2);
    else if (!units.empty()) part += " " + units;
    else part = scalar.name + " " + part;
    text += (text.empty() ? "" : ", ") + part;
  }
  return text;
}

std::string axis_label(const Axis& axis) {
  if (axis.name.starts_with("dim_")) return "";
  const bool marked = axis.kind == AxisKind::kLatitude || axis.kind == AxisKind::kLongitude ||
                      time_text(axis.units, 0).has_value();
  const std::string units = marked ? "" : units_text(axis.units);
  return spaced(axis.name) + (units.empty() ? "" : " (" + units + ")");
}

std::function<Ticks(int)> axis_ticks(const Axis& axis, double low, double high) {
  const AxisKind kind = axis.coordinates.empty() ? AxisKind::kOther : axis.kind;
  const bool whole = axis.coordinates.empty();  // positions: there is no 0.5
  return [kind, units = axis.units, low, high, whole](int most) {
    if (kind == AxisKind::kLatitude || kind == AxisKind::kLongitude)
      return degree_ticks(kind, low, high, most);
    if (kind == AxisKind::kTime) {
      if (std::optional<Ticks> ticks = time_ticks(units, low, high, most)) return *std::move(ticks);
    }
    if (whole) most = std::clamp(static_cast<int>(high - low) + 1, 2, std::max(most, 2));
    Ticks ticks = number_ticks(low, high, most);
    if (whole)
      std::erase_if(ticks.ticks, [](const Tick& tick) { return tick.value != std::round(tick.value); });
    return ticks;
  };
}

std::function<Ticks(int)> name_ticks(std::vector<std::string> names) {
  return [names = std::move(names)](int most) {
    // `most` is what numbers would have room for; names are short, and fitting decides: every one, every second ...
    const size_t every = most >= 11 ? 1 : static_cast<size_t>(12 - most);
    Ticks ticks;
    for (size_t i = 0; i < names.size(); i += every)
      ticks.ticks.push_back({static_cast<double>(i), names[i]});
    return ticks;
  };
}

}  // namespace weft::plot
