/// Arrays in NumPy's npy format: headers, elements of every simple type, and writing. Internal to files/.
///
/// Source: NumPy Enhancement Proposal 1 and numpy.lib.format, versions 1.0, 2.0 and 3.0. Arrays of objects (pickles), records,
/// texts, dates and complex numbers are refused.
#ifndef WEFT_MODALITIES_FIELD_FILES_NPY_H
#define WEFT_MODALITIES_FIELD_FILES_NPY_H

#include <weft/abi/types.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace weft::files {

/// The longest header that is read: NumPy itself refuses beyond 10,000 bytes unless told otherwise.
inline constexpr size_t kMaxNpyHeaderBytes = 65536;

struct NpyHeader {
  char kind = 'f';     // 'f', 'i', 'u', 'b'
  int item_bytes = 8;  // 1, 2, 4, 8
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<int64_t> shape;
  size_t data_offset = 0;  // from the file's begin

  /// What its elements are read as: f32 where that holds them all, else f64.
  weft_dtype dtype() const;
  /// Of the elements as stored; the header's reader has checked that it fits in 63 bits.
  uint64_t stored_bytes() const;
};

/// file: from the file's first byte on, as far as it is at hand. Errors: kCorruptData with an offset, kUnsupported.
Result<NpyHeader> read_npy_header(std::span<const std::byte> file);

/// data: header.stored_bytes(), as stored. to: as many elements of header.dtype(), row-major.
/// Errors: kUnsupported (an integer that f64 cannot hold; its index is named).
Status read_npy_elements(const NpyHeader& header, const std::byte* data, void* to);

/// "\x93NUMPY" up to where the elements begin. dtype: f32 or f64.
std::string npy_header(weft_dtype dtype, std::span<const int64_t> shape);

}  // namespace weft::files
#endif
