// NetCDF with CF attributes. Classic files are checked by netcdf_header.h first; what libnetcdf says is checked again.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "modalities/field/files/netcdf_header.h"
#include "modalities/field/files/netcdf_library.h"
#include "modalities/field/files/readers.h"
#include "modalities/unicode/utf8.h"

namespace weft::files {
namespace {

constexpr size_t kMaxTextBytes = 65536;
constexpr int kMaxVariables = 8192;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Variable {
  int id = -1;
  std::string name = {};
  nc_type type = NC_NAT;
  std::vector<int> dimensions = {};
};

struct Dimension {
  std::string name;
  size_t length = 0;
};

bool is_number(nc_type type) { return type >= NC_BYTE && type <= NC_UINT64 && type != NC_CHAR; }
bool is_narrow(nc_type type) {
  return type == NC_BYTE || type == NC_UBYTE || type == NC_SHORT || type == NC_USHORT || type == NC_FLOAT;
}

// Names and units as UTF-8: what is not is taken as Latin-1, which older files use for degrees.
std::string as_utf8(const std::string& text) {
  if (is_utf8(text)) return text;
  std::string result;
  for (const char byte : text) append_utf8(result, static_cast<unsigned char>(byte));
  return result;
}

// A dimension may be there twice, as in a matrix of covariances; axes have names of their own: "site", "site_2".
void give_own_name(std::span<const Axis> others, Axis* axis) {
  const std::string name = axis->name;
  const auto is_taken = [axis](const Axis& other) { return other.name == axis->name; };
  for (int number = 2; std::any_of(others.begin(), others.end(), is_taken); ++number) {
    axis->name = name + "_" + std::to_string(number);
  }
}

/// How stored numbers become values: CF's packing and missing values.
struct Packing {
  double scale = 1, offset = 0;
  double lowest = -INFINITY, highest = INFINITY;  // of what is stored
  std::vector<double> missing;
  double wraps = 0;  // 256 or 65536 where negative numbers mean large ones

  double unpack(double stored) const {
    if (stored < 0) stored += wraps;
    if (stored < lowest || stored > highest) return kNan;
    for (const double value : missing) {
      if (stored == value) return kNan;
    }
    return stored * scale + offset;
  }
  bool is_identity() const {
    return scale == 1 && offset == 0 && lowest == -INFINITY && highest == INFINITY && missing.empty() &&
           wraps == 0;
  }
};

/// Attributes of one file. The lock is held.
class Attributes {
 public:
  explicit Attributes(int file) : file_(file) {}

  std::string text(int variable, const char* name) const {
    nc_type type = NC_NAT;
    size_t length = 0;
    if (nc_inq_att(file_, variable, name, &type, &length) != NC_NOERR || length == 0) return {};
    if (type == NC_STRING && length == 1) {
      char* string = nullptr;
      if (nc_get_att_string(file_, variable, name, &string) != NC_NOERR || string == nullptr) return {};
      std::string text(string, std::min(std::strlen(string), kMaxTextBytes));
      nc_free_string(1, &string);
      return as_utf8(text);
    }
    if (type != NC_CHAR || length > kMaxTextBytes) return {};
    std::string text(length, '\0');
    if (nc_get_att_text(file_, variable, name, text.data()) != NC_NOERR) return {};
    text.resize(std::min(text.size(), text.find('\0')));
    return as_utf8(text);
  }
  std::vector<double> numbers(int variable, const char* name) const {
    nc_type type = NC_NAT;
    size_t length = 0;
    if (nc_inq_att(file_, variable, name, &type, &length) != NC_NOERR || !is_number(type) || length > 64)
      return {};
    std::vector<double> values(length);
    if (nc_get_att_double(file_, variable, name, values.data()) != NC_NOERR) return {};
    return values;
  }
  double number(int variable, const char* name, double otherwise) const {
    const std::vector<double> values = numbers(variable, name);
    return values.size() == 1 ? values[0] : otherwise;
  }

  Packing packing(const Variable& variable) const {
    const int id = variable.id;
    Packing packing;
    packing.scale = number(id, "scale_factor", 1);
    packing.offset = number(id, "add_offset", 0);
    packing.missing = numbers(id, "missing_value");
    if (const std::vector<double> fill = numbers(id, "_FillValue"); fill.size() == 1) {
      packing.missing.push_back(fill[0]);
    } else if (const std::optional<double> value = default_fill(variable.type)) {
      packing.missing.push_back(*value);
    }
    if (variable.type == NC_FLOAT) {  // often written as a double that no f32 is equal to
      for (double& value : packing.missing) value = static_cast<float>(value);
    }
    const std::vector<double> range = numbers(id, "valid_range");
    packing.lowest = range.size() == 2 ? range[0] : number(id, "valid_min", -INFINITY);
    packing.highest = range.size() == 2 ? range[1] : number(id, "valid_max", INFINITY);
    if (text(id, "_Unsigned") == "true" && (variable.type == NC_BYTE || variable.type == NC_SHORT)) {
      packing.wraps = variable.type == NC_BYTE ? 256 : 65536;
      for (double& value : packing.missing) value += value < 0 ? packing.wraps : 0;
    }
    return packing;
  }

 private:
  // What libraries leave where nothing was written; bytes have none.
  static std::optional<double> default_fill(nc_type type) {
    switch (type) {
      case NC_SHORT: return NC_FILL_SHORT;
      case NC_USHORT: return NC_FILL_USHORT;
      case NC_INT: return NC_FILL_INT;
      case NC_UINT: return NC_FILL_UINT;
      case NC_FLOAT: return NC_FILL_FLOAT;
      case NC_DOUBLE: return NC_FILL_DOUBLE;
      default: return std::nullopt;
    }
  }

  int file_;
};

class NetcdfFields : public FieldFile {
 public:
  NetcdfFields(NetcdfFile file, const FieldFileOptions& options)
      : FieldFile(options), file_(std::move(file)) {}

  /// The lock is held.
  Status open() {
    int n_dimensions = 0, n_variables = 0;
    Status status =
        netcdf_status(nc_inq(file_.id(), &n_dimensions, &n_variables, nullptr, nullptr), "the file");
    if (!status.ok()) return status;
    if (n_variables > kMaxVariables) return {StatusCode::kOutOfRange, "the file has too many variables"};
    for (int id = 0; id < n_variables; ++id) {
      status = add_variable(id);
      if (!status.ok()) return status;
    }
    for (const Variable& variable : variables_) {
      if (!is_number(variable.type) || variable.dimensions.empty() || describes_others(variable)) continue;
      status = add_field(variable);
      if (!status.ok()) return std::move(status).at("variable '" + variable.name + "'");
    }
    return {};
  }

  Status read(size_t index, void* to) override {
    const NetcdfLock lock;
    const Variable& variable = of_field_[index];
    const int64_t count = fields_[index].elements();
    return read_variable(variable, fields_[index].dtype, count, to).at("variable '" + variable.name + "'");
  }

 private:
  Status add_variable(int id) {
    char name[NC_MAX_NAME + 1] = {};
    int rank = 0;
    Variable variable{.id = id};
    Status status = netcdf_status(nc_inq_var(file_.id(), id, name, &variable.type, &rank, nullptr, nullptr),
                                  "a variable");
    if (!status.ok()) return status;
    variable.name = as_utf8(name);
    if (rank > WEFT_MAX_RANK) return {};  // not a field
    variable.dimensions.resize(static_cast<size_t>(rank));
    status = netcdf_status(nc_inq_vardimid(file_.id(), id, variable.dimensions.data()), "a variable");
    if (status.ok()) variables_.push_back(std::move(variable));
    return status;
  }

  Result<Dimension> dimension(int id) const {
    char name[NC_MAX_NAME + 1] = {};
    Dimension result;
    Status status = netcdf_status(nc_inq_dim(file_.id(), id, name, &result.length), "a dimension");
    if (!status.ok()) return status;
    if (result.length > static_cast<size_t>(INT64_MAX))
      return Status(StatusCode::kCorruptData, "a dimension is too long");
    result.name = as_utf8(name);
    return result;
  }

  const Variable* find_variable(const std::string& name) const {
    const auto found = std::find_if(variables_.begin(), variables_.end(),
                                    [&](const Variable& variable) { return variable.name == name; });
    return found == variables_.end() ? nullptr : &*found;
  }

  // A coordinate of its own dimension, or the bounds of one.
  bool describes_others(const Variable& variable) const {
    const Result<Dimension> first = dimension(variable.dimensions[0]);
    if (first.ok() && variable.dimensions.size() == 1 && first->name == variable.name) return true;
    const Attributes attributes(file_.id());
    return std::any_of(variables_.begin(), variables_.end(), [&](const Variable& other) {
      return attributes.text(other.id, "bounds") == variable.name;
    });
  }

  Status add_field(const Variable& variable) {
    const Attributes attributes(file_.id());
    FieldType type{.name = variable.name,
                   .long_name = attributes.text(variable.id, "long_name"),
                   .units = attributes.text(variable.id, "units"),
                   .dtype = is_narrow(variable.type) ? WEFT_DTYPE_F32 : WEFT_DTYPE_F64};
    for (const int id : variable.dimensions) {
      Result<Axis> axis = read_axis(id);
      if (!axis.ok()) return axis.status();
      give_own_name(type.axes, &*axis);
      type.axes.push_back(*std::move(axis));
    }
    if (Status status = add_scalars(attributes.text(variable.id, "coordinates"), &type); !status.ok())
      return status;
    fields_.push_back(std::move(type));
    of_field_.push_back(variable);
    return {};
  }

  Result<Axis> read_axis(int id) const {
    const Result<Dimension> found = dimension(id);
    if (!found.ok()) return found.status();
    Axis axis{.name = found->name, .size = static_cast<int64_t>(found->length)};
    const AxisHints hints{.name = axis.name};
    const Variable* coordinate = find_variable(axis.name);
    const bool usable = coordinate != nullptr && is_number(coordinate->type) &&
                        coordinate->dimensions == std::vector{id} && axis.size <= kMaxCoordinates &&
                        axis.size > 0;
    if (!usable) {
      axis.kind = axis_kind(hints);
      return axis;
    }
    const Attributes attributes(file_.id());
    axis.units = attributes.text(coordinate->id, "units");
    const std::string standard_name = attributes.text(coordinate->id, "standard_name"),
                      direction = attributes.text(coordinate->id, "axis");
    axis.kind = axis_kind(
        {.name = axis.name, .units = axis.units, .standard_name = standard_name, .axis = direction});
    axis.coordinates.resize(found->length);
    Status status = read_variable(*coordinate, WEFT_DTYPE_F64, axis.size, axis.coordinates.data());
    if (!status.ok()) return status;
    if (const auto bad = first_not_finite(WEFT_DTYPE_F64, axis.coordinates.data(), axis.size)) {
      return Status(StatusCode::kCorruptData,
                    "coordinate " + std::to_string(*bad) + " of '" + axis.name + "' is missing");
    }
    return axis;
  }

  // The coordinates without a dimension that `names` (a CF attribute) lists.
  Status add_scalars(const std::string& names, FieldType* type) const {
    const Attributes attributes(file_.id());
    for (size_t begin = 0; begin < names.size() && type->scalars.size() < 64;) {
      const size_t end = std::min(names.find(' ', begin), names.size());
      const Variable* variable = find_variable(names.substr(begin, end - begin));
      begin = end + 1;
      if (variable == nullptr || !variable->dimensions.empty() || !is_number(variable->type)) continue;
      ScalarCoordinate scalar{.name = variable->name, .units = attributes.text(variable->id, "units")};
      const std::string standard_name = attributes.text(variable->id, "standard_name"),
                        direction = attributes.text(variable->id, "axis");
      scalar.kind = axis_kind(
          {.name = scalar.name, .units = scalar.units, .standard_name = standard_name, .axis = direction});
      Status status = read_variable(*variable, WEFT_DTYPE_F64, 1, &scalar.value);
      if (!status.ok()) return status;
      if (std::isfinite(scalar.value)) type->scalars.push_back(std::move(scalar));
    }
    return {};
  }

  // to: [count] of dtype. The lock is held.
  Status read_variable(const Variable& variable, weft_dtype dtype, int64_t count, void* to) const {
    const Packing packing = Attributes(file_.id()).packing(variable);
    const auto convert = [&](auto* values, int code) -> Status {
      if (code != NC_ERANGE) {  // a fill value beyond the type: it becomes missing below
        if (Status status = netcdf_status(code, "the data cannot be read"); !status.ok()) return status;
      }
      if (packing.is_identity()) return {};
      using T = std::remove_reference_t<decltype(*values)>;
      for (int64_t i = 0; i < count; ++i)
        values[i] = static_cast<T>(packing.unpack(static_cast<double>(values[i])));
      return {};
    };
    if (dtype == WEFT_DTYPE_F32) {
      auto* values = static_cast<float*>(to);
      return convert(values, nc_get_var_float(file_.id(), variable.id, values));
    }
    auto* values = static_cast<double*>(to);
    const int code = nc_get_var_double(file_.id(), variable.id, values);
    if (code == NC_NOERR && (variable.type == NC_INT64 || variable.type == NC_UINT64)) {
      const auto inexact =
          std::find_if(values, values + count, [](double v) { return std::fabs(v) >= 0x1p53; });
      if (inexact != values + count) {
        return Status(StatusCode::kUnsupported, "an integer is too large to be held exactly")
            .at("element " + std::to_string(inexact - values))
            .expected("below 2^53");
      }
    }
    return convert(values, code);
  }

  NetcdfFile file_;
  std::vector<Variable> variables_, of_field_;
};

}  // namespace

FieldFileResult open_netcdf(std::span<const std::byte> file, const FieldFileOptions& options) {
  if (field_format_of(file) == FieldFormat::kNetcdf) {
    if (Status status = check_netcdf_header(file); !status.ok()) return status;
  }
  std::unique_ptr<NetcdfFields> fields;  // closed after the lock is free again
  Status status;
  {
    const NetcdfLock lock;
    int id = -1;
    void* memory = const_cast<std::byte*>(file.data());  // opened for reading
    const int code = nc_open_mem("field.nc", NC_NOWRITE, file.size(), memory, &id);
    status = netcdf_status(code, "the file cannot be opened");
    if (status.ok()) {
      fields = std::make_unique<NetcdfFields>(NetcdfFile(id), options);
      status = fields->open();
    }
  }
  if (!status.ok()) return status;
  return std::unique_ptr<FieldFile>(std::move(fields));
}

}  // namespace weft::files
