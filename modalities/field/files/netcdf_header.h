/// Whether the header of a classic NetCDF file is sound, before libnetcdf sees it. Internal to files/.
///
/// Walks the whole header (dimensions, attributes, variables) of CDF-1, CDF-2 and CDF-5: counts, names, types and lengths stay
/// within the file, dimension ids exist, and the data of every variable, all records included, lies within the file.
/// Source: "The NetCDF Classic Format Specification", Unidata.
#ifndef WEFT_MODALITIES_FIELD_FILES_NETCDF_HEADER_H
#define WEFT_MODALITIES_FIELD_FILES_NETCDF_HEADER_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <span>

namespace weft::files {

/// file: begins with "CDF". Errors: kCorruptData with the offset, kOutOfRange (more of something than any sane file has).
Status check_netcdf_header(std::span<const std::byte> file);

}  // namespace weft::files
#endif
