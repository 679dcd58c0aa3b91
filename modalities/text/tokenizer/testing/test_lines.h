/// The 10,000 lines on which tokenizers are compared with their references: the same as scripts/make_golden/tokenizer_lines.py
/// makes, from the same phrases and seed.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_TESTING_TEST_LINES_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_TESTING_TEST_LINES_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::testing {

/// Steele, Lea & Flood 2014: a tiny generator that both languages can write down.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}
  uint64_t next();
  uint64_t below(uint64_t bound) { return next() % bound; }

 private:
  uint64_t state_;
};

/// Reads assets/golden/tokenizer/phrases.txt; empty if the working folder is not the source root.
std::vector<std::string> tokenizer_test_lines();

/// Lines that no reference takes: bytes that are not UTF-8, alone and among characters.
std::vector<std::string> invalid_test_lines();

}  // namespace weft::testing
#endif
