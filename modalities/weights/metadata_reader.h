/// Configurations from metadata, value by value.
///
///   MetadataReader reader(file.metadata());
///   config.width = reader.size("hidden_size");
///   config.epsilon = reader.positive_or("layer_norm_eps", 1e-12);
///   return reader.status();
#ifndef WEFT_MODALITIES_WEIGHTS_METADATA_READER_H
#define WEFT_MODALITIES_WEIGHTS_METADATA_READER_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "modalities/weights/metadata.h"

namespace weft {

/// Reads metadata values one after another and keeps the first error, so that a configuration reads as a list.
class MetadataReader {
 public:
  /// prefix: put before every key ("llama.").
  explicit MetadataReader(const Metadata& metadata, std::string prefix = {})
      : metadata_(metadata), prefix_(std::move(prefix)) {}

  bool has(std::string_view key) const { return metadata_.contains(prefix_ + std::string(key)); }
  /// A whole number of 1 to `most`.
  int64_t size(std::string_view key, int64_t most = INT32_MAX);
  int64_t size_or(std::string_view key, int64_t fallback) { return has(key) ? size(key) : fallback; }
  /// A finite number above 0.
  double positive(std::string_view key);
  double positive_or(std::string_view key, double fallback) { return has(key) ? positive(key) : fallback; }
  std::string text_or(std::string_view key, std::string_view fallback);
  /// The strings of an array; none if the key is absent.
  std::vector<std::string> texts_or(std::string_view key);
  bool flag_or(std::string_view key, bool fallback);
  /// Records kUnsupported for `key`.
  void unsupported(std::string_view key, std::string_view value, std::string_view known);

  const Status& status() const { return status_; }
  const Metadata& metadata() const { return metadata_; }

 private:
  void keep(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  const Metadata& metadata_;
  std::string prefix_;
  Status status_;
};

}  // namespace weft
#endif
