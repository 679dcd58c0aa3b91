#include "modalities/weights/testing/model_file_writer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace weft::testing {
namespace {

template <typename T>
void append_scalar(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
std::string array_payload(MetadataType type, std::span<const T> values) {
  std::string payload;
  append_u32(payload, static_cast<uint32_t>(type));
  append_u64(payload, values.size());
  for (const T& value : values) append_scalar(payload, value);
  return payload;
}

}  // namespace

uint32_t ggml_type(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32: return 0;
    case WeightFormat::kF16: return 1;
    case WeightFormat::kQ4_0: return 2;
    case WeightFormat::kQ4_1: return 3;
    case WeightFormat::kQ5_0: return 6;
    case WeightFormat::kQ5_1: return 7;
    case WeightFormat::kQ8_0: return 8;
    case WeightFormat::kQ2_K: return 10;
    case WeightFormat::kQ3_K: return 11;
    case WeightFormat::kQ4_K: return 12;
    case WeightFormat::kQ5_K: return 13;
    case WeightFormat::kQ6_K: return 14;
    case WeightFormat::kIQ4_NL: return 20;
    case WeightFormat::kIQ4_XS: return 23;
    case WeightFormat::kI8: return 24;
    case WeightFormat::kI16: return 25;
    case WeightFormat::kI32: return 26;
    case WeightFormat::kI64: return 27;
    case WeightFormat::kF64: return 28;
    case WeightFormat::kBF16: return 30;
    case WeightFormat::kMXFP4: return 39;
  }
  std::abort();
}

void append_u32(std::string& out, uint32_t value) { append_scalar(out, value); }
void append_u64(std::string& out, uint64_t value) { append_scalar(out, value); }
void append_gguf_string(std::string& out, std::string_view text) {
  append_u64(out, text.size());
  out += text;
}

GgufWriter& GgufWriter::add_raw(std::string_view key, MetadataType type, std::string_view payload) {
  append_gguf_string(keys_, key);
  append_u32(keys_, static_cast<uint32_t>(type));
  keys_ += payload;
  ++key_count_;
  return *this;
}

GgufWriter& GgufWriter::add(std::string_view key, std::string_view value) {
  std::string payload;
  append_gguf_string(payload, value);
  return add_raw(key, MetadataType::kString, payload);
}
GgufWriter& GgufWriter::add_u32(std::string_view key, uint32_t value) {
  return add_raw(key, MetadataType::kU32, {reinterpret_cast<const char*>(&value), sizeof value});
}
GgufWriter& GgufWriter::add_u64(std::string_view key, uint64_t value) {
  return add_raw(key, MetadataType::kU64, {reinterpret_cast<const char*>(&value), sizeof value});
}
GgufWriter& GgufWriter::add_f32(std::string_view key, float value) {
  return add_raw(key, MetadataType::kF32, {reinterpret_cast<const char*>(&value), sizeof value});
}
GgufWriter& GgufWriter::add_bool(std::string_view key, bool value) {
  const char byte = value ? 1 : 0;
  return add_raw(key, MetadataType::kBool, {&byte, 1});
}
GgufWriter& GgufWriter::add_strings(std::string_view key, std::span<const std::string> values) {
  std::string payload;
  append_u32(payload, static_cast<uint32_t>(MetadataType::kString));
  append_u64(payload, values.size());
  for (const std::string& value : values) append_gguf_string(payload, value);
  return add_raw(key, MetadataType::kArray, payload);
}
GgufWriter& GgufWriter::add_f32s(std::string_view key, std::span<const float> values) {
  return add_raw(key, MetadataType::kArray, array_payload(MetadataType::kF32, values));
}
GgufWriter& GgufWriter::add_i32s(std::string_view key, std::span<const int32_t> values) {
  return add_raw(key, MetadataType::kArray, array_payload(MetadataType::kI32, values));
}

GgufWriter& GgufWriter::add_tensor(std::string_view name, WeightFormat format, std::vector<uint64_t> shape,
                                   std::string_view data) {
  data_.resize((data_.size() + alignment - 1) / alignment * alignment);
  return add_raw_tensor(name, std::move(shape), ggml_type(format), data_.size(), data);
}

GgufWriter& GgufWriter::add_raw_tensor(std::string_view name, std::vector<uint64_t> shape, uint32_t type,
                                       uint64_t offset, std::string_view data) {
  append_gguf_string(infos_, name);
  append_u32(infos_, static_cast<uint32_t>(shape.size()));
  for (size_t i = shape.size(); i-- > 0;) append_u64(infos_, shape[i]);
  append_u32(infos_, type);
  append_u64(infos_, offset);
  data_ += data;
  ++tensor_count_;
  return *this;
}

std::string GgufWriter::bytes() const {
  std::string out = "GGUF";
  append_u32(out, version);
  append_u64(out, tensor_count_);
  append_u64(out, key_count_ + (alignment != 32 ? 1 : 0));
  if (alignment != 32) {
    append_gguf_string(out, "general.alignment");
    append_u32(out, static_cast<uint32_t>(MetadataType::kU32));
    append_u32(out, static_cast<uint32_t>(alignment));
  }
  out += keys_ + infos_;
  if (!data_.empty() && alignment != 0) out.resize((out.size() + alignment - 1) / alignment * alignment);
  return out + data_;
}

void GgufWriter::save(const std::filesystem::path& path) const { write_file(path, bytes()); }

std::string safetensors_bytes(std::string header, std::string_view data) {
  while (header.size() % 8 != 0) header += ' ';
  std::string out;
  append_u64(out, header.size());
  return out + header + std::string(data);
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) std::abort();
}

std::filesystem::path fresh_folder(std::string_view name) {
  const char* build = std::getenv("WEFT_BUILD_DIR");
  const std::filesystem::path base =
      build ? std::filesystem::path(build) / "tests" / "tmp"
            : std::filesystem::temp_directory_path() / ("weft-tests-" + std::to_string(::getpid()));
  std::string own(name);
  if (const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info())
    own += std::string(".") + test->test_suite_name() + "." + test->name();
  std::replace(own.begin(), own.end(), '/', '_');
  const std::filesystem::path folder = base / own;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

}  // namespace weft::testing
