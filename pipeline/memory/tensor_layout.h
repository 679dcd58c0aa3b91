/// Checks and arithmetic on weft_tensor that several parts of the host share; every product is checked for overflow.
#ifndef WEFT_PIPELINE_MEMORY_TENSOR_LAYOUT_H
#define WEFT_PIPELINE_MEMORY_TENSOR_LAYOUT_H

#include <weft/abi/types.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <span>
#include <string_view>

namespace weft {

/// Bytes of one element; 0 for a dtype that does not exist.
int64_t element_bytes(weft_dtype dtype);
/// "f32"; "" for a dtype that does not exist.
const char* dtype_name(weft_dtype dtype);
/// 0 for a name that does not exist.
weft_dtype dtype_from_name(std::string_view name);

/// Elements of a shape; false for a negative extent or more elements than int64_t counts.
bool count_elements(std::span<const int64_t> shape, int64_t& count);

/// A row-major view of `data` on the CPU. Precondition: the shape has at most WEFT_MAX_RANK extents that
/// count_elements accepts.
weft_tensor row_major(void* data, weft_dtype dtype, std::span<const int64_t> shape);
bool is_row_major(const weft_tensor& view);

/// Whether dtype, rank and extents exist, strides are not negative and every element lies within `size_bytes` from
/// `start`. Errors: kInvalidArgument, kOutOfRange.
Status check_layout(const weft_tensor& view, const void* start, uint64_t size_bytes);

}  // namespace weft
#endif
