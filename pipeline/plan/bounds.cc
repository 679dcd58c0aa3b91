#include "pipeline/plan/bounds.h"

#include <algorithm>
#include <limits>

#include <weft/sdk/value.h>

#include "pipeline/loader/port_type.h"

namespace weft {
namespace {

constexpr weft_device kCpu = {WEFT_DEVICE_CPU, 0};

weft_kind kind_of_type(std::string_view type) {
  if (type.empty() || type == "any") return 0;
  if (type == "bool") return WEFT_KIND_BOOL;
  if (type == "int") return WEFT_KIND_INT;
  if (type == "float") return WEFT_KIND_FLOAT;
  if (type == "text" || type == "json" || type == "path" || type == "bytes") return WEFT_KIND_BYTES;
  if (!list_element_type(type).empty()) return WEFT_KIND_LIST;
  return WEFT_KIND_TENSOR;
}

bool is_scalar(weft_kind kind) {
  return kind == WEFT_KIND_BOOL || kind == WEFT_KIND_INT || kind == WEFT_KIND_FLOAT;
}

int64_t larger_bound(int64_t a, int64_t b) {
  return a == WEFT_UNBOUNDED || b == WEFT_UNBOUNDED ? WEFT_UNBOUNDED : std::max(a, b);
}

// Keeps the tensor part of `spec` as long as it covers `other` too.
void widen_tensor(weft_spec& spec, const weft_spec& other) {
  if (spec.dtype != other.dtype) spec.dtype = 0;
  if (spec.rank != other.rank) {
    spec.rank = 0;
    spec.dtype = 0;
  }
  for (int32_t i = 0; i < spec.rank; ++i) spec.shape[i] = larger_bound(spec.shape[i], other.shape[i]);
}

std::optional<uint64_t> tensor_bytes(const weft_spec& spec) {
  int64_t bytes = sdk::element_size_bytes(spec.dtype);
  if (bytes == 0) return std::nullopt;
  for (int32_t i = 0; i < spec.rank; ++i) {
    if (spec.shape[i] < 0 || __builtin_mul_overflow(bytes, spec.shape[i], &bytes)) return std::nullopt;
  }
  return static_cast<uint64_t>(bytes);
}

}  // namespace

weft_spec unknown_spec(std::string_view type) {
  weft_spec spec{};
  spec.struct_size = sizeof spec;
  spec.kind = kind_of_type(type);
  spec.device = kCpu;
  spec.max_bytes = WEFT_UNBOUNDED;
  spec.max_count = WEFT_UNBOUNDED;
  return spec;
}

weft_spec spec_of_value(const weft_value_api& values, const weft_value* value) {
  weft_spec spec = unknown_spec("");
  spec.kind = values.kind(value);
  spec.value = value;
  if (spec.kind == WEFT_KIND_BYTES) {
    uint64_t size = 0;
    values.get_bytes(value, &size, nullptr);
    spec.max_bytes = static_cast<int64_t>(std::min<uint64_t>(size, std::numeric_limits<int64_t>::max()));
  } else if (spec.kind == WEFT_KIND_TENSOR) {
    weft_tensor view{};
    view.struct_size = sizeof view;
    if (values.get_tensor(value, &view, nullptr, nullptr) == WEFT_OK) {
      spec.dtype = view.dtype;
      spec.device = view.device;
      spec.rank = view.rank;
      std::copy_n(view.shape, view.rank, spec.shape);
    }
  } else if (spec.kind == WEFT_KIND_LIST) {
    const size_t count = values.list_size(value);
    spec.max_count = static_cast<int64_t>(count);
    spec.max_bytes = 0;
    for (size_t i = 0; i < count; ++i) {
      const weft_spec item = spec_of_value(values, values.list_item(value, i));
      if (item.kind == WEFT_KIND_BYTES) spec.max_bytes = larger_bound(spec.max_bytes, item.max_bytes);
      if (item.kind != WEFT_KIND_TENSOR) continue;
      if (i == 0) {
        spec.dtype = item.dtype;
        spec.rank = item.rank;
        std::copy_n(item.shape, item.rank, spec.shape);
      } else {
        widen_tensor(spec, item);
      }
      spec.max_bytes = WEFT_UNBOUNDED;  // the shape says it
    }
  }
  return spec;
}

weft_spec element_spec(const weft_spec& list, std::string_view element_type) {
  weft_spec element = list;
  element.kind = kind_of_type(element_type);
  element.max_count = WEFT_UNBOUNDED;
  element.value = nullptr;
  return element;
}

weft_spec list_spec(const weft_spec& element, int64_t max_count) {
  weft_spec list = element;
  list.kind = WEFT_KIND_LIST;
  list.max_count = max_count;
  list.value = nullptr;
  if (is_scalar(element.kind)) list.max_bytes = 0;
  return list;
}

std::optional<uint64_t> bounded_bytes(const weft_spec& spec) {
  if (is_scalar(spec.kind)) return 0;
  if (spec.kind == WEFT_KIND_TENSOR) return tensor_bytes(spec);
  if (spec.kind == WEFT_KIND_BYTES) {
    return spec.max_bytes < 0 ? std::nullopt : std::optional<uint64_t>(static_cast<uint64_t>(spec.max_bytes));
  }
  if (spec.kind != WEFT_KIND_LIST || spec.max_count < 0) return std::nullopt;
  if (spec.max_count == 0) return 0;
  const std::optional<uint64_t> each = spec.max_bytes >= 0
                                           ? std::optional<uint64_t>(static_cast<uint64_t>(spec.max_bytes))
                                           : tensor_bytes(spec);
  int64_t bytes = 0;
  if (!each || __builtin_mul_overflow(static_cast<int64_t>(*each), spec.max_count, &bytes))
    return std::nullopt;
  return static_cast<uint64_t>(bytes);
}

bool is_valid_spec(const weft_spec& spec) {
  if (spec.kind < 0 || spec.kind > WEFT_KIND_LIST) return false;
  if (spec.rank < 0 || spec.rank > WEFT_MAX_RANK) return false;
  if (spec.max_bytes < WEFT_UNBOUNDED || spec.max_count < WEFT_UNBOUNDED) return false;
  return std::all_of(spec.shape, spec.shape + spec.rank,
                     [](int64_t extent) { return extent >= WEFT_UNBOUNDED; });
}

}  // namespace weft
