#include "modalities/weights/gguf.h"

#include <algorithm>
#include <optional>

#include "modalities/unicode/utf8.h"
#include "modalities/weights/byte_reader.h"
#include "modalities/weights/checked_arithmetic.h"
#include "modalities/weights/tensor_layout.h"

namespace weft {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr int kMaxRank = 4;              // ggml's GGML_MAX_DIMS
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kMaxAlignment = 1 << 20;

// ggml_type: what this build reads, and the names of what it does not.
std::optional<WeightFormat> format_of(uint32_t type) {
  switch (type) {
    case 0: return WeightFormat::kF32;
    case 1: return WeightFormat::kF16;
    case 2: return WeightFormat::kQ4_0;
    case 3: return WeightFormat::kQ4_1;
    case 6: return WeightFormat::kQ5_0;
    case 7: return WeightFormat::kQ5_1;
    case 8: return WeightFormat::kQ8_0;
    case 10: return WeightFormat::kQ2_K;
    case 11: return WeightFormat::kQ3_K;
    case 12: return WeightFormat::kQ4_K;
    case 13: return WeightFormat::kQ5_K;
    case 14: return WeightFormat::kQ6_K;
    case 20: return WeightFormat::kIQ4_NL;
    case 23: return WeightFormat::kIQ4_XS;
    case 24: return WeightFormat::kI8;
    case 25: return WeightFormat::kI16;
    case 26: return WeightFormat::kI32;
    case 27: return WeightFormat::kI64;
    case 28: return WeightFormat::kF64;
    case 30: return WeightFormat::kBF16;
    case 39: return WeightFormat::kMXFP4;
    default: return std::nullopt;
  }
}

std::string unread_type_name(uint32_t type) {
  switch (type) {
    case 9: return "Q8_1";
    case 15: return "Q8_K";
    case 16: return "IQ2_XXS";
    case 17: return "IQ2_XS";
    case 18: return "IQ3_XXS";
    case 19: return "IQ1_S";
    case 21: return "IQ3_S";
    case 22: return "IQ2_S";
    case 29: return "IQ1_M";
    case 34: return "TQ1_0";
    case 35: return "TQ2_0";
    case 40: return "NVFP4";
    default: return "number " + std::to_string(type);
  }
}

uint64_t scalar_size(MetadataType type) {
  switch (type) {
    case MetadataType::kU8:
    case MetadataType::kI8:
    case MetadataType::kBool: return 1;
    case MetadataType::kU16:
    case MetadataType::kI16: return 2;
    case MetadataType::kU32:
    case MetadataType::kI32:
    case MetadataType::kF32: return 4;
    case MetadataType::kU64:
    case MetadataType::kI64:
    case MetadataType::kF64: return 8;
    case MetadataType::kString:
    case MetadataType::kArray: return 0;
  }
  return 0;
}

class GgufReader {
 public:
  GgufReader(std::span<const std::byte> bytes, const std::string& name)
      : bytes_(bytes), name_(name), reader_(bytes) {
    header_.metadata = Metadata(name);
  }

  Result<GgufHeader> read() {
    if (Status status = read_preamble(); !status.ok()) return status;
    for (uint64_t i = 0; i < key_count_; ++i)
      if (Status status = read_key_value(); !status.ok()) return status;
    if (Status status = read_alignment(); !status.ok()) return status;
    for (uint64_t i = 0; i < tensor_count_; ++i)
      if (Status status = read_tensor_info(); !status.ok()) return status;
    if (Status status = place_tensors(); !status.ok()) return status;
    return std::move(header_);
  }

 private:
  Status corrupt(uint64_t offset, std::string message) const {
    return Status(StatusCode::kCorruptData, std::move(message))
        .at(name_ + ", offset " + std::to_string(offset));
  }
  Status truncated(std::string what) const {
    return corrupt(reader_.offset(), "the file ends within " + std::move(what))
        .got(std::to_string(reader_.remaining()) + " bytes left")
        .hint("the download may be incomplete: fetch the file again");
  }

  Status read_preamble() {
    uint32_t magic = 0;
    if (!reader_.read(magic) || magic != kMagic)
      return corrupt(0, "not a GGUF file").expected("the bytes 'GGUF'");
    if (!reader_.read(header_.version)) return truncated("the version");
    if (header_.version != 0 && (header_.version & 0xffff) == 0)
      return Status(StatusCode::kUnsupported, "this is a big-endian GGUF file")
          .at(name_ + ", offset 4")
          .hint("convert it with gguf-py's gguf_convert_endian");
    if (header_.version < 2 || header_.version > 3)
      return Status(StatusCode::kUnsupported, "unsupported GGUF version")
          .at(name_ + ", offset 4")
          .expected("2 or 3")
          .got(std::to_string(header_.version))
          .hint(header_.version < 2 ? "convert the model again with a current converter" : "update Weft");
    if (!reader_.read(tensor_count_) || !reader_.read(key_count_)) return truncated("the counts");
    if (tensor_count_ > kGgufMaxTensors)
      return corrupt(8, "an impossible number of tensors")
          .expected("at most " + std::to_string(kGgufMaxTensors))
          .got(std::to_string(tensor_count_));
    if (key_count_ > kGgufMaxKeys)
      return corrupt(16, "an impossible number of metadata keys")
          .expected("at most " + std::to_string(kGgufMaxKeys))
          .got(std::to_string(key_count_));
    return {};
  }

  Status read_name(const char* what, std::string_view& text) {
    const uint64_t offset = reader_.offset();
    if (!reader_.read_string(text)) return truncated(what);
    if (text.empty() || text.size() > kGgufMaxNameBytes)
      return corrupt(offset, std::string("the length of ") + what + " is out of range")
          .expected("1 to " + std::to_string(kGgufMaxNameBytes) + " bytes")
          .got(std::to_string(text.size()));
    if (!is_utf8(text)) return corrupt(offset, std::string(what) + " is not valid UTF-8");
    return {};
  }

  Status read_type(std::string_view key, MetadataType& type) {
    uint32_t number = 0;
    if (!reader_.read(number)) return truncated("the type of key '" + std::string(key) + "'");
    if (number > static_cast<uint32_t>(MetadataType::kF64))
      return corrupt(reader_.offset() - 4, "the key '" + std::string(key) + "' has an unknown type")
          .expected("0 to 12")
          .got(std::to_string(number));
    type = static_cast<MetadataType>(number);
    return {};
  }

  Status read_key_value() {
    std::string_view key;
    if (Status status = read_name("a metadata key", key); !status.ok()) return status;
    MetadataValue value;
    if (Status status = read_type(key, value.type); !status.ok()) return status;
    if (value.type == MetadataType::kArray) {
      value.is_array = true;
      if (Status status = read_type(key, value.type); !status.ok()) return status;
      if (value.type == MetadataType::kArray)
        return Status(StatusCode::kUnsupported, "the key '" + std::string(key) + "' holds arrays of arrays")
            .at(name_ + ", offset " + std::to_string(reader_.offset() - 4));
      if (!reader_.read(value.count)) return truncated("the length of key '" + std::string(key) + "'");
    }
    value.offset = reader_.offset();
    if (Status status = skip_payload(key, value); !status.ok()) return status;
    value.payload = bytes_.subspan(value.offset, reader_.offset() - value.offset);
    Status inserted = header_.metadata.insert(std::string(key), value);
    if (!inserted.ok()) return corrupt(value.offset, inserted.error().message);
    return {};
  }

  Status skip_payload(std::string_view key, const MetadataValue& value) {
    if (value.type != MetadataType::kString) {
      const std::optional<uint64_t> size = checked_multiply(value.count, scalar_size(value.type));
      if (!size || !reader_.skip(*size))
        return truncated("the value of key '" + std::string(key) + "'")
            .expected(std::to_string(value.count) + " " + to_string(value.type));
      return {};
    }
    // A string takes at least its length's 8 bytes; checking first keeps a false count from costing time.
    if (value.count > reader_.remaining() / 8)
      return truncated("the value of key '" + std::string(key) + "'")
          .expected(std::to_string(value.count) + " strings");
    std::string_view text;
    for (uint64_t i = 0; i < value.count; ++i)
      if (!reader_.read_string(text))
        return truncated("string " + std::to_string(i) + " of key '" + std::string(key) + "'");
    return {};
  }

  Status read_alignment() {
    const Result<int64_t> alignment =
        header_.metadata.integer_or("general.alignment", static_cast<int64_t>(kDefaultAlignment));
    if (!alignment.ok()) return alignment.status();
    if (*alignment < 8 || *alignment > static_cast<int64_t>(kMaxAlignment) ||
        (*alignment & (*alignment - 1)) != 0)
      return Status(StatusCode::kCorruptData, "the key 'general.alignment' has an unusable value")
          .at(name_)
          .expected("a power of two from 8 to " + std::to_string(kMaxAlignment))
          .got(std::to_string(*alignment));
    alignment_ = static_cast<uint64_t>(*alignment);
    return {};
  }

  Status read_tensor_info() {
    const uint64_t at = reader_.offset();
    std::string_view name;
    if (Status status = read_name("a tensor name", name); !status.ok()) return status;
    const std::string label = "tensor '" + std::string(name) + "'";
    uint32_t rank = 0;
    if (!reader_.read(rank)) return truncated(label);
    if (rank > kMaxRank)
      return corrupt(reader_.offset() - 4, label + " has too many dimensions")
          .expected("at most " + std::to_string(kMaxRank))
          .got(std::to_string(rank));
    uint64_t extents[kMaxRank] = {};
    for (uint32_t i = 0; i < rank; ++i)
      if (!reader_.read(extents[rank - 1 - i])) return truncated(label);  // GGUF: innermost first
    uint32_t type = 0;
    uint64_t offset = 0;
    if (!reader_.read(type) || !reader_.read(offset)) return truncated(label);
    if (offset % alignment_ != 0)
      return corrupt(reader_.offset() - 8, "the offset of " + label + " is not aligned")
          .expected("a multiple of " + std::to_string(alignment_))
          .got(std::to_string(offset));

    const std::optional<WeightFormat> format = format_of(type);
    if (!format) {
      header_.unreadable.emplace_back(std::string(name), UnreadableTensor{unread_type_name(type), 0, at});
      return {};
    }
    WeightTensor tensor;
    tensor.name = std::string(name);
    tensor.format = *format;
    tensor.offset = offset;  // within the data section, until place_tensors()
    if (Status status = set_layout(tensor, {extents, rank}); !status.ok())
      return std::move(status).at(name_ + ", offset " + std::to_string(at));
    header_.tensors.push_back(std::move(tensor));
    return {};
  }

  Status place_tensors() {
    const std::optional<uint64_t> begin = checked_align(reader_.offset(), alignment_);
    const uint64_t data_begin = begin ? *begin : bytes_.size();
    for (WeightTensor& tensor : header_.tensors) {
      const std::optional<uint64_t> offset = checked_add(data_begin, tensor.offset);
      const std::optional<uint64_t> end = offset ? checked_add(*offset, tensor.size_bytes) : std::nullopt;
      if (!end || *end > bytes_.size())
        return corrupt(offset.value_or(bytes_.size()),
                       "tensor '" + tensor.name + "' reaches past the end of the file")
            .expected(std::to_string(tensor.size_bytes) + " bytes")
            .got("a file of " + std::to_string(bytes_.size()) + " bytes")
            .hint("the download may be incomplete: fetch the file again");
      tensor.offset = *offset;
      tensor.data = bytes_.data() + *offset;
    }
    return check_no_overlap(header_.tensors, name_);
  }

  std::span<const std::byte> bytes_;
  const std::string& name_;
  ByteReader reader_;
  GgufHeader header_;
  uint64_t tensor_count_ = 0;
  uint64_t key_count_ = 0;
  uint64_t alignment_ = kDefaultAlignment;
};

}  // namespace

bool is_gguf(std::span<const std::byte> bytes) {
  uint32_t magic = 0;
  return ByteReader(bytes).read(magic) && magic == kMagic;
}

Result<GgufHeader> read_gguf(std::span<const std::byte> bytes, const std::string& name) {
  return GgufReader(bytes, name).read();
}

}  // namespace weft
