// A field as NetCDF with CF attributes, classic or NetCDF-4, written to memory by libnetcdf.
#include <weft/sdk/owned.h>

#include <cstdlib>
#include <limits>

#include "modalities/field/files/netcdf_library.h"
#include "modalities/field/files/readers.h"

namespace weft::files {
namespace {

constexpr const char* kConventions = "CF-1.11";
constexpr int64_t kLargestClassicVariable = int64_t{1} << 31;

/// Puts a field's variables into a new file. The lock is held.
class Writer {
 public:
  explicit Writer(int file) : file_(file) {}

  Status write(const FieldType& type, const void* data) {
    const std::string name = type.name.empty() ? "field" : type.name;
    check(nc_put_att_text(file_, NC_GLOBAL, "Conventions", std::char_traits<char>::length(kConventions),
                          kConventions),
          "Conventions");
    for (const Axis& axis : type.axes) define_axis(axis, name);
    std::string coordinates;
    for (const ScalarCoordinate& scalar : type.scalars) {
      define(scalar.name, NC_DOUBLE, {});
      describe(scalar.kind, scalar.units);
      scalars_.push_back(variable_);
      coordinates += (coordinates.empty() ? "" : " ") + scalar.name;
    }
    define(name, type.dtype == WEFT_DTYPE_F64 ? NC_DOUBLE : NC_FLOAT, dimensions_);
    text("long_name", type.long_name);
    text("units", type.units);
    text("coordinates", coordinates);
    constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();
    const double missing = kMissing;
    check(type.dtype == WEFT_DTYPE_F64
              ? nc_put_att_double(file_, variable_, "_FillValue", NC_DOUBLE, 1, &missing)
              : nc_put_att_float(file_, variable_, "_FillValue", NC_FLOAT, 1, &kMissing),
          "_FillValue");
    check(nc_enddef(file_), "the header");
    put(type, data);
    return status_;
  }

 private:
  void check(int code, const std::string& what) {
    if (!status_.ok()) return;
    status_ = netcdf_status(code, "NetCDF does not take '" + what + "'", StatusCode::kUnsupported);
  }
  void define(const std::string& name, nc_type type, const std::vector<int>& dimensions) {
    const int code = nc_def_var(file_, name.c_str(), type, static_cast<int>(dimensions.size()),
                                dimensions.data(), &variable_);
    check(code, name);
  }
  void text(const char* name, const std::string& value) {
    if (!value.empty()) check(nc_put_att_text(file_, variable_, name, value.size(), value.data()), name);
  }
  void describe(AxisKind kind, const std::string& units) {
    if (kind == AxisKind::kLatitude || kind == AxisKind::kLongitude || kind == AxisKind::kTime) {
      text("standard_name", to_string(kind));
    }
    if (kind == AxisKind::kLevel) text("axis", "Z");
    text("units", units);
  }
  // A dimension cannot have the field's own name: its variable would be taken for coordinates.
  void define_axis(const Axis& axis, const std::string& field) {
    if (axis.name == field) check(NC_ENAMEINUSE, axis.name);
    int dimension = -1;
    check(nc_def_dim(file_, axis.name.c_str(), static_cast<size_t>(axis.size), &dimension), axis.name);
    dimensions_.push_back(dimension);
    axes_.push_back(-1);
    if (axis.coordinates.empty()) return;
    define(axis.name, NC_DOUBLE, {dimension});
    describe(axis.kind, axis.units);
    axes_.back() = variable_;
  }
  void put(const FieldType& type, const void* data) {
    for (size_t i = 0; i < axes_.size(); ++i) {
      if (axes_[i] >= 0)
        check(nc_put_var_double(file_, axes_[i], type.axes[i].coordinates.data()), type.axes[i].name);
    }
    for (size_t i = 0; i < scalars_.size(); ++i) {
      check(nc_put_var_double(file_, scalars_[i], &type.scalars[i].value), type.scalars[i].name);
    }
    check(type.dtype == WEFT_DTYPE_F64 ? nc_put_var_double(file_, variable_, static_cast<const double*>(data))
                                       : nc_put_var_float(file_, variable_, static_cast<const float*>(data)),
          "the data");
  }

  int file_, variable_ = -1;
  std::vector<int> dimensions_, axes_, scalars_;  // axes_: variables, -1 where there are no coordinates
  Status status_;
};

int creation_mode(const FieldType& type, FieldFormat format) {
  if (format == FieldFormat::kNetcdf4) return NC_NETCDF4;
  const int64_t bytes = type.elements() * sdk::element_size_bytes(type.dtype);
  return bytes < kLargestClassicVariable ? NC_64BIT_OFFSET : NC_64BIT_DATA;
}

}  // namespace

Result<std::string> encode_netcdf(const FieldType& type, const void* data, FieldFormat format) {
  const NetcdfLock lock;
  int id = -1;
  // Begins empty: the size that is asked for here is the least that the file will have, and nothing clears its end.
  Status status = netcdf_status(nc_create_mem("field.nc", creation_mode(type, format), 0, &id),
                                "a NetCDF file cannot be made", StatusCode::kInternal);
  if (!status.ok()) return status;
  status = Writer(id).write(type, data);
  NC_memio memory{};
  const int closed = nc_close_memio(id, &memory);
  const Owned<void, std::free> owned(memory.memory);
  if (status.ok()) status = netcdf_status(closed, "a NetCDF file cannot be finished", StatusCode::kInternal);
  if (!status.ok()) return status;
  return std::string(static_cast<const char*>(memory.memory), memory.size);
}

}  // namespace weft::files
