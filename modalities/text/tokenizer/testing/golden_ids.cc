#include "modalities/text/tokenizer/testing/golden_ids.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "modalities/text/tokenizer/testing/test_lines.h"

namespace weft::testing {
namespace {

uint64_t fnv(uint64_t hash, uint32_t value) {
  for (int i = 0; i < 4; ++i) hash = (hash ^ (value >> (8 * i) & 0xFF)) * 0x100000001B3u;
  return hash;
}

}  // namespace

std::vector<std::string> hashes_of_lines(
    size_t count, const std::function<std::vector<TokenId>(const std::string&)>& encode) {
  const std::vector<std::string> lines = tokenizer_test_lines();
  std::vector<std::string> hashes;
  const size_t chunk = lines.size() / count;
  for (size_t begin = 0; begin + chunk <= lines.size() && chunk > 0; begin += chunk) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = begin; i < begin + chunk; ++i) {
      const std::vector<TokenId> ids = encode(lines[i]);
      hash = fnv(hash, static_cast<uint32_t>(ids.size()));
      for (TokenId id : ids) hash = fnv(hash, static_cast<uint32_t>(id));
    }
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
    hashes.emplace_back(text);
  }
  return hashes;
}

std::vector<std::string> strings_of(const rapidjson::Value& array) {
  std::vector<std::string> strings;
  for (const rapidjson::Value& value : array.GetArray())
    strings.emplace_back(value.GetString(), value.GetStringLength());
  return strings;
}

std::vector<TokenId> ids_of(const rapidjson::Value& array) {
  std::vector<TokenId> ids;
  for (const rapidjson::Value& value : array.GetArray()) ids.push_back(value.GetInt());
  return ids;
}

}  // namespace weft::testing
