#include "modalities/field/files/field_file.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "modalities/field/files/readers.h"

namespace weft {
namespace {

struct Signature {
  FieldFormat format;
  std::string_view bytes;
};
constexpr std::array<Signature, 7> kSignatures = {{{FieldFormat::kNpy, "\x93NUMPY"},
                                                   {FieldFormat::kNpz, "PK\x03\x04"},
                                                   {FieldFormat::kNetcdf, "CDF\x01"},
                                                   {FieldFormat::kNetcdf, "CDF\x02"},
                                                   {FieldFormat::kNetcdf, "CDF\x05"},
                                                   {FieldFormat::kNetcdf4, "\x89HDF\r\n\x1a\n"},
                                                   {FieldFormat::kGrib, "GRIB"}}};

Status needs_trust(FieldFormat format) {
  return Status(StatusCode::kPermissionDenied,
                std::string(to_string(format)) +
                    " is decoded by a library that is not hardened against "
                    "malicious files, and nobody said that this one is trusted")
      .hint(
          "\"trusted\": true reads it, if you know where it is from; NetCDF's classic format needs no trust");
}

}  // namespace

const char* to_string(FieldFormat format) {
  switch (format) {
    case FieldFormat::kNpy: return "npy";
    case FieldFormat::kNpz: return "npz";
    case FieldFormat::kNetcdf: return "NetCDF";
    case FieldFormat::kNetcdf4: return "NetCDF-4 (HDF5)";
    case FieldFormat::kGrib: return "GRIB";
  }
  return "unknown";
}

std::optional<FieldFormat> field_format_of(std::span<const std::byte> file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  for (const Signature& signature : kSignatures) {
    if (text.starts_with(signature.bytes)) return signature.format;
  }
  return std::nullopt;
}

std::optional<FieldFormat> field_format_of_name(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower.ends_with(".npy")) return FieldFormat::kNpy;
  if (lower.ends_with(".npz")) return FieldFormat::kNpz;
  if (lower.ends_with(".nc")) return FieldFormat::kNetcdf;
  if (lower.ends_with(".nc4")) return FieldFormat::kNetcdf4;
  return std::nullopt;
}

Result<size_t> FieldFile::find(std::string_view name) const {
  std::string names;
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (name.empty() ? fields_.size() == 1 : fields_[i].name == name) {
      Status status = files::check_field_bytes(fields_[i].shape(), fields_[i].dtype, options_.max_bytes);
      if (!status.ok())
        return std::move(status).at(fields_[i].name.empty() ? "the array"
                                                            : "field '" + fields_[i].name + "'");
      return i;
    }
    if (i < 20) names += (i == 0 ? "" : ", ") + fields_[i].name;
  }
  if (fields_.size() > 20) names += " ... (" + std::to_string(fields_.size()) + " in all)";
  if (name.empty()) {
    return Status(StatusCode::kInvalidArgument, "the file holds several fields, and none was chosen")
        .got(names)
        .hint("\"variable\" names one");
  }
  return Status(StatusCode::kNotFound, "the file has no field '" + std::string(name) + "'").expected(names);
}

Result<std::unique_ptr<FieldFile>> open_field_file(std::span<const std::byte> file,
                                                   const FieldFileOptions& options) {
  const std::optional<FieldFormat> format = field_format_of(file);
  if (!format) {
    return Status(StatusCode::kUnsupported, "this is no file of fields that is read here")
        .expected("npy, npz, NetCDF or GRIB")
        .got(file.empty() ? "an empty file" : "other first bytes");
  }
  if ((*format == FieldFormat::kNetcdf4 || *format == FieldFormat::kGrib) &&
      options.trust != FieldFileTrust::kTrusted) {
    return needs_trust(*format);
  }
  files::FieldFileResult opened = *format == FieldFormat::kNpy    ? files::open_npy(file, options)
                                  : *format == FieldFormat::kNpz  ? files::open_npz(file, options)
                                  : *format == FieldFormat::kGrib ? files::open_grib(file, options)
                                                                  : files::open_netcdf(file, options);
  if (!opened.ok()) return opened;
  if ((*opened)->fields().empty()) {
    return Status(StatusCode::kUnsupported, "the file has no field: no array of numbers with 1 to " +
                                                std::to_string(WEFT_MAX_RANK) + " dimensions");
  }
  return opened;
}

Result<std::string> encode_field(const FieldType& type, const void* data, FieldFormat format) {
  switch (format) {
    case FieldFormat::kNpy: return files::encode_npy(type, data);
    case FieldFormat::kNpz: return files::encode_npz(type, data);
    case FieldFormat::kNetcdf:
    case FieldFormat::kNetcdf4: return files::encode_netcdf(type, data, format);
    case FieldFormat::kGrib: break;
  }
  return Status(StatusCode::kUnsupported, std::string(to_string(format)) + " is read, not written")
      .expected("npy, npz or NetCDF");
}

namespace files {

Status check_field_bytes(std::span<const int64_t> shape, weft_dtype dtype, int64_t max_bytes) {
  int64_t bytes = sdk::element_size_bytes(dtype);
  std::string extents;
  bool fits = true;
  for (const int64_t extent : shape) {
    extents += (extents.empty() ? "" : " x ") + std::to_string(extent);
    if (extent == 0) return Status(StatusCode::kUnsupported, "the array is empty").got(extents);
    fits = fits && !__builtin_mul_overflow(bytes, extent, &bytes);
  }
  if (fits && bytes <= max_bytes) return {};
  return Status(StatusCode::kOutOfRange, "the field takes more memory than allowed")
      .expected("at most " + std::to_string(max_bytes) + " bytes")
      .got(extents + " elements of " + std::to_string(sdk::element_size_bytes(dtype)) + " bytes")
      .hint("\"max_megabytes\" allows more");
}

Status name_axes(FieldType* type, std::span<const std::string> names) {
  if (names.empty()) return {};
  if (names.size() != type->axes.size()) {
    return Status(StatusCode::kInvalidArgument,
                  "\"dimensions\" names another number of dimensions than the array has")
        .expected(std::to_string(type->axes.size()) + " names for " + to_string(*type))
        .got(std::to_string(names.size()));
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
        names.begin() + static_cast<std::ptrdiff_t>(i)) {
      return Status(StatusCode::kInvalidArgument, "\"dimensions\" names '" + names[i] + "' twice");
    }
    type->axes[i].name = names[i];
    type->axes[i].kind = axis_kind({.name = names[i]});
  }
  return {};
}

}  // namespace files
}  // namespace weft
