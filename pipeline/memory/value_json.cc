#include "pipeline/memory/value_json.h"

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "pipeline/memory/buffer.h"
#include "pipeline/memory/half.h"
#include "pipeline/memory/tensor_layout.h"
#include "pipeline/memory/value_codec.h"

namespace weft {
namespace {

using Json = rapidjson::Value;
using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

std::string_view text_of(const Json& json) { return {json.GetString(), json.GetStringLength()}; }

std::string serialize(const Json& json) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  json.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

const char* json_kind(const Json& json) {
  switch (json.GetType()) {
    case rapidjson::kNullType: return "null";
    case rapidjson::kFalseType:
    case rapidjson::kTrueType: return "a bool";
    case rapidjson::kObjectType: return "an object";
    case rapidjson::kArrayType: return "an array";
    case rapidjson::kStringType: return "a string";
    case rapidjson::kNumberType: return "a number";
  }
  return "something else";
}

Status wrong(std::string expected, const Json& json) {
  return Status(StatusCode::kInvalidArgument, "a value has the wrong type")
      .expected(std::move(expected))
      .got(json_kind(json));
}

constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(std::string_view data) {
  std::string text;
  for (size_t i = 0; i < data.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < data.size() ? static_cast<unsigned char>(data[i + k]) : 0u);
    }
    for (size_t k = 0; k < 4; ++k) text += i + k <= data.size() ? kBase64[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

bool from_base64(std::string_view text, std::string& data) {
  if (text.size() % 4 != 0) return false;
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  uint32_t group = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char* found = i + padding < text.size() && text[i] ? std::strchr(kBase64, text[i]) : nullptr;
    if (!found && i + padding < text.size()) return false;
    group = group << 6 | (found ? static_cast<uint32_t>(found - kBase64) : 0u);
    if (i % 4 == 3) {
      for (int shift = 16; shift >= 0; shift -= 8) data += static_cast<char>(group >> shift & 255);
      group = 0;
    }
  }
  data.resize(data.size() - padding);
  return true;
}

/// Stores `number` as an element; false if the dtype cannot hold it.
bool store_element(char* to, weft_dtype dtype, const Json& json) {
  const auto integer = [&](auto sample) {
    using Int = decltype(sample);
    if (!json.IsInt64() || json.GetInt64() < int64_t{std::numeric_limits<Int>::min()} ||
        json.GetInt64() > int64_t{std::numeric_limits<Int>::max()}) {
      return false;
    }
    sample = static_cast<Int>(json.GetInt64());
    std::memcpy(to, &sample, sizeof(sample));
    return true;
  };
  const auto real = [&](auto convert) {
    if (!json.IsNumber() && !json.IsNull()) return false;
    const auto element = convert(json.IsNull() ? std::nan("") : json.GetDouble());
    std::memcpy(to, &element, sizeof(element));
    return true;
  };
  switch (dtype) {
    case WEFT_DTYPE_BOOL:
      if (!json.IsBool()) return false;
      *to = json.GetBool();
      return true;
    case WEFT_DTYPE_U8: return integer(uint8_t{});
    case WEFT_DTYPE_I8: return integer(int8_t{});
    case WEFT_DTYPE_I16: return integer(int16_t{});
    case WEFT_DTYPE_I32: return integer(int32_t{});
    case WEFT_DTYPE_I64: return integer(int64_t{});
    case WEFT_DTYPE_F16: return real([](double x) { return half_from_float(static_cast<float>(x)); });
    case WEFT_DTYPE_BF16: return real([](double x) { return bfloat_from_float(static_cast<float>(x)); });
    case WEFT_DTYPE_F32: return real([](double x) { return static_cast<float>(x); });
    case WEFT_DTYPE_F64: return real([](double x) { return x; });
  }
  return false;
}

Result<Value> tensor_from_json(const Json& json, const std::string& type, Pool& pool) {
  const char* form = "{\"dtype\": \"f32\", \"shape\": [2, 3], \"data\": [1, 2, 3, 4, 5, 6]}";
  if (!json.IsObject() || !json.HasMember("dtype") || !json.HasMember("shape") || !json.HasMember("data")) {
    return wrong(form, json);
  }
  const Json &dtype_json = json["dtype"], &shape_json = json["shape"], &data_json = json["data"];
  const weft_dtype dtype = dtype_json.IsString() ? dtype_from_name(text_of(dtype_json)) : 0;
  if (dtype == 0)
    return Status(StatusCode::kInvalidArgument, "a tensor's dtype does not exist")
        .expected("bool, u8, i8, i16, i32, i64, f16, bf16, f32 or f64");
  if (!shape_json.IsArray() || shape_json.Size() > WEFT_MAX_RANK || !data_json.IsArray())
    return wrong(form, json);
  std::vector<int64_t> shape;
  for (const Json& extent : shape_json.GetArray()) {
    if (!extent.IsInt64()) return wrong("integers as extents", extent);
    shape.push_back(extent.GetInt64());
  }
  int64_t count = 0;
  if (!count_elements(shape, count) || count != data_json.Size()) {
    return Status(StatusCode::kInvalidArgument, "a tensor's data does not fill its shape")
        .expected(std::to_string(count) + " elements")
        .got(std::to_string(data_json.Size()));
  }
  auto buffer =
      allocate_buffer(pool, static_cast<uint64_t>(count * element_bytes(dtype)), 0, nullptr, "input");
  if (!buffer.ok()) return buffer.status();
  char* to = static_cast<char*>(buffer->data());
  for (const Json& element : data_json.GetArray()) {
    if (!store_element(to, dtype, element))
      return wrong(std::string("elements of dtype ") + dtype_name(dtype), element);
    to += element_bytes(dtype);
  }
  const weft_tensor view = row_major(buffer->data(), dtype, shape);
  std::string attributes;
  if (json.HasMember("attributes")) attributes = serialize(json["attributes"]);
  weft_value* value = nullptr;
  const weft_status status = value_api()->make_tensor(
      buffer->get(), &view, type.c_str(), attributes.empty() ? nullptr : attributes.c_str(), &value);
  if (status != WEFT_OK)
    return Status(static_cast<StatusCode>(status), "no tensor of type '" + type + "' can be made");
  return Value::adopt(value);
}

Result<Value> bytes_from_json(const Json& json) {
  std::string data;
  if (!json.IsObject() || !json.HasMember("base64") || !json["base64"].IsString() ||
      !from_base64(text_of(json["base64"]), data)) {
    return wrong("{\"base64\": \"...\"} with valid base64", json);
  }
  const bool typed = json.HasMember("media_type") && json["media_type"].IsString();
  return Value::bytes(data, "bytes", typed ? json["media_type"].GetString() : nullptr);
}

Result<Value> from_json(const Json& json, const std::string& type, Pool& pool) {
  if (type == "text" || type == "path") {
    if (!json.IsString()) return wrong("a string", json);
    return Value::bytes(text_of(json), type.c_str());
  }
  if (type == "bool")
    return json.IsBool() ? Result<Value>(Value::boolean(json.GetBool())) : wrong("true or false", json);
  if (type == "int") {
    // 3.0 is an integer in JSON Schema, and what some writers make of 3.
    if (json.IsInt64()) return Value::integer(json.GetInt64());
    if (json.IsDouble() && std::fabs(json.GetDouble()) < 9e15 &&
        json.GetDouble() == std::floor(json.GetDouble())) {
      return Value::integer(static_cast<int64_t>(json.GetDouble()));
    }
    return wrong("an integer", json);
  }
  if (type == "float")
    return json.IsNumber() ? Result<Value>(Value::real(json.GetDouble())) : wrong("a number", json);
  if (type == "json") return Value::bytes(serialize(json), "json");
  if (type == "bytes") return bytes_from_json(json);
  if (type.starts_with("list<") && type.ends_with(">")) {
    if (!json.IsArray()) return wrong("an array", json);
    const std::string element = type.substr(5, type.size() - 6);
    std::vector<Value> items;
    for (rapidjson::SizeType i = 0; i < json.Size(); ++i) {
      auto item = from_json(json[i], element, pool);
      if (!item.ok()) return item.status().at("element " + std::to_string(i));
      items.push_back(std::move(*item));
    }
    return Value::list(items, element.c_str());
  }
  if (type == "any") {
    if (json.IsString()) return Value::text(text_of(json));
    if (json.IsBool()) return Value::boolean(json.GetBool());
    if (json.IsInt64()) return Value::integer(json.GetInt64());
    if (json.IsNumber()) return Value::real(json.GetDouble());
    return Value::bytes(serialize(json), "json");
  }
  return tensor_from_json(json, type, pool);
}

/// An element as JSON: integers exactly, floats in the fewest digits that read back the same.
void write_element(Writer& writer, weft_dtype dtype, const char* from) {
  const auto load = [&](auto sample) {
    std::memcpy(&sample, from, sizeof(sample));
    return sample;
  };
  const auto real = [&](double number) { std::isfinite(number) ? writer.Double(number) : writer.Null(); };
  switch (dtype) {
    case WEFT_DTYPE_BOOL: writer.Bool(*from != 0); return;
    case WEFT_DTYPE_U8: writer.Uint(load(uint8_t{})); return;
    case WEFT_DTYPE_I8: writer.Int(load(int8_t{})); return;
    case WEFT_DTYPE_I16: writer.Int(load(int16_t{})); return;
    case WEFT_DTYPE_I32: writer.Int(load(int32_t{})); return;
    case WEFT_DTYPE_I64: writer.Int64(load(int64_t{})); return;
    case WEFT_DTYPE_F16: real(float_from_half(load(uint16_t{}))); return;
    case WEFT_DTYPE_BF16: real(float_from_bfloat(load(uint16_t{}))); return;
    case WEFT_DTYPE_F32: real(load(float{})); return;
    case WEFT_DTYPE_F64: real(load(double{})); return;
    default: writer.Null(); return;
  }
}

void write(Writer& writer, const Value& value, uint64_t max_elements);

void write_tensor(Writer& writer, const Value& value, uint64_t max_elements) {
  weft_tensor view{};
  view.struct_size = sizeof(view);
  const char* attributes = nullptr;
  value_api()->get_tensor(value.get(), &view, nullptr, &attributes);
  writer.StartObject();
  writer.Key("type");
  writer.String(value.type().c_str());
  writer.Key("dtype");
  writer.String(dtype_name(view.dtype));
  writer.Key("shape");
  writer.StartArray();
  uint64_t count = 1;
  for (int i = 0; i < view.rank; ++i) {
    writer.Int64(view.shape[i]);
    count *= static_cast<uint64_t>(view.shape[i]);
  }
  writer.EndArray();
  if (attributes) {
    writer.Key("attributes");
    writer.RawValue(attributes, std::strlen(attributes), rapidjson::kObjectType);
  }
  if (count > max_elements || view.device.kind != WEFT_DEVICE_CPU) {
    if (auto hash = content_sha256(value); hash.ok()) {
      writer.Key("sha256");
      writer.String(hash->c_str());
    }
  } else {
    writer.Key("data");
    writer.StartArray();
    for (uint64_t index = 0; index < count; ++index) {
      int64_t offset = 0;
      uint64_t rest = index;
      for (int i = view.rank - 1; i >= 0; --i) {
        offset += static_cast<int64_t>(rest % static_cast<uint64_t>(view.shape[i])) * view.strides[i];
        rest /= static_cast<uint64_t>(view.shape[i]);
      }
      write_element(writer, view.dtype,
                    static_cast<const char*>(view.data) + offset * element_bytes(view.dtype));
    }
    writer.EndArray();
  }
  writer.EndObject();
}

void write_bytes(Writer& writer, const Value& value) {
  const std::string_view bytes = value.bytes_view();
  if (value.type() == "text" || value.type() == "path") {
    writer.String(bytes.data(), static_cast<rapidjson::SizeType>(bytes.size()));
    return;
  }
  if (value.type() == "json") {
    // A plugin may have called something JSON that is not: then it is a string, so that the whole stays JSON.
    rapidjson::Document checked;
    checked.Parse<rapidjson::kParseIterativeFlag>(bytes.data(), bytes.size());
    if (!checked.HasParseError()) {
      writer.RawValue(bytes.data(), bytes.size(), checked.GetType());
    } else {
      writer.String(bytes.data(), static_cast<rapidjson::SizeType>(bytes.size()));
    }
    return;
  }
  const char* media_type = nullptr;
  value_api()->get_bytes(value.get(), nullptr, &media_type);
  const std::string base64 = to_base64(bytes);
  writer.StartObject();
  writer.Key("base64");
  writer.String(base64.data(), static_cast<rapidjson::SizeType>(base64.size()));
  writer.Key("media_type");
  writer.String(media_type);
  writer.EndObject();
}

void write(Writer& writer, const Value& value, uint64_t max_elements) {
  switch (value.kind()) {
    case WEFT_KIND_BOOL: writer.Bool(value_api()->get_bool(value.get()) != 0); return;
    case WEFT_KIND_INT: writer.Int64(value_api()->get_int(value.get())); return;
    case WEFT_KIND_FLOAT: {
      const double number = value_api()->get_float(value.get());
      std::isfinite(number) ? writer.Double(number) : writer.Null();
      return;
    }
    case WEFT_KIND_BYTES: write_bytes(writer, value); return;
    case WEFT_KIND_TENSOR: write_tensor(writer, value, max_elements); return;
    case WEFT_KIND_LIST: {
      writer.StartArray();
      for (size_t i = 0; i < value.size(); ++i) write(writer, value.item(i), max_elements);
      writer.EndArray();
      return;
    }
  }
}

}  // namespace

Result<Value> value_from_json(std::string_view json, std::string_view type, Pool& pool) {
  rapidjson::Document document;
  // Iterative, so that deep nesting costs heap, not the stack; full precision, so that numbers read as they were written.
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseFullPrecisionFlag |
                 rapidjson::kParseValidateEncodingFlag>(json.data(), json.size());
  if (document.HasParseError()) {
    return Status(StatusCode::kInvalidArgument,
                  std::string("not valid JSON: ") + rapidjson::GetParseError_En(document.GetParseError()))
        .at("byte " + std::to_string(document.GetErrorOffset()));
  }
  return from_json(document, std::string(type), pool);
}

Result<Value> value_from_argument(std::string_view argument, std::string_view type, Pool& pool) {
  if (type == "text" || type == "path" || type == "any" || type == "bytes") {
    return Value::bytes(argument, type == "any" ? "text" : std::string(type).c_str());
  }
  return value_from_json(argument, type, pool);
}

std::string value_to_json(const Value& value, uint64_t max_elements) {
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  write(writer, value, max_elements);
  return {buffer.GetString(), buffer.GetSize()};
}

Result<std::string> value_to_template_text(const Value& value) {
  switch (value.kind()) {
    case WEFT_KIND_BYTES:
      if (value.type() != "bytes") return std::string(value.bytes_view());
      break;
    case WEFT_KIND_TENSOR: break;
    case WEFT_KIND_LIST:
      for (size_t i = 0; i < value.size(); ++i) {
        if (auto item = value_to_template_text(value.item(i)); !item.ok()) return item;
      }
      return value_to_json(value, 0);
    default: return value_to_json(value, 0);
  }
  return Status(StatusCode::kInvalidArgument,
                "a value of type '" + value.type() + "' cannot be inserted into text");
}

}  // namespace weft
