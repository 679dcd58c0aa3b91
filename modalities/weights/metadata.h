/// What a model file says about itself: typed values under dotted keys.
///
/// GGUF stores such pairs directly ("llama.block_count"). A Hugging Face config.json is flattened to the same
/// form:
/// {"rope_scaling": {"factor": 8.0}} becomes "rope_scaling.factor", an array of plain values stays an array,
/// an array of objects becomes "key.0.name", and null is the same as absent. Keys are unique and valid UTF-8;
/// strings are whatever bytes the file holds.
///
/// Getters convert between widths where no information is lost and name file and key in every error, so that
/// a caller can hand the Status on unchanged. Views (strings) live as long as the WeightFile that the
/// metadata came from. Thread safety: immutable; const members may be called from any thread.
///
///   Result<int64_t> layers = file.metadata().integer("llama.block_count");
///   if (!layers.ok()) return layers.status();
#ifndef WEFT_MODALITIES_WEIGHTS_METADATA_H
#define WEFT_MODALITIES_WEIGHTS_METADATA_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// The numbers are GGUF's (ggml, docs/gguf.md, gguf_metadata_value_type).
enum class MetadataType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};
/// "u32", "string", ...
const char* to_string(MetadataType type);

/// One value, still in its file's encoding (GGUF's, little-endian), already checked to lie within the file.
struct MetadataValue {
  MetadataType type = MetadataType::kU8;  ///< of the value, or of each element if is_array; never kArray
  bool is_array = false;
  uint64_t count = 1;                  ///< elements; 1 unless is_array
  std::span<const std::byte> payload;  ///< strings are a u64 length and that many bytes each
  uint64_t offset = 0;                 ///< of the payload in its file, for errors; 0 for config.json
};

class Metadata {
 public:
  using Entries = std::map<std::string, MetadataValue, std::less<>>;

  Metadata() = default;
  /// `source` names the file in errors.
  explicit Metadata(std::string source) : source_(std::move(source)) {}
  Metadata(Metadata&&) noexcept = default;
  Metadata& operator=(Metadata&&) noexcept = default;

  bool contains(std::string_view key) const { return entries_.find(key) != entries_.end(); }
  const Entries& entries() const { return entries_; }
  const std::string& source() const { return source_; }

  // Errors of all getters: kNotFound (no such key), kCorruptData (another type, or a value that does not
  // fit).
  Result<int64_t> integer(std::string_view key) const;  ///< any integer or bool, or a float that is whole
  Result<double> number(std::string_view key) const;    ///< any integer or float
  Result<bool> boolean(std::string_view key) const;
  Result<std::string_view> string(std::string_view key) const;
  Result<std::vector<int64_t>> integers(std::string_view key) const;
  Result<std::vector<double>> numbers(std::string_view key) const;
  Result<std::vector<std::string_view>> strings(std::string_view key) const;
  /// An array's length, or 1 for a single value.
  Result<uint64_t> count(std::string_view key) const;

  // The same, with `fallback` where the key is absent. A value of the wrong type is still an error.
  Result<int64_t> integer_or(std::string_view key, int64_t fallback) const;
  Result<double> number_or(std::string_view key, double fallback) const;
  Result<bool> boolean_or(std::string_view key, bool fallback) const;
  Result<std::string_view> string_or(std::string_view key, std::string_view fallback) const;

  /// Adds a value whose payload outlives this object. Errors: kCorruptData if the key exists.
  Status insert(std::string key, const MetadataValue& value);
  /// The same, keeping `encoded` (GGUF's encoding of the payload) alive itself.
  Status insert_owned(std::string key, MetadataType type, bool is_array, uint64_t count, std::string encoded);

 private:
  Result<const MetadataValue*> find(std::string_view key, std::string_view wanted) const;
  Status mismatch(std::string_view key, const MetadataValue& value, std::string_view wanted) const;

  std::string source_;
  Entries entries_;
  std::deque<std::string> owned_;  // a deque: its strings never move
};

}  // namespace weft
#endif
