#include "modalities/weights/safetensors.h"

#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "modalities/weights/byte_reader.h"
#include "modalities/weights/checked_arithmetic.h"
#include "modalities/weights/tensor_layout.h"

namespace weft {
namespace {

constexpr uint64_t kLengthBytes = 8;

struct Dtype {
  std::string_view name;
  uint64_t bits;
  std::optional<WeightFormat> format;  // nothing: not read by this build
};

constexpr Dtype kDtypes[] = {
    {"F64", 64, WeightFormat::kF64},   {"F32", 32, WeightFormat::kF32}, {"F16", 16, WeightFormat::kF16},
    {"BF16", 16, WeightFormat::kBF16}, {"I64", 64, WeightFormat::kI64}, {"I32", 32, WeightFormat::kI32},
    {"I16", 16, WeightFormat::kI16},   {"I8", 8, WeightFormat::kI8},    {"BOOL", 8, std::nullopt},
    {"U8", 8, std::nullopt},           {"U16", 16, std::nullopt},       {"U32", 32, std::nullopt},
    {"U64", 64, std::nullopt},         {"C64", 64, std::nullopt},       {"F8_E4M3", 8, std::nullopt},
    {"F8_E5M2", 8, std::nullopt},      {"F8_E8M0", 8, std::nullopt},    {"F8_E4M3FNUZ", 8, std::nullopt},
    {"F8_E5M2FNUZ", 8, std::nullopt},  {"F6_E2M3", 6, std::nullopt},    {"F6_E3M2", 6, std::nullopt},
    {"F4", 4, std::nullopt},
};

// One entry of the header as written, before any check of its numbers.
struct RawTensor {
  std::string name;
  uint64_t at = 0;  // offset of the entry in the file
  std::optional<std::string> dtype;
  std::optional<std::vector<uint64_t>> shape;
  std::optional<std::vector<uint64_t>> data_offsets;
};

// A SAX handler for exactly this shape; anything else stops the parser:
// {"__metadata__": {"k": "v"}, "tensor": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
class HeaderHandler : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, HeaderHandler> {
 public:
  explicit HeaderHandler(const rapidjson::MemoryStream& stream) : stream_(stream) {}

  std::vector<RawTensor> tensors;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::string complaint;

  bool Default() { return complain("an unexpected value"); }  // null, true, negative and fractional numbers

  bool StartObject() {
    switch (state_) {
      case State::kStart: state_ = State::kTensorName; return true;
      case State::kEntry: state_ = State::kField; return true;
      case State::kMetadataEntry: state_ = State::kMetadataKey; return true;
      default: return complain("an unexpected object");
    }
  }
  bool EndObject(rapidjson::SizeType) {
    if (state_ == State::kTensorName) {
      state_ = State::kEnd;
      return true;
    }
    if (state_ == State::kField) {
      const RawTensor& tensor = tensors.back();
      if (!tensor.dtype || !tensor.shape || !tensor.data_offsets)
        return complain("tensor '" + tensor.name + "' lacks dtype, shape or data_offsets");
      if (tensor.data_offsets->size() != 2)
        return complain("tensor '" + tensor.name + "' needs two data_offsets");
    }
    state_ = State::kTensorName;  // also after __metadata__
    return true;
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    std::string key(text, size);
    switch (state_) {
      case State::kTensorName:
        if (!names_.insert(key).second) return complain("the key '" + key + "' appears twice");
        if (key == "__metadata__") {
          state_ = State::kMetadataEntry;
          return true;
        }
        tensors.emplace_back();
        tensors.back().name = std::move(key);
        tensors.back().at = kLengthBytes + stream_.Tell();
        state_ = State::kEntry;
        return true;
      case State::kMetadataKey:
        if (!metadata_keys_.insert(key).second) return complain("the key '" + key + "' appears twice");
        metadata.emplace_back(std::move(key), std::string());
        state_ = State::kMetadataValue;
        return true;
      case State::kField: return start_field(key);
      default: return complain("an unexpected key");
    }
  }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    if (state_ == State::kMetadataValue) {
      metadata.back().second.assign(text, size);
      state_ = State::kMetadataKey;
      return true;
    }
    if (state_ != State::kDtype) return complain("an unexpected string");
    tensors.back().dtype = std::string(text, size);
    state_ = State::kField;
    return true;
  }
  bool StartArray() {
    if (state_ == State::kShape) {
      tensors.back().shape.emplace();
      state_ = State::kShapeItem;
    } else if (state_ == State::kOffsets) {
      tensors.back().data_offsets.emplace();
      state_ = State::kOffsetItem;
    } else {
      return complain("an unexpected array");
    }
    return true;
  }
  bool EndArray(rapidjson::SizeType) {
    state_ = State::kField;
    return true;
  }
  bool Uint(unsigned value) { return Uint64(value); }
  bool Uint64(uint64_t value) {
    if (state_ != State::kShapeItem && state_ != State::kOffsetItem) return complain("an unexpected number");
    std::vector<uint64_t>& list =
        state_ == State::kShapeItem ? *tensors.back().shape : *tensors.back().data_offsets;
    if (list.size() == WeightTensor::kMaxRank)
      return complain("tensor '" + tensors.back().name + "' has too many dimensions or offsets");
    list.push_back(value);
    return true;
  }

 private:
  enum class State {
    kStart,
    kTensorName,
    kEntry,
    kField,
    kDtype,
    kShape,
    kShapeItem,
    kOffsets,
    kOffsetItem,
    kMetadataEntry,
    kMetadataKey,
    kMetadataValue,
    kEnd,
  };

  bool complain(std::string text) {
    complaint = std::move(text);
    return false;
  }
  bool start_field(const std::string& key) {
    const RawTensor& tensor = tensors.back();
    const bool is_known = key == "dtype" || key == "shape" || key == "data_offsets";
    if (!is_known) return complain("tensor '" + tensor.name + "' has an unknown field '" + key + "'");
    if ((key == "dtype" && tensor.dtype) || (key == "shape" && tensor.shape) ||
        (key == "data_offsets" && tensor.data_offsets))
      return complain("tensor '" + tensor.name + "' has the field '" + key + "' twice");
    state_ = key == "dtype" ? State::kDtype : key == "shape" ? State::kShape : State::kOffsets;
    return true;
  }

  const rapidjson::MemoryStream& stream_;
  State state_ = State::kStart;
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> metadata_keys_;
};

Status corrupt(const std::string& name, uint64_t offset, std::string message) {
  return Status(StatusCode::kCorruptData, std::move(message)).at(name + ", offset " + std::to_string(offset));
}

// The header's text, or why there is none.
Result<std::string_view> header_text(std::span<const std::byte> bytes, const std::string& name) {
  ByteReader reader(bytes);
  uint64_t size = 0;
  if (!reader.read(size))
    return corrupt(name, 0, "not a safetensors file")
        .expected("an 8-byte header length")
        .got("a shorter file");
  if (size > kSafetensorsMaxHeaderBytes || size > reader.remaining())
    return corrupt(name, 0, "the header's length is out of range")
        .expected("at most " + std::to_string(std::min(kSafetensorsMaxHeaderBytes, reader.remaining())))
        .got(std::to_string(size))
        .hint("not a safetensors file, or an incomplete download");
  return std::string_view(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, size);
}

// Where `raw` lies, checked against its dtype and shape and the data section; an unreadable dtype leaves
// format unset.
struct Placement {
  const Dtype* dtype = nullptr;
  uint64_t begin = 0, end = 0;
};

Result<Placement> place(const RawTensor& raw, uint64_t data_bytes, const std::string& name) {
  const std::string label = "tensor '" + raw.name + "'";
  Placement placement{nullptr, (*raw.data_offsets)[0], (*raw.data_offsets)[1]};
  for (const Dtype& dtype : kDtypes)
    if (dtype.name == *raw.dtype) placement.dtype = &dtype;
  if (!placement.dtype)
    return corrupt(name, raw.at, label + " has an unknown dtype")
        .expected("F32, F16, BF16, ...")
        .got(*raw.dtype);
  if (placement.begin > placement.end || placement.end > data_bytes)
    return corrupt(name, raw.at, "the data_offsets of " + label + " are out of range")
        .expected("begin <= end <= " + std::to_string(data_bytes))
        .got("[" + std::to_string(placement.begin) + ", " + std::to_string(placement.end) + "]")
        .hint("an incomplete download, or a damaged header");
  std::optional<uint64_t> bits = placement.dtype->bits;
  for (uint64_t extent : *raw.shape) bits = bits ? checked_multiply(*bits, extent) : bits;
  if (!bits || *bits % 8 != 0 || *bits / 8 != placement.end - placement.begin)
    return corrupt(name, raw.at, "the bytes of " + label + " do not match its dtype and shape")
        .expected(bits ? std::to_string(*bits / 8) + " bytes" : "fewer than 2^61 bytes")
        .got(std::to_string(placement.end - placement.begin) + " bytes");
  return placement;
}

}  // namespace

bool is_safetensors(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  uint64_t size = 0;
  char brace = 0;
  return reader.read(size) && size <= kSafetensorsMaxHeaderBytes && reader.read(brace) && brace == '{';
}

Result<SafetensorsHeader> read_safetensors(std::span<const std::byte> bytes, const std::string& name) {
  const Result<std::string_view> text = header_text(bytes, name);
  if (!text.ok()) return text.status();

  rapidjson::MemoryStream stream(text->data(), text->size());
  HeaderHandler handler(stream);
  rapidjson::Reader reader;
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
  const rapidjson::ParseResult parsed = reader.Parse<kFlags>(stream, handler);
  if (!parsed) {
    const uint64_t offset = kLengthBytes + parsed.Offset();
    return corrupt(
        name, offset,
        handler.complaint.empty()
            ? std::string("the header is not valid JSON: ") + rapidjson::GetParseError_En(parsed.Code())
            : "the header is not a safetensors header: " + handler.complaint);
  }

  SafetensorsHeader header;
  header.metadata = std::move(handler.metadata);
  const uint64_t data_begin = kLengthBytes + text->size();
  const uint64_t data_bytes = bytes.size() - data_begin;
  std::vector<RawTensor*> in_file_order;
  for (RawTensor& raw : handler.tensors) in_file_order.push_back(&raw);
  std::sort(in_file_order.begin(), in_file_order.end(),
            [](const RawTensor* a, const RawTensor* b) { return *a->data_offsets < *b->data_offsets; });
  uint64_t expected_begin = 0;
  for (RawTensor* entry : in_file_order) {
    RawTensor& raw = *entry;
    const Result<Placement> placement = place(raw, data_bytes, name);
    if (!placement.ok()) return placement.status();
    if (placement->begin != expected_begin)
      return corrupt(name, raw.at,
                     "tensor '" + raw.name + "' " +
                         (placement->begin < expected_begin ? "overlaps another" : "leaves a hole before it"))
          .expected("data_offsets from " + std::to_string(expected_begin))
          .got(std::to_string(placement->begin));
    expected_begin = placement->end;
    if (!placement->dtype->format) {
      header.unreadable.emplace_back(std::move(raw.name), UnreadableTensor{*raw.dtype, 0, raw.at});
      continue;
    }
    WeightTensor tensor;
    tensor.name = std::move(raw.name);
    tensor.format = *placement->dtype->format;
    if (Status status = set_layout(tensor, *raw.shape); !status.ok())
      return std::move(status).at(name + ", offset " + std::to_string(raw.at));
    tensor.offset = data_begin + placement->begin;
    tensor.data = bytes.data() + tensor.offset;
    if (tensor.offset % (placement->dtype->bits / 8) != 0)
      return Status(StatusCode::kUnsupported, "tensor '" + tensor.name + "' is not aligned to its elements")
          .at(name + ", offset " + std::to_string(tensor.offset))
          .expected("a multiple of " + std::to_string(placement->dtype->bits / 8))
          .hint("save the file again with safetensors 0.3 or newer, which pads its header");
    header.tensors.push_back(std::move(tensor));
  }
  if (expected_begin != data_bytes)
    return corrupt(name, data_begin + expected_begin, "bytes that belong to no tensor")
        .expected("a file of " + std::to_string(data_begin + expected_begin) + " bytes")
        .got(std::to_string(bytes.size()));
  return header;
}

}  // namespace weft
