/// Writes small GGUF and safetensors files for tests, right ones and, by its escape hatches, wrong ones.
///
/// Everything is kept in memory; bytes() can be damaged before it is saved. Not for large models.
///
///   GgufWriter writer;
///   writer.add("general.architecture", "llama").add_tensor("x", WeightFormat::kF32, {2, 3}, bytes);
///   writer.save(folder / "tiny.gguf");
#ifndef WEFT_MODALITIES_WEIGHTS_TESTING_MODEL_FILE_WRITER_H
#define WEFT_MODALITIES_WEIGHTS_TESTING_MODEL_FILE_WRITER_H

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/weights/weight_file.h"

namespace weft::testing {

/// The number that GGUF files use for a format.
uint32_t ggml_type(WeightFormat format);

/// Appends little-endian scalars and GGUF strings.
void append_u32(std::string& out, uint32_t value);
void append_u64(std::string& out, uint64_t value);
void append_gguf_string(std::string& out, std::string_view text);

class GgufWriter {
 public:
  uint32_t version = 3;
  uint64_t alignment = 32;  ///< written as general.alignment unless 32

  GgufWriter& add(std::string_view key, std::string_view value);
  GgufWriter& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
  GgufWriter& add_u32(std::string_view key, uint32_t value);
  GgufWriter& add_u64(std::string_view key, uint64_t value);
  GgufWriter& add_f32(std::string_view key, float value);
  GgufWriter& add_bool(std::string_view key, bool value);
  GgufWriter& add_strings(std::string_view key, std::span<const std::string> values);
  GgufWriter& add_f32s(std::string_view key, std::span<const float> values);
  GgufWriter& add_i32s(std::string_view key, std::span<const int32_t> values);
  /// Any type with its payload as given.
  GgufWriter& add_raw(std::string_view key, MetadataType type, std::string_view payload);

  /// shape: outermost first. `data` must hold the shape's bytes; placed at the next aligned offset.
  GgufWriter& add_tensor(std::string_view name, WeightFormat format, std::vector<uint64_t> shape,
                         std::string_view data);
  /// An entry with any numbers; `data` is appended as it is.
  GgufWriter& add_raw_tensor(std::string_view name, std::vector<uint64_t> shape, uint32_t ggml_type,
                             uint64_t offset, std::string_view data = {});

  std::string bytes() const;
  void save(const std::filesystem::path& path) const;

 private:
  std::string keys_;
  std::string infos_;
  std::string data_;
  uint64_t key_count_ = 0;
  uint64_t tensor_count_ = 0;
};

/// A safetensors file with this JSON header and data; the header is padded with spaces to 8 bytes.
std::string safetensors_bytes(std::string header, std::string_view data);

void write_file(const std::filesystem::path& path, std::string_view bytes);

/// An empty folder of this name and the running test's, below the build folder under ctest and below the temporary folder
/// otherwise. Tests run side by side, also those of one program.
std::filesystem::path fresh_folder(std::string_view name);

}  // namespace weft::testing
#endif
