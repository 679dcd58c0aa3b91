/// Files of fields: NumPy's npy and npz, NetCDF, and (reading only) GRIB.
///
/// A file's kind is found from its first bytes. Opening reads headers only and checks every size that they name against the
/// file and against the limits, before anything is allocated for it; read() then fills memory of the caller's. Values that a
/// file declares as missing (fill values, values out of their valid range, GRIB's bitmaps) become NaN; packed numbers are
/// unpacked. Integers of up to 16 bits and f16 become f32; wider ones f64, which must hold them exactly.
///
/// Hostile files: npy, npz and classic NetCDF may come from anybody (the headers are checked by code of this folder before a
/// library sees them). NetCDF-4 is HDF5, and GRIB is decoded by ecCodes: large C libraries that are not hardened against
/// malicious files, so that both are refused unless the caller says that it trusts where the file is from.
///
/// Ownership: the bytes given to open outlive the FieldFile. Thread safety: one thread at a time per object; libraries that are
/// not thread-safe are locked inside.
///
///   Result<std::unique_ptr<FieldFile>> file = open_field_file(mapped.bytes(), {});
///   if (!file.ok()) return file.status().at(path);
///   std::vector<double> values((*file)->fields()[0].elements());     // if its dtype is f64
///   Status status = (*file)->read(0, values.data());
#ifndef WEFT_MODALITIES_FIELD_FILES_FIELD_FILE_H
#define WEFT_MODALITIES_FIELD_FILES_FIELD_FILE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/field/field.h"

namespace weft {

enum class FieldFormat : uint8_t { kNpy, kNpz, kNetcdf, kNetcdf4, kGrib };
const char* to_string(FieldFormat format);  // "NetCDF"
/// From a file's first bytes.
std::optional<FieldFormat> field_format_of(std::span<const std::byte> file);
/// From a file name's ending (.npy .npz .nc .nc4), for a file that is to be written.
std::optional<FieldFormat> field_format_of_name(std::string_view name);

enum class FieldFileTrust : uint8_t { kNone, kTrusted };

struct FieldFileOptions {
  FieldFileTrust trust = FieldFileTrust::kNone;
  int64_t max_bytes = int64_t{2} << 30;  // of one field in memory
  /// npy and npz say nothing about dimensions: their names, outermost first. In an npz an array of one dimension with such a
  /// name holds the coordinates. Empty: dim_0, dim_1 ... (an npz that was written here says it itself).
  std::vector<std::string> dimensions;
};

class FieldFile {
 public:
  virtual ~FieldFile() = default;
  /// What is in the file, without coordinates that only describe others; at least one.
  const std::vector<FieldType>& fields() const { return fields_; }
  /// The field with this name. Errors: kNotFound, which lists those that are there; with an empty name kInvalidArgument unless
  /// there is only one; kOutOfRange (larger than max_bytes), kUnsupported (empty).
  Result<size_t> find(std::string_view name) const;
  /// Precondition: find() gave `index`. to: fields()[index].elements() of its dtype. Errors: kCorruptData, kUnsupported (integers that f64 cannot hold),
  /// kOutOfMemory.
  virtual Status read(size_t index, void* to) = 0;

 protected:
  explicit FieldFile(FieldFileOptions options) : options_(std::move(options)) {}
  FieldFileOptions options_;
  std::vector<FieldType> fields_;
};

/// Errors: kUnsupported (no such format; a part of one that is not read), kCorruptData, kOutOfRange (beyond the limits),
/// kPermissionDenied (a format that needs trust).
Result<std::unique_ptr<FieldFile>> open_field_file(std::span<const std::byte> file,
                                                   const FieldFileOptions& options);

/// A field as a file: npy holds the numbers only, npz also coordinates, each an array of its own, and names and units for this
/// reader ("weft.json"); NetCDF is the classic format with 64-bit offsets, or NetCDF-4, with CF attributes. NaN is written as NaN,
/// which NetCDF is told to be the fill value. data: type.elements() of its dtype. Equal fields give equal bytes.
/// Errors: kUnsupported (GRIB; a name that NetCDF does not take), kInvalidArgument, kOutOfMemory, kInternal.
Result<std::string> encode_field(const FieldType& type, const void* data, FieldFormat format);

}  // namespace weft
#endif
