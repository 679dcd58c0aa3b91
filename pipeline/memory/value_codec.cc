#include "pipeline/memory/value_codec.h"

#include <xxhash.h>

#include <cstring>
#include <vector>

#include "pipeline/files/content_hash.h"
#include "pipeline/memory/buffer.h"
#include "pipeline/memory/tensor_layout.h"

namespace weft {
namespace {

using Sink = std::function<void(std::string_view)>;

constexpr int kMaxDepth = 16;  // of lists in lists, which no port type allows

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "the format is little-endian, written as memory holds it");

template <typename Number>
void put(const Sink& sink, Number number) {
  sink({reinterpret_cast<const char*>(&number), sizeof(number)});
}
void put_text(const Sink& sink, std::string_view text) {
  put(sink, static_cast<uint32_t>(text.size()));
  sink(text);
}

/// Row-major elements of any layout; runs of contiguous elements go in one piece.
void put_elements(const Sink& sink, const weft_tensor& view, int dimension, const char* data) {
  const int64_t element = element_bytes(view.dtype);
  weft_tensor rest = view;  // the dimensions from here on
  rest.rank = view.rank - dimension;
  for (int i = 0; i < rest.rank; ++i) {
    rest.shape[i] = view.shape[dimension + i];
    rest.strides[i] = view.strides[dimension + i];
  }
  if (is_row_major(rest)) {
    int64_t count = 1;
    for (int i = 0; i < rest.rank; ++i) count *= rest.shape[i];
    if (count > 0) sink({data, static_cast<size_t>(count * element)});
    return;
  }
  for (int64_t i = 0; i < rest.shape[0]; ++i)
    put_elements(sink, view, dimension + 1, data + i * rest.strides[0] * element);
}

Status encode_tensor(const weft_value* handle, const Sink& sink) {
  weft_tensor view{};
  view.struct_size = sizeof(view);
  const char* attributes = nullptr;
  value_api()->get_tensor(handle, &view, nullptr, &attributes);
  if (view.device.kind != WEFT_DEVICE_CPU) {
    return Status(StatusCode::kUnsupported,
                  "a tensor on a device cannot be written; copy it to host memory first");
  }
  put(sink, view.dtype);
  put(sink, view.rank);
  uint64_t bytes = element_bytes(view.dtype);
  for (int i = 0; i < view.rank; ++i) {
    put(sink, view.shape[i]);
    bytes *= static_cast<uint64_t>(view.shape[i]);
  }
  put_text(sink, attributes ? attributes : "");
  put(sink, bytes);
  put_elements(sink, view, 0, static_cast<const char*>(view.data));
  return {};
}

Status encode(const weft_value* handle, const Sink& sink) {
  const weft_value_api& api = *value_api();
  const weft_kind kind = api.kind(handle);
  put(sink, static_cast<uint8_t>(kind));
  put_text(sink, api.type(handle));
  switch (kind) {
    case WEFT_KIND_BOOL: put(sink, static_cast<uint8_t>(api.get_bool(handle))); return {};
    case WEFT_KIND_INT: put(sink, api.get_int(handle)); return {};
    case WEFT_KIND_FLOAT: put(sink, api.get_float(handle)); return {};
    case WEFT_KIND_BYTES: {
      uint64_t size = 0;
      const char* media_type = nullptr;
      const void* data = api.get_bytes(handle, &size, &media_type);
      put_text(sink, media_type);
      put(sink, size);
      sink({static_cast<const char*>(data), size});
      return {};
    }
    case WEFT_KIND_TENSOR: return encode_tensor(handle, sink);
    case WEFT_KIND_LIST: {
      const size_t count = api.list_size(handle);
      put(sink, static_cast<uint64_t>(count));
      for (size_t i = 0; i < count; ++i) {
        if (Status status = encode(api.list_item(handle, i), sink); !status.ok()) return status;
      }
      return {};
    }
  }
  return Status(StatusCode::kInternal, "a value of an unknown kind");
}

Status corrupt() {
  return Status(StatusCode::kCorruptData, "an encoded value is cut short or contradicts itself");
}

template <typename Number>
bool take(std::string_view& data, Number& number) {
  if (data.size() < sizeof(number)) return false;
  std::memcpy(&number, data.data(), sizeof(number));
  data.remove_prefix(sizeof(number));
  return true;
}
bool take_bytes(std::string_view& data, uint64_t size, std::string_view& out) {
  if (size > data.size()) return false;
  out = data.substr(0, size);
  data.remove_prefix(size);
  return true;
}
bool take_text(std::string_view& data, std::string& text) {
  uint32_t size = 0;
  std::string_view view;
  if (!take(data, size) || !take_bytes(data, size, view) || view.find('\0') != std::string_view::npos)
    return false;
  text = view;
  return true;
}

Result<Value> decode_tensor(std::string_view& data, const std::string& type, Pool& pool) {
  weft_dtype dtype = 0;
  int32_t rank = 0;
  int64_t shape[WEFT_MAX_RANK] = {};
  if (!take(data, dtype) || !take(data, rank) || rank < 0 || rank > WEFT_MAX_RANK) return corrupt();
  for (int i = 0; i < rank; ++i) {
    if (!take(data, shape[i])) return corrupt();
  }
  std::string attributes;
  uint64_t size = 0;
  std::string_view elements;
  int64_t count = 0;
  uint64_t expected = 0;
  if (!take_text(data, attributes) || !take(data, size) || !take_bytes(data, size, elements))
    return corrupt();
  if (!count_elements({shape, static_cast<size_t>(rank)}, count) || element_bytes(dtype) == 0)
    return corrupt();
  if (__builtin_mul_overflow(uint64_t(count), uint64_t(element_bytes(dtype)), &expected) || expected != size)
    return corrupt();
  auto buffer = allocate_buffer(pool, size, 0, nullptr, "value");
  if (!buffer.ok()) return buffer.status();
  if (size > 0) std::memcpy(buffer->data(), elements.data(), size);
  const weft_tensor view = row_major(buffer->data(), dtype, {shape, static_cast<size_t>(rank)});
  weft_value* value = nullptr;
  const weft_status status = value_api()->make_tensor(
      buffer->get(), &view, type.c_str(), attributes.empty() ? nullptr : attributes.c_str(), &value);
  if (status != WEFT_OK) return corrupt();
  return Value::adopt(value);
}

Result<Value> decode(std::string_view& data, Pool& pool, int depth) {
  uint8_t kind = 0;
  std::string type;
  if (depth > kMaxDepth || !take(data, kind) || !take_text(data, type)) return corrupt();
  switch (kind) {
    case WEFT_KIND_BOOL: {
      uint8_t truth = 0;
      if (!take(data, truth) || truth > 1) return corrupt();
      return Value::boolean(truth);
    }
    case WEFT_KIND_INT: {
      int64_t number = 0;
      if (!take(data, number)) return corrupt();
      return Value::integer(number);
    }
    case WEFT_KIND_FLOAT: {
      double number = 0;
      if (!take(data, number)) return corrupt();
      return Value::real(number);
    }
    case WEFT_KIND_BYTES: {
      std::string media_type;
      uint64_t size = 0;
      std::string_view bytes;
      if (!take_text(data, media_type) || !take(data, size) || !take_bytes(data, size, bytes))
        return corrupt();
      auto value = Value::bytes(bytes, type.c_str(), media_type.c_str());
      return value.code() == StatusCode::kInvalidArgument ? Result<Value>(corrupt()) : std::move(value);
    }
    case WEFT_KIND_TENSOR: return decode_tensor(data, type, pool);
    case WEFT_KIND_LIST: {
      uint64_t count = 0;
      if (!take(data, count) || count > data.size() || !type.starts_with("list<") || !type.ends_with(">"))
        return corrupt();
      std::vector<Value> items;
      for (uint64_t i = 0; i < count; ++i) {
        auto item = decode(data, pool, depth + 1);
        if (!item.ok()) return item;
        items.push_back(std::move(*item));
      }
      return Value::list(items, type.substr(5, type.size() - 6).c_str());
    }
    default: return corrupt();
  }
}

}  // namespace

Status encode_value(const Value& value, const Sink& sink) { return encode(value.get(), sink); }

Result<Value> decode_value(std::string_view& data, Pool& pool) { return decode(data, pool, 0); }

Result<std::string> content_sha256(const Value& value) {
  if (value.kind() == WEFT_KIND_BYTES) return sha256_of_text(value.bytes_view());
  Sha256 hash;
  const Status status = encode(value.get(), [&](std::string_view piece) { hash.update(piece); });
  if (!status.ok()) return status;
  return hash.finish();
}

Result<std::string> content_xxh128(const Value& value) {
  struct State {
    XXH3_state_t* state = XXH3_createState();
    ~State() { XXH3_freeState(state); }
  } hash;
  if (!hash.state) return Status(StatusCode::kOutOfMemory, "no memory for a hash");
  XXH3_128bits_reset(hash.state);
  const Status status = encode(value.get(), [&](std::string_view piece) {
    XXH3_128bits_update(hash.state, piece.data(), piece.size());
  });
  if (!status.ok()) return status;
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(hash.state));
  std::string text;
  for (const unsigned char byte : canonical.digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace weft
