// How long a mask takes: the first of a state, and one that the cache holds. The vocabulary has the size and the mix of
// token lengths of a byte-level BPE of 49,152 tokens, drawn from letters with fixed seed.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "modalities/text/constraint/constraint.h"

namespace weft {
namespace {

std::shared_ptr<const TokenTrie> vocabulary() {
  std::mt19937 random(1);
  std::vector<std::string> tokens;
  for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(b));
  for (const char* token :
       {"{\"", "\":", "\",", "\"}", "},", "],", "[{", ": ", ", ", "true", "false", "null"})
    tokens.emplace_back(token);
  while (tokens.size() < 49'152) {
    std::string token = random() % 2 == 0 ? " " : "";
    for (size_t length = 1 + random() % 9; length > 0; --length)
      token += "etaoinshrdlucmfwypvbgkjqxz"[random() % (1 + random() % 26)];
    tokens.push_back(token);
  }
  tokens.emplace_back("<end>");
  const std::vector<std::string_view> views(tokens.begin(), tokens.end());
  return *TokenTrie::build(views, std::vector<int32_t>{static_cast<int32_t>(tokens.size()) - 1});
}

const char* const kSchema =
    R"({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 130},)"
    R"( "tags": {"type": "array", "items": {"type": "string"}}}, "required": ["name", "age", "tags"]})";

void feed(Matcher* matcher, std::string_view text) {
  for (const char c : text) {
    if (!matcher->accept(static_cast<unsigned char>(c)).ok()) std::abort();
  }
}

// The first mask within a string: the automaton is new each time.
void first_mask_in_string(benchmark::State& state) {
  const auto trie = vocabulary();
  for (auto _ : state) {
    state.PauseTiming();
    const Result<Grammar> grammar = compile_json_schema(kSchema);
    Matcher matcher(*grammar, trie);
    feed(&matcher, R"({"name": "A)");
    state.ResumeTiming();
    benchmark::DoNotOptimize(matcher.allowed());
  }
  state.counters["nodes"] = static_cast<double>(trie->nodes().size());
}
BENCHMARK(first_mask_in_string)->Unit(benchmark::kMicrosecond);

void first_mask_at_key(benchmark::State& state) {
  const auto trie = vocabulary();
  for (auto _ : state) {
    state.PauseTiming();
    const Result<Grammar> grammar = compile_json_schema(kSchema);
    Matcher matcher(*grammar, trie);
    state.ResumeTiming();
    benchmark::DoNotOptimize(matcher.allowed());
  }
}
BENCHMARK(first_mask_at_key)->Unit(benchmark::kMicrosecond);

// A mask and an accept for each byte of an answer, the automaton warm from the first answer on.
void mask_each_step(benchmark::State& state) {
  const auto trie = vocabulary();
  const Result<Grammar> grammar = compile_json_schema(kSchema);
  const std::string_view answer =
      R"({"name": "Ada Lovelace", "age": 36, "tags": ["mathematics", "engines"]})";
  const Matcher start(*grammar, trie);
  for (auto _ : state) {
    Matcher matcher = start;
    for (const char c : answer) {
      benchmark::DoNotOptimize(matcher.allowed());
      if (!matcher.accept(static_cast<unsigned char>(c)).ok()) std::abort();
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(answer.size()));
}
BENCHMARK(mask_each_step)->Unit(benchmark::kMicrosecond);

void compile_schema(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(compile_json_schema(kSchema));
}
BENCHMARK(compile_schema)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weft
