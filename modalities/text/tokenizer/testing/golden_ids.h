/// Ids of many lines against golden hashes.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_TESTING_GOLDEN_IDS_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_TESTING_GOLDEN_IDS_H

#include <rapidjson/document.h>

#include <functional>
#include <string>
#include <vector>

#include "modalities/text/tokenizer/tokenizer.h"

namespace weft::testing {

/// Hashes of the ids of tokenizer_test_lines(), one for each of `count` equal chunks: FNV-1a 64 over, for each line, the
/// number of ids and the ids, as 32-bit little-endian; in hexadecimal.
std::vector<std::string> hashes_of_lines(
    size_t count, const std::function<std::vector<TokenId>(const std::string&)>& encode);

/// The strings, or the numbers, of a JSON array.
std::vector<std::string> strings_of(const rapidjson::Value& array);
std::vector<TokenId> ids_of(const rapidjson::Value& array);

}  // namespace weft::testing
#endif
