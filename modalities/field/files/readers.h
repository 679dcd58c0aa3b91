/// The readers and writers behind field_file.h, a pair for each format. Internal to files/.
#ifndef WEFT_MODALITIES_FIELD_FILES_READERS_H
#define WEFT_MODALITIES_FIELD_FILES_READERS_H

#include "modalities/field/files/field_file.h"

namespace weft::files {

using FieldFileResult = Result<std::unique_ptr<FieldFile>>;

FieldFileResult open_npy(std::span<const std::byte> file, const FieldFileOptions& options);
FieldFileResult open_npz(std::span<const std::byte> file, const FieldFileOptions& options);
FieldFileResult open_netcdf(std::span<const std::byte> file, const FieldFileOptions& options);
FieldFileResult open_grib(std::span<const std::byte> file, const FieldFileOptions& options);

Result<std::string> encode_npy(const FieldType& type, const void* data);
Result<std::string> encode_npz(const FieldType& type, const void* data);
/// format: kNetcdf or kNetcdf4.
Result<std::string> encode_netcdf(const FieldType& type, const void* data, FieldFormat format);

/// Whether an array of this shape may be read. Errors: kOutOfRange (beyond max_bytes), kUnsupported (an extent of 0).
Status check_field_bytes(std::span<const int64_t> shape, weft_dtype dtype, int64_t max_bytes);

/// Names the axes, outermost first, and finds their kinds by these names; nothing if `names` is empty.
/// Errors: kInvalidArgument (another number of names than of axes, a name twice).
Status name_axes(FieldType* type, std::span<const std::string> names);

}  // namespace weft::files
#endif
