#include "pipeline/check/samples.h"

#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include <weft/sdk/value.h>

#include "pipeline/graph/literal.h"
#include "pipeline/loader/port_type.h"
#include "pipeline/memory/buffer.h"

namespace weft {
namespace {

void add(std::vector<Value>& values, Result<Value> value) {
  if (value.ok()) values.push_back(*std::move(value));
}

// Elements count up from 0 in small steps, so that results differ by place. shape: in elements.
Value tensor(Pool& pool, weft_dtype dtype, const std::vector<int64_t>& shape, const std::string& type,
             const char* attributes, bool transposed = false) {
  const int64_t count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  const int64_t element_bytes = sdk::element_size_bytes(dtype);
  Result<Buffer> buffer =
      allocate_buffer(pool, static_cast<uint64_t>(count * element_bytes), 0, nullptr, "sample");
  if (!buffer.ok()) return {};
  for (int64_t i = 0; i < count; ++i) {
    auto* place = static_cast<unsigned char*>(buffer->data()) + i * element_bytes;
    if (dtype == WEFT_DTYPE_F32) {
      const float number = static_cast<float>(i % 97) / 8;
      std::memcpy(place, &number, sizeof number);
    } else {
      std::memset(place, 0, static_cast<size_t>(element_bytes));
      place[0] = static_cast<unsigned char>(i % 97);
    }
  }
  weft_tensor view = sdk::contiguous_tensor(buffer->data(), dtype, shape);
  if (transposed) {
    std::swap(view.shape[0], view.shape[1]);
    std::swap(view.strides[0], view.strides[1]);
  }
  weft_value* value = nullptr;
  if (value_api()->make_tensor(buffer->get(), &view, type.c_str(), attributes, &value) != WEFT_OK) return {};
  return Value::adopt(value);
}

std::vector<Value> text_samples(const char* type) {
  std::string paragraph;
  while (paragraph.size() < 5000) paragraph += "The quick brown fox jumps over the lazy dog. ";
  std::vector<Value> values;
  for (const std::string& text :
       {std::string("hello weft"), std::string("Zwölf Boxkämpfer 你好 🙂\n\ttab \"quoted\""),
        std::string(), paragraph}) {
    add(values, Value::bytes(text, type));
  }
  return values;
}

std::vector<Value> tensor_samples(Pool& pool, const std::string& type) {
  return {tensor(pool, WEFT_DTYPE_F32, {2, 3}, type, nullptr),
          tensor(pool, WEFT_DTYPE_F32, {1, 4, 8, 8}, type, nullptr),
          tensor(pool, WEFT_DTYPE_F32, {3, 5}, type, nullptr, true),
          tensor(pool, WEFT_DTYPE_F32, {0, 3}, type, nullptr),
          tensor(pool, WEFT_DTYPE_F32, {}, type, nullptr),
          tensor(pool, WEFT_DTYPE_U8, {7}, type, nullptr)};
}

std::vector<Value> image_samples(Pool& pool) {
  const char* srgb = "{\"color_space\":\"srgb\"}";
  return {tensor(pool, WEFT_DTYPE_U8, {1, 16, 16, 3}, "image", srgb),
          tensor(pool, WEFT_DTYPE_F32, {1, 8, 12, 3}, "image", srgb),
          tensor(pool, WEFT_DTYPE_U8, {2, 5, 7, 3}, "image", srgb),
          tensor(pool, WEFT_DTYPE_U8, {1, 1, 1, 4}, "image", srgb)};
}

std::vector<Value> list_samples(const std::string& element_type, Pool& pool) {
  const std::vector<Value> items = sample_values(element_type, pool);
  std::vector<Value> values;
  add(values, Value::list({items[0], items.back()}, element_type.c_str()));
  add(values, Value::list(items, element_type.c_str()));
  add(values, Value::list({items[0]}, element_type.c_str()));
  add(values, Value::list({}, element_type.c_str()));
  return values;
}

std::string number_json(double number, bool integer) {
  char text[40];
  std::snprintf(text, sizeof text, integer ? "%.0f" : "%.17g", number);
  return text;
}

bool is_integer(const std::string& type) { return type == "int" || type == "seed"; }
bool is_number(const std::string& type) { return is_integer(type) || type == "float"; }

// The largest that the type can hold where the descriptor sets no bound.
double largest(const ParameterDescriptor& parameter) {
  if (std::isfinite(parameter.maximum)) return parameter.maximum;
  return is_integer(parameter.type) ? 1 << 30 : 1e30;
}
double smallest(const ParameterDescriptor& parameter) {
  if (std::isfinite(parameter.minimum)) return parameter.minimum;
  if (parameter.type == "seed") return 0;
  return is_integer(parameter.type) ? -(1 << 30) : -1e30;
}

// A value for a parameter that has no default; empty for what the caller gives (models) and for what may stay open.
std::string made_up(const ParameterDescriptor& parameter, const NodeTypeDescriptor& node) {
  if (parameter.type == "seed") return "7";
  if (parameter.optional || parameter.type == "model") return {};
  if (is_number(parameter.type)) {
    const double number = std::min(std::max(1.0, parameter.minimum), parameter.maximum);
    return number_json(number, is_integer(parameter.type));
  }
  if (parameter.type == "bool") return "false";
  if (parameter.type == "choice") return json_string(parameter.choices.empty() ? "" : parameter.choices[0]);
  if (parameter.type == "json") return "{}";
  if (parameter.type == "list<text>") return "[\"red\", \"blue\"]";
  if (parameter.type == "list<int>" || parameter.type == "list<float>") return "[1, 2]";
  if (parameter.type == "path")
    return json_string(node.has(WEFT_NODE_WRITES_FILES) ? "checked.out" : kSampleFile);
  return "\"hello\"";
}

ParameterJson base_parameters(const NodeTypeDescriptor& node) {
  ParameterJson base;
  for (const ParameterDescriptor& parameter : node.parameters) {
    if (parameter.default_json) continue;
    if (std::string json = made_up(parameter, node); !json.empty()) base[parameter.name] = std::move(json);
  }
  return base;
}

std::vector<std::string> variations(const ParameterDescriptor& parameter, const NodeTypeDescriptor& node) {
  if (is_number(parameter.type)) {
    const bool integer = is_integer(parameter.type);
    return {number_json(smallest(parameter), integer), number_json(largest(parameter), integer)};
  }
  if (parameter.type == "bool") return {"false", "true"};
  std::vector<std::string> values;
  if (parameter.type == "choice") {
    for (const std::string& choice : parameter.choices) values.push_back(json_string(choice));
  }
  if (parameter.type == "text") values = {"\"\"", "\"Zwölf 你好 🙂\""};
  if (parameter.type.starts_with("list<")) values = {"[]"};
  if (parameter.type == "path" && node.has(WEFT_NODE_READS_FILES)) values = {json_string(kSamplePicture)};
  return values;
}

// A PNG file: red, green, blue, white.
constexpr unsigned char kPicture[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44,
    0x52, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x02, 0x08, 0x02, 0x00, 0x00, 0x00, 0xfd,
    0xd4, 0x9a, 0x73, 0x00, 0x00, 0x00, 0x12, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xf8,
    0xcf, 0xc0, 0xc0, 0x00, 0xc2, 0x0c, 0xff, 0x81, 0x00, 0x00, 0x1f, 0xee, 0x05, 0xfb, 0xf1,
    0xab, 0xba, 0x77, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
};

}  // namespace

std::string sample_picture() { return {reinterpret_cast<const char*>(kPicture), sizeof kPicture}; }

std::vector<Value> sample_values(const std::string& type, Pool& pool) {
  std::vector<Value> values;
  if (type == "any" || type == "text") {
    values = text_samples("text");
  } else if (type == "bool") {
    values = {Value::boolean(1), Value::boolean(0)};
  } else if (type == "int") {
    values = {Value::integer(3), Value::integer(0), Value::integer(-7), Value::integer(int64_t{1} << 40)};
  } else if (type == "float") {
    values = {Value::real(0.5), Value::real(0), Value::real(-1e30)};
  } else if (type == "json") {
    for (const char* json : {"[{\"role\":\"user\",\"content\":\"hello\"}]", "{\"a\":1}", "null", "[]"}) {
      add(values, Value::bytes(json, "json"));
    }
  } else if (type == "path") {
    add(values, Value::bytes(kSampleFile, "path"));
  } else if (type == "bytes") {
    std::string all(256, '\0');
    std::iota(all.begin(), all.end(), '\0');
    add(values, Value::bytes(all, "bytes"));
    add(values, Value::bytes("", "bytes"));
  } else if (type == "image") {
    values = image_samples(pool);
  } else if (const std::string_view element = list_element_type(type); !element.empty()) {
    values = list_samples(std::string(element), pool);
  } else {
    values = tensor_samples(pool, type);
  }
  if (type == "any") {
    values.push_back(Value::integer(3));
    values.push_back(tensor(pool, WEFT_DTYPE_F32, {2, 3}, "tensor", nullptr));
  }
  return values;
}

Value large_value(const std::string& type, Pool& pool) {
  if (type == "image")
    return tensor(pool, WEFT_DTYPE_U8, {1, 512, 512, 3}, "image", "{\"color_space\":\"srgb\"}");
  if (type == "text" || type == "any") {
    std::string text;
    while (text.size() < (1u << 19)) text += "The quick brown fox jumps over the lazy dog. ";
    Result<Value> value = Value::text(text);
    return value.ok() ? *value : Value();
  }
  const std::vector<Value> values = sample_values(type, pool);
  if (values[0] && values[0].kind() == WEFT_KIND_TENSOR) {
    return tensor(pool, WEFT_DTYPE_F32, {1024, 1024}, type, nullptr);
  }
  return values.size() > 1 && values[0].kind() == WEFT_KIND_LIST ? values[1] : values[0];
}

std::vector<ParameterSample> sample_parameters(const NodeTypeDescriptor& node) {
  const ParameterJson base = base_parameters(node);
  std::vector<ParameterSample> samples = {{"defaults", base, {}}};
  for (const ParameterDescriptor& parameter : node.parameters) {
    for (std::string& json : variations(parameter, node)) {
      if (parameter.default_json && *parameter.default_json == json) continue;
      ParameterSample sample{parameter.name + " = " + json, base, parameter.name};
      sample.parameters_json[parameter.name] = std::move(json);
      samples.push_back(std::move(sample));
    }
  }
  return samples;
}

ParameterSample largest_parameters(const NodeTypeDescriptor& node) {
  ParameterSample sample{"largest numbers", base_parameters(node), {}};
  for (const ParameterDescriptor& parameter : node.parameters) {
    if (is_number(parameter.type) && parameter.type != "seed") {
      sample.parameters_json[parameter.name] = number_json(largest(parameter), is_integer(parameter.type));
    }
  }
  return sample;
}

}  // namespace weft
