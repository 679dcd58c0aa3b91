#include "pipeline/memory/value.h"

#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <variant>

#include "pipeline/memory/buffer.h"
#include "pipeline/memory/tensor_layout.h"

namespace weft {
namespace {

struct Bytes {
  std::string data;
  std::string media_type;
};
struct Tensor {
  Buffer buffer;
  weft_tensor view;
  std::optional<std::string> attributes;
};
using Items = std::vector<Value>;

}  // namespace
}  // namespace weft

/// The handle that plugins see.
struct weft_value {
  mutable std::atomic<uint32_t> references{1};
  std::string type;
  std::variant<bool, int64_t, double, weft::Bytes, std::unique_ptr<weft::Tensor>, weft::Items> content;
};

namespace weft {
namespace {

template <typename Content>
weft_value* make(std::string_view type, Content content) {
  auto value = std::make_unique<weft_value>();
  value->type = type;
  value->content = std::move(content);
  return value.release();
}

/// Every make_* of the table: no exception leaves, *out is null unless it succeeds.
template <typename Body>
weft_status made(weft_value** out, Body&& body) noexcept {
  *out = nullptr;
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return WEFT_OUT_OF_MEMORY;
  } catch (...) {
    return WEFT_INTERNAL;
  }
}

weft_status make_bool(int32_t truth, weft_value** out) {
  return made(out, [&] { return *out = make("bool", truth != 0), WEFT_OK; });
}
weft_status make_int(int64_t number, weft_value** out) {
  return made(out, [&] { return *out = make("int", number), WEFT_OK; });
}
weft_status make_float(double number, weft_value** out) {
  return made(out, [&] { return *out = make("float", number), WEFT_OK; });
}

/// The media type of a bytes-like port type; null if it is none.
const char* own_media_type(std::string_view type) {
  if (type == "text" || type == "path") return "text/plain";
  if (type == "json") return "application/json";
  if (type == "bytes") return "application/octet-stream";
  return nullptr;
}

weft_status make_bytes(const void* data, uint64_t size, const char* type, const char* media_type,
                       weft_value** out) {
  return made(out, [&]() -> weft_status {
    const char* own = type ? own_media_type(type) : nullptr;
    if (!own || (!data && size != 0) || size > SIZE_MAX / 2) return WEFT_INVALID_ARGUMENT;
    const std::string_view view(static_cast<const char*>(data), size);
    if (std::strcmp(type, "bytes") != 0 && find_invalid_utf8(view) != size) return WEFT_INVALID_ARGUMENT;
    *out = make(type, Bytes{std::string(view), media_type ? media_type : own});
    return WEFT_OK;
  });
}

weft_status make_tensor(weft_buffer* buffer, const weft_tensor* view, const char* type,
                        const char* attributes, weft_value** out) {
  return made(out, [&]() -> weft_status {
    if (!buffer || !view || !type || !*type || own_media_type(type) || std::strncmp(type, "list<", 5) == 0) {
      return WEFT_INVALID_ARGUMENT;
    }
    const Status layout = check_layout(*view, buffer->data, buffer->size_bytes);
    if (!layout.ok()) return static_cast<weft_status>(layout.code());
    auto tensor = std::make_unique<Tensor>();
    tensor->buffer = Buffer::share(buffer);
    tensor->view = *view;
    tensor->view.struct_size = sizeof(weft_tensor);
    tensor->view.device = buffer->device;
    if (attributes) tensor->attributes = attributes;
    *out = make(type, std::move(tensor));
    return WEFT_OK;
  });
}

weft_status make_list(const weft_value* const* items, size_t count, const char* element_type,
                      weft_value** out) {
  return made(out, [&]() -> weft_status {
    if (!element_type || !*element_type || (!items && count)) return WEFT_INVALID_ARGUMENT;
    Items shared;
    shared.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      if (!items[i]) return WEFT_INVALID_ARGUMENT;
      shared.push_back(Value::share(items[i]));
    }
    *out = make("list<" + std::string(element_type) + ">", std::move(shared));
    return WEFT_OK;
  });
}

void retain(const weft_value* value) { value->references.fetch_add(1, std::memory_order_relaxed); }
void release(const weft_value* value) {
  if (value && value->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete value;
}

weft_kind kind(const weft_value* value) { return static_cast<weft_kind>(value->content.index()) + 1; }
static_assert(WEFT_KIND_BOOL == 1 && WEFT_KIND_INT == 2 && WEFT_KIND_FLOAT == 3 && WEFT_KIND_BYTES == 4 &&
                  WEFT_KIND_TENSOR == 5 && WEFT_KIND_LIST == 6,
              "the alternatives of weft_value::content are in the order of weft_kind");

const char* type(const weft_value* value) { return value->type.c_str(); }
int32_t get_bool(const weft_value* value) {
  const bool* truth = std::get_if<bool>(&value->content);
  return truth && *truth;
}
int64_t get_int(const weft_value* value) {
  const int64_t* number = std::get_if<int64_t>(&value->content);
  return number ? *number : 0;
}
double get_float(const weft_value* value) {
  if (const double* number = std::get_if<double>(&value->content)) return *number;
  return static_cast<double>(get_int(value));
}
const void* get_bytes(const weft_value* value, uint64_t* size, const char** media_type) {
  const Bytes* bytes = std::get_if<Bytes>(&value->content);
  if (size) *size = bytes ? bytes->data.size() : 0;
  if (media_type) *media_type = bytes ? bytes->media_type.c_str() : nullptr;
  return bytes ? bytes->data.data() : nullptr;
}
weft_status get_tensor(const weft_value* value, weft_tensor* view, weft_buffer** buffer,
                       const char** attributes) {
  const auto* tensor = std::get_if<std::unique_ptr<Tensor>>(&value->content);
  if (!tensor) return WEFT_INVALID_ARGUMENT;
  if (view) {
    const uint32_t size = std::min<uint32_t>(view->struct_size, sizeof(weft_tensor));
    std::memcpy(view, &(*tensor)->view, size);
    view->struct_size = size;
  }
  if (buffer) *buffer = (*tensor)->buffer.get();
  if (attributes) *attributes = (*tensor)->attributes ? (*tensor)->attributes->c_str() : nullptr;
  return WEFT_OK;
}
size_t list_size(const weft_value* value) {
  const Items* items = std::get_if<Items>(&value->content);
  return items ? items->size() : 0;
}
const weft_value* list_item(const weft_value* value, size_t index) {
  const Items* items = std::get_if<Items>(&value->content);
  return items && index < items->size() ? (*items)[index].get() : nullptr;
}

constexpr weft_value_api kApi = {sizeof(weft_value_api),
                                 0,
                                 make_bool,
                                 make_int,
                                 make_float,
                                 make_bytes,
                                 make_tensor,
                                 make_list,
                                 retain,
                                 release,
                                 kind,
                                 type,
                                 get_bool,
                                 get_int,
                                 get_float,
                                 get_bytes,
                                 get_tensor,
                                 list_size,
                                 list_item};

}  // namespace

const weft_value_api* value_api() { return &kApi; }

Value Value::share(const weft_value* handle) {
  if (handle) retain(handle);
  return Value(handle);
}
Value::~Value() { weft::release(handle_); }

Value Value::boolean(int32_t truth) { return adopt(make("bool", truth != 0)); }
Value Value::integer(int64_t number) { return adopt(make("int", number)); }
Value Value::real(double number) { return adopt(make("float", number)); }
Result<Value> Value::text(std::string_view utf8) { return bytes(utf8, "text"); }

Result<Value> Value::bytes(std::string_view data, const char* type, const char* media_type) {
  weft_value* value = nullptr;
  const weft_status status = make_bytes(data.data(), data.size(), type, media_type, &value);
  if (status == WEFT_OK) return adopt(value);
  const size_t invalid = find_invalid_utf8(data);
  if (status == WEFT_INVALID_ARGUMENT && invalid != data.size()) {
    return Status(StatusCode::kInvalidArgument, "the text is not valid UTF-8")
        .at("byte " + std::to_string(invalid));
  }
  return Status(static_cast<StatusCode>(status),
                "no value of type '" + std::string(type) + "' can be made of bytes");
}

Result<Value> Value::list(const std::vector<Value>& items, const char* element_type) {
  weft_value* value = nullptr;
  std::vector<const weft_value*> handles;
  for (const Value& item : items) handles.push_back(item.get());
  const weft_status status = make_list(handles.data(), handles.size(), element_type, &value);
  if (status == WEFT_OK) return adopt(value);
  return Status(static_cast<StatusCode>(status), "a list cannot be made of an absent value");
}

weft_kind Value::kind() const { return weft::kind(handle_); }
const std::string& Value::type() const { return handle_->type; }

std::string_view Value::bytes_view() const {
  const Bytes* found = std::get_if<Bytes>(&handle_->content);
  return found ? std::string_view(found->data) : std::string_view();
}
size_t Value::size() const { return list_size(handle_); }
Value Value::item(size_t index) const { return share(list_item(handle_, index)); }

uint64_t Value::content_bytes() const {
  if (const auto* found = std::get_if<Bytes>(&handle_->content)) return found->data.size();
  if (const auto* tensor = std::get_if<std::unique_ptr<Tensor>>(&handle_->content))
    return (*tensor)->buffer.size_bytes();
  if (const auto* items = std::get_if<Items>(&handle_->content)) {
    uint64_t total = 0;
    for (const Value& listed : *items) total += listed.content_bytes();
    return total;
  }
  return 8;
}

size_t find_invalid_utf8(std::string_view text) {
  // Unicode 15, table 3-7: well-formed UTF-8 byte sequences.
  size_t i = 0;
  const auto in = [&](size_t at, unsigned low, unsigned high) {
    return at < text.size() && static_cast<unsigned char>(text[at]) >= low &&
           static_cast<unsigned char>(text[at]) <= high;
  };
  while (i < text.size()) {
    if (i + 8 <= text.size()) {
      uint64_t eight;
      std::memcpy(&eight, text.data() + i, 8);
      if ((eight & 0x8080808080808080ull) == 0) {
        i += 8;
        continue;
      }
    }
    const unsigned lead = static_cast<unsigned char>(text[i]);
    size_t length = 0;
    if (lead < 0x80) {
      length = 1;
    } else if (lead >= 0xc2 && lead <= 0xdf) {
      length = in(i + 1, 0x80, 0xbf) ? 2 : 0;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      const unsigned low = lead == 0xe0 ? 0xa0 : 0x80, high = lead == 0xed ? 0x9f : 0xbf;
      length = in(i + 1, low, high) && in(i + 2, 0x80, 0xbf) ? 3 : 0;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      const unsigned low = lead == 0xf0 ? 0x90 : 0x80, high = lead == 0xf4 ? 0x8f : 0xbf;
      length = in(i + 1, low, high) && in(i + 2, 0x80, 0xbf) && in(i + 3, 0x80, 0xbf) ? 4 : 0;
    }
    if (length == 0) return i;
    i += length;
  }
  return text.size();
}

}  // namespace weft
