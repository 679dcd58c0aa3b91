#include "modalities/weights/metadata_reader.h"

#include <cmath>

namespace weft {

int64_t MetadataReader::size(std::string_view key, int64_t most) {
  const std::string full = prefix_ + std::string(key);
  Result<int64_t> value = metadata_.integer(full);
  if (!value.ok()) {
    keep(value.status());
    return 1;
  }
  if (*value < 1 || *value > most) {
    keep(Status(StatusCode::kCorruptData, "a size is out of range")
             .at(metadata_.source() + ", key '" + full + "'")
             .expected("1 to " + std::to_string(most))
             .got(std::to_string(*value)));
    return 1;
  }
  return *value;
}

double MetadataReader::positive(std::string_view key) {
  const std::string full = prefix_ + std::string(key);
  Result<double> value = metadata_.number(full);
  if (!value.ok()) {
    keep(value.status());
    return 1;
  }
  if (!(*value > 0) || !std::isfinite(*value)) {
    keep(Status(StatusCode::kCorruptData, "a value is out of range")
             .at(metadata_.source() + ", key '" + full + "'")
             .expected("a finite number above 0")
             .got(std::to_string(*value)));
    return 1;
  }
  return *value;
}

std::string MetadataReader::text_or(std::string_view key, std::string_view fallback) {
  Result<std::string_view> value = metadata_.string_or(prefix_ + std::string(key), fallback);
  if (value.ok()) return std::string(*value);
  keep(value.status());
  return std::string(fallback);
}

std::vector<std::string> MetadataReader::texts_or(std::string_view key) {
  if (!has(key)) return {};
  Result<std::vector<std::string_view>> values = metadata_.strings(prefix_ + std::string(key));
  if (values.ok()) return {values->begin(), values->end()};
  keep(values.status());
  return {};
}

bool MetadataReader::flag_or(std::string_view key, bool fallback) {
  Result<bool> value = metadata_.boolean_or(prefix_ + std::string(key), fallback);
  if (value.ok()) return *value;
  keep(value.status());
  return fallback;
}

void MetadataReader::unsupported(std::string_view key, std::string_view value, std::string_view known) {
  keep(Status(StatusCode::kUnsupported, "this model needs what its network here does not have")
           .at(metadata_.source() + ", key '" + prefix_ + std::string(key) + "'")
           .expected(std::string(known))
           .got(std::string(value)));
}

}  // namespace weft
