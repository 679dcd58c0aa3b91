#include "tests/text/model_variant.h"

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/quant/dequantize.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft::testing {
namespace {

constexpr uint64_t kAlignment = 32;  // GGUF's default

std::string padding(uint64_t size) {
  return std::string((kAlignment - size % kAlignment) % kAlignment, '\0');
}

/// A value as GGUF writes it: arrays begin with their type and count.
void copy(GgufWriter& writer, const std::string& key, const MetadataValue& value) {
  const std::string payload(reinterpret_cast<const char*>(value.payload.data()), value.payload.size());
  if (!value.is_array) {
    writer.add_raw(key, value.type, payload);
    return;
  }
  std::string header;
  append_u32(header, static_cast<uint32_t>(value.type));
  append_u64(header, value.count);
  writer.add_raw(key, MetadataType::kArray, header + payload);
}

bool beyond(const std::string& name, uint32_t layers) {
  return layers != 0 && name.starts_with("blk.") && std::strtoul(name.c_str() + 4, nullptr, 10) >= layers;
}

std::string converted(const WeightTensor& tensor, WeightFormat format) {
  std::vector<float> values(static_cast<size_t>(tensor.count()));
  dequantize(tensor.format, tensor.data, tensor.count(), values.data());
  std::string bytes(static_cast<size_t>(weights_bytes(format, tensor.count())), '\0');
  if (!quantize(format, values.data(), tensor.count(), bytes.data()))
    throw std::runtime_error("not a type to convert to");
  return bytes;
}

}  // namespace

void write_variant(const std::filesystem::path& model, const ModelVariant& variant,
                   const std::filesystem::path& output) {
  Result<WeightFile> file = WeightFile::open(model);
  if (!file.ok()) throw std::runtime_error(to_string(file.error()));
  GgufWriter writer;
  for (const auto& [key, value] : file->metadata().entries()) {
    if (const auto text = variant.texts.find(key); text != variant.texts.end()) {
      writer.add(key, text->second);
    } else if (variant.layers != 0 && key.ends_with(".block_count")) {
      writer.add_u32(key, variant.layers);
    } else if (key != "general.alignment") {
      copy(writer, key, value);
    }
  }
  const auto format = [&](const WeightTensor& tensor) {
    return tensor.rank > 1 && variant.matrices ? *variant.matrices : tensor.format;
  };
  std::vector<const WeightTensor*> tensors;
  uint64_t offset = 0;
  for (const WeightTensor& tensor : file->tensors()) {
    if (beyond(tensor.name, variant.layers)) continue;
    tensors.push_back(&tensor);
    writer.add_raw_tensor(tensor.name, {tensor.shape().begin(), tensor.shape().end()},
                          ggml_type(format(tensor)), offset);
    offset += static_cast<uint64_t>(weights_bytes(format(tensor), tensor.count()));
    offset += padding(offset).size();
  }
  std::ofstream stream(output, std::ios::binary);
  const std::string header = writer.bytes();
  stream << header << padding(header.size());
  for (const WeightTensor* tensor : tensors) {
    const std::string bytes =
        format(*tensor) == tensor->format
            ? std::string(reinterpret_cast<const char*>(tensor->data), tensor->size_bytes)
            : converted(*tensor, format(*tensor));
    stream << bytes << padding(bytes.size());
  }
  if (!stream.flush()) throw std::runtime_error("cannot write " + output.string());
}

}  // namespace weft::testing
