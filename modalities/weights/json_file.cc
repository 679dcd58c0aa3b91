#include "modalities/weights/json_file.h"

#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>

#include <set>

#include "modalities/weights/mapped_file.h"

namespace weft {
namespace {

constexpr int kMaxDepth = 16;

template <typename T>
void append_scalar(std::string& encoded, T value) {
  encoded.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_string(std::string& encoded, std::string_view text) {
  append_scalar<uint64_t>(encoded, text.size());
  encoded += text;
}

std::string_view text_of(const rapidjson::Value& value) {
  return {value.GetString(), value.GetStringLength()};
}

// The type that holds a plain value; kArray for an object, an array or null.
MetadataType plain_type(const rapidjson::Value& value) {
  if (value.IsBool()) return MetadataType::kBool;
  if (value.IsString()) return MetadataType::kString;
  if (value.IsInt64()) return MetadataType::kI64;
  if (value.IsUint64()) return MetadataType::kU64;
  if (value.IsNumber()) return MetadataType::kF64;
  return MetadataType::kArray;
}

void append_plain(std::string& encoded, const rapidjson::Value& value, MetadataType type) {
  switch (type) {
    case MetadataType::kBool: append_scalar<uint8_t>(encoded, value.GetBool()); break;
    case MetadataType::kString: append_string(encoded, text_of(value)); break;
    case MetadataType::kI64: append_scalar(encoded, value.GetInt64()); break;
    case MetadataType::kU64: append_scalar(encoded, value.GetUint64()); break;
    default: append_scalar(encoded, value.GetDouble()); break;
  }
}

// The one type that holds all elements, kArray if there is none. Numbers of mixed types become f64.
MetadataType common_type(const rapidjson::Value& array) {
  if (array.Empty()) return MetadataType::kI64;
  MetadataType common = plain_type(array[0]);
  for (const rapidjson::Value& element : array.GetArray()) {
    const MetadataType type = plain_type(element);
    if (type == common) continue;
    const bool numbers = element.IsNumber() && array[0].IsNumber();
    common = numbers ? MetadataType::kF64 : MetadataType::kArray;
    if (!numbers) break;
  }
  return common;
}

Status flatten_value(const rapidjson::Value& value, const std::string& key, int depth, Metadata& metadata) {
  if (depth > kMaxDepth)
    return Status(StatusCode::kCorruptData, "nested too deeply at '" + key.substr(0, 200) + "'")
        .at(metadata.source())
        .expected("at most " + std::to_string(kMaxDepth) + " levels");
  if (value.IsObject()) {
    std::set<std::string_view> seen;
    for (const auto& member : value.GetObject()) {
      const std::string_view name = text_of(member.name);
      if (!seen.insert(name).second)
        return Status(StatusCode::kCorruptData, "the key '" + std::string(name) + "' appears twice")
            .at(metadata.source());
      const std::string inner = key.empty() ? std::string(name) : key + "." + std::string(name);
      if (Status status = flatten_value(member.value, inner, depth + 1, metadata); !status.ok())
        return status;
    }
    return {};
  }
  std::string encoded;
  if (value.IsArray()) {
    const MetadataType type = common_type(value);
    if (type == MetadataType::kArray) {
      for (rapidjson::SizeType i = 0; i < value.Size(); ++i)
        if (Status status = flatten_value(value[i], key + "." + std::to_string(i), depth + 1, metadata);
            !status.ok())
          return status;
      return {};
    }
    for (const rapidjson::Value& element : value.GetArray()) append_plain(encoded, element, type);
    return metadata.insert_owned(key, type, true, value.Size(), std::move(encoded));
  }
  const MetadataType type = plain_type(value);
  if (type == MetadataType::kArray) return {};  // null is the same as absent
  append_plain(encoded, value, type);
  return metadata.insert_owned(key, type, false, 1, std::move(encoded));
}

}  // namespace

Result<std::string> read_small_file(const std::filesystem::path& path, uint64_t max_bytes) {
  const Result<MappedFile> file = MappedFile::open(path);
  if (!file.ok()) return file.status();
  if (file->bytes().size() > max_bytes)
    return Status(StatusCode::kOutOfRange, "the file is too large")
        .at(path.string())
        .expected("at most " + std::to_string(max_bytes) + " bytes")
        .got(std::to_string(file->bytes().size()));
  return std::string(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
}

Result<rapidjson::Document> parse_json(std::string_view text, const std::string& name) {
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);  // a byte order mark
  rapidjson::MemoryStream stream(text.data(), text.size());
  rapidjson::Document document;
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
  document.ParseStream<kFlags>(stream);
  if (document.HasParseError())
    return Status(StatusCode::kCorruptData,
                  std::string("not valid JSON: ") + rapidjson::GetParseError_En(document.GetParseError()))
        .at(name + ", offset " + std::to_string(document.GetErrorOffset()));
  return document;
}

Result<rapidjson::Document> read_json_file(const std::filesystem::path& path, uint64_t max_bytes) {
  const Result<std::string> text = read_small_file(path, max_bytes);
  if (!text.ok()) return text.status();
  return parse_json(*text, path.string());
}

Status flatten_json(const rapidjson::Value& object, Metadata& metadata) {
  if (!object.IsObject())
    return Status(StatusCode::kCorruptData, "not a JSON object").at(metadata.source()).expected("{...}");
  return flatten_value(object, "", 0, metadata);
}

}  // namespace weft
