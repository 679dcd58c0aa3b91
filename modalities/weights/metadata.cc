#include "modalities/weights/metadata.h"

#include <cmath>
#include <limits>
#include <optional>

#include "modalities/weights/byte_reader.h"

namespace weft {
namespace {

// A scalar, widened without loss.
struct Number {
  enum class Kind { kSigned, kUnsigned, kReal } kind;
  int64_t signed_value = 0;
  uint64_t unsigned_value = 0;
  double real = 0;
};

template <typename T>
T load(ByteReader& reader) {
  T value{};
  [[maybe_unused]] const bool whole = reader.read(value);
  return value;
}

std::optional<Number> load_number(MetadataType type, ByteReader& reader) {
  const auto of_signed = [](int64_t v) { return Number{Number::Kind::kSigned, v, 0, 0}; };
  const auto of_unsigned = [](uint64_t v) { return Number{Number::Kind::kUnsigned, 0, v, 0}; };
  const auto of_real = [](double v) { return Number{Number::Kind::kReal, 0, 0, v}; };
  switch (type) {
    case MetadataType::kU8: return of_unsigned(load<uint8_t>(reader));
    case MetadataType::kI8: return of_signed(load<int8_t>(reader));
    case MetadataType::kU16: return of_unsigned(load<uint16_t>(reader));
    case MetadataType::kI16: return of_signed(load<int16_t>(reader));
    case MetadataType::kU32: return of_unsigned(load<uint32_t>(reader));
    case MetadataType::kI32: return of_signed(load<int32_t>(reader));
    case MetadataType::kU64: return of_unsigned(load<uint64_t>(reader));
    case MetadataType::kI64: return of_signed(load<int64_t>(reader));
    case MetadataType::kF32: return of_real(load<float>(reader));
    case MetadataType::kF64: return of_real(load<double>(reader));
    case MetadataType::kBool: return of_unsigned(load<uint8_t>(reader) != 0);
    case MetadataType::kString:
    case MetadataType::kArray: return std::nullopt;
  }
  return std::nullopt;
}

std::optional<int64_t> as_integer(const Number& number) {
  switch (number.kind) {
    case Number::Kind::kSigned: return number.signed_value;
    case Number::Kind::kUnsigned:
      if (number.unsigned_value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        return std::nullopt;
      return static_cast<int64_t>(number.unsigned_value);
    case Number::Kind::kReal:
      // 2^53 bounds the whole numbers that a double holds exactly.
      if (!(std::abs(number.real) <= 9007199254740992.0) || std::floor(number.real) != number.real)
        return std::nullopt;
      return static_cast<int64_t>(number.real);
  }
  return std::nullopt;
}

double as_double(const Number& number) {
  switch (number.kind) {
    case Number::Kind::kSigned: return static_cast<double>(number.signed_value);
    case Number::Kind::kUnsigned: return static_cast<double>(number.unsigned_value);
    case Number::Kind::kReal: return number.real;
  }
  return 0;
}

std::string value_text(const MetadataValue& value) {
  if (value.is_array) return "an array of " + std::to_string(value.count) + " " + to_string(value.type);
  ByteReader reader(value.payload);
  if (value.type == MetadataType::kString) return "a string";
  const std::optional<Number> number = load_number(value.type, reader);
  if (!number) return to_string(value.type);
  const std::string digits = number->kind == Number::Kind::kSigned ? std::to_string(number->signed_value)
                             : number->kind == Number::Kind::kUnsigned
                                 ? std::to_string(number->unsigned_value)
                                 : std::to_string(number->real);
  return digits + " (" + to_string(value.type) + ")";
}

bool is_number(MetadataType type) {
  return type != MetadataType::kString && type != MetadataType::kArray && type != MetadataType::kBool;
}

}  // namespace

const char* to_string(MetadataType type) {
  switch (type) {
    case MetadataType::kU8: return "u8";
    case MetadataType::kI8: return "i8";
    case MetadataType::kU16: return "u16";
    case MetadataType::kI16: return "i16";
    case MetadataType::kU32: return "u32";
    case MetadataType::kI32: return "i32";
    case MetadataType::kF32: return "f32";
    case MetadataType::kBool: return "bool";
    case MetadataType::kString: return "string";
    case MetadataType::kArray: return "array";
    case MetadataType::kU64: return "u64";
    case MetadataType::kI64: return "i64";
    case MetadataType::kF64: return "f64";
  }
  return "unknown type";
}

Status Metadata::insert(std::string key, const MetadataValue& value) {
  const auto [at, inserted] = entries_.try_emplace(std::move(key), value);
  if (!inserted)
    return Status(StatusCode::kCorruptData, "the key '" + at->first + "' appears twice").at(source_);
  return {};
}

Status Metadata::insert_owned(std::string key, MetadataType type, bool is_array, uint64_t count,
                              std::string encoded) {
  const std::string& kept = owned_.emplace_back(std::move(encoded));
  MetadataValue value;
  value.type = type;
  value.is_array = is_array;
  value.count = count;
  value.payload = std::as_bytes(std::span(kept));
  return insert(std::move(key), value);
}

Result<const MetadataValue*> Metadata::find(std::string_view key, std::string_view wanted) const {
  const auto found = entries_.find(key);
  if (found == entries_.end())
    return Status(StatusCode::kNotFound, "the key '" + std::string(key) + "' is missing")
        .at(source_)
        .expected(std::string(wanted));
  return &found->second;
}

Status Metadata::mismatch(std::string_view key, const MetadataValue& value, std::string_view wanted) const {
  std::string where = source_;
  if (value.offset != 0) where += ", offset " + std::to_string(value.offset);
  return Status(StatusCode::kCorruptData, "the key '" + std::string(key) + "' has an unusable value")
      .at(where)
      .expected(std::string(wanted))
      .got(value_text(value));
}

Result<int64_t> Metadata::integer(std::string_view key) const {
  const Result<const MetadataValue*> found = find(key, "an integer");
  if (!found.ok()) return found.status();
  const MetadataValue& value = **found;
  ByteReader reader(value.payload);
  if (!value.is_array)
    if (const std::optional<Number> number = load_number(value.type, reader))
      if (const std::optional<int64_t> integer = as_integer(*number)) return *integer;
  return mismatch(key, value, "an integer within 64 bits");
}

Result<double> Metadata::number(std::string_view key) const {
  const Result<const MetadataValue*> found = find(key, "a number");
  if (!found.ok()) return found.status();
  const MetadataValue& value = **found;
  ByteReader reader(value.payload);
  if (!value.is_array && is_number(value.type)) return as_double(*load_number(value.type, reader));
  return mismatch(key, value, "a number");
}

Result<bool> Metadata::boolean(std::string_view key) const {
  const Result<const MetadataValue*> found = find(key, "true or false");
  if (!found.ok()) return found.status();
  const MetadataValue& value = **found;
  if (value.is_array || value.type != MetadataType::kBool) return mismatch(key, value, "true or false");
  return value.payload[0] != std::byte{0};
}

Result<std::string_view> Metadata::string(std::string_view key) const {
  const Result<const MetadataValue*> found = find(key, "a string");
  if (!found.ok()) return found.status();
  const MetadataValue& value = **found;
  ByteReader reader(value.payload);
  std::string_view text;
  if (value.is_array || value.type != MetadataType::kString || !reader.read_string(text))
    return mismatch(key, value, "a string");
  return text;
}

Result<std::vector<int64_t>> Metadata::integers(std::string_view key) const {
  const Result<const MetadataValue*> found = find(key, "an array of integers");
  if (!found.ok()) return found.status();
  const MetadataValue& value = **found;
  if (!value.is_array || value.type == MetadataType::kString)
    return mismatch(key, value, "an array of integers");
  std::vector<int64_t> integers;
  integers.reserve(value.count);
  ByteReader reader(value.payload);
  for (uint64_t i = 0; i < value.count; ++i) {
    const std::optional<Number> number = load_number(value.type, reader);
    const std::optional<int64_t> integer = number ? as_integer(*number) : std::nullopt;
    if (!integer) return mismatch(key, value, "an array of integers within 64 bits");
    integers.push_back(*integer);
  }
  return integers;
}

Result<std::vector<double>> Metadata::numbers(std::string_view key) const {
  const Result<const MetadataValue*> found = find(key, "an array of numbers");
  if (!found.ok()) return found.status();
  const MetadataValue& value = **found;
  if (!value.is_array || !is_number(value.type)) return mismatch(key, value, "an array of numbers");
  std::vector<double> numbers;
  numbers.reserve(value.count);
  ByteReader reader(value.payload);
  for (uint64_t i = 0; i < value.count; ++i) numbers.push_back(as_double(*load_number(value.type, reader)));
  return numbers;
}

Result<std::vector<std::string_view>> Metadata::strings(std::string_view key) const {
  const Result<const MetadataValue*> found = find(key, "an array of strings");
  if (!found.ok()) return found.status();
  const MetadataValue& value = **found;
  if (!value.is_array || (value.type != MetadataType::kString && value.count != 0))
    return mismatch(key, value, "an array of strings");
  std::vector<std::string_view> strings;
  strings.reserve(value.count);
  ByteReader reader(value.payload);
  for (uint64_t i = 0; i < value.count; ++i) {
    std::string_view text;
    if (!reader.read_string(text)) return mismatch(key, value, "an array of whole strings");
    strings.push_back(text);
  }
  return strings;
}

Result<uint64_t> Metadata::count(std::string_view key) const {
  const Result<const MetadataValue*> found = find(key, "a value");
  if (!found.ok()) return found.status();
  return (*found)->count;
}

Result<int64_t> Metadata::integer_or(std::string_view key, int64_t fallback) const {
  return contains(key) ? integer(key) : fallback;
}
Result<double> Metadata::number_or(std::string_view key, double fallback) const {
  return contains(key) ? number(key) : fallback;
}
Result<bool> Metadata::boolean_or(std::string_view key, bool fallback) const {
  return contains(key) ? boolean(key) : fallback;
}
Result<std::string_view> Metadata::string_or(std::string_view key, std::string_view fallback) const {
  return contains(key) ? string(key) : fallback;
}

}  // namespace weft
