// Hostile grammars and texts. The first byte chooses GBNF, JSON schema or regular expression; a zero byte ends the
// source, and what follows is matched. Whatever the source is, the answer is a grammar or an error; and a text that is
// a sentence has no beginning that is rejected.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "modalities/text/constraint/constraint.h"

namespace {

std::shared_ptr<const weft::TokenTrie> vocabulary() {
  static const std::string_view kTokens[] = {"a",    "b", "\"",  "{",    "}",    "[",  "]",
                                             ":",    ",", "{\"", "\":",  "1",    "0.", "true",
                                             "null", " ", "\n",  "\xC3", "\xA9", "ab", ""};
  static const int32_t kEnds[] = {20};
  static const auto* const kTrie =
      new std::shared_ptr<const weft::TokenTrie>(*weft::TokenTrie::build(kTokens, kEnds));
  return *kTrie;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t zero = input.find('\0');
  const std::string_view source = input.substr(0, zero);
  const std::string_view text = zero == input.npos ? std::string_view() : input.substr(zero + 1, 64);
  const weft::GrammarLimits limits{.max_source_bytes = 1u << 16, .max_states = 20'000, .max_depth = 64};
  const weft::Result<weft::Grammar> grammar = data[0] % 3 == 0   ? weft::compile_gbnf(source, limits)
                                              : data[0] % 3 == 1 ? weft::compile_json_schema(source, limits)
                                                                 : weft::compile_regex(source, limits);
  if (!grammar.ok()) return 0;
  const weft::Result<weft::GrammarMatch> whole = grammar->match(text);
  if (whole.ok() && *whole == weft::GrammarMatch::kComplete) {
    const weft::Result<weft::GrammarMatch> beginning = grammar->match(text.substr(0, text.size() / 2));
    if (!beginning.ok() || *beginning == weft::GrammarMatch::kRejected) abort();
  }
  // The allowed tokens, and only they, are accepted.
  weft::Matcher matcher(*grammar, vocabulary());
  for (size_t step = 0; step < 8 && step < text.size(); ++step) {
    const weft::Result<std::shared_ptr<const weft::TokenMask>> mask = matcher.allowed();
    if (!mask.ok()) return 0;
    const auto token = static_cast<int32_t>(static_cast<uint8_t>(text[step]) % 21);
    if (matcher.accept(token).ok() != (*mask)->allows(token)) abort();
  }
  return 0;
}
