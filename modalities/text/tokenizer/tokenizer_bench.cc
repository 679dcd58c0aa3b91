// Encoding and loading speed of the models at hand: WEFT_TOKENIZER_MODELS is a list of GGUF files, separated by ':'.
// The text is the 10,000 lines of the golden test; run in the source root. Bytes a second of CPU time, one thread.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "modalities/text/tokenizer/testing/test_lines.h"
#include "modalities/text/tokenizer/tokenizer.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

Result<Tokenizer> open_tokenizer(const std::string& path) {
  const Result<WeightFile> file = WeightFile::open(path);
  if (!file.ok()) return file.status();
  return Tokenizer::from_weights(*file);
}

void encode(benchmark::State& state, const std::string& path) {
  const Result<Tokenizer> tokenizer = open_tokenizer(path);
  const std::vector<std::string> lines = testing::tokenizer_test_lines();
  if (!tokenizer.ok() || lines.empty()) {
    state.SkipWithError(tokenizer.ok() ? "run in the source root" : to_string(tokenizer.error()).c_str());
    return;
  }
  int64_t bytes = 0;
  for (auto _ : state)
    for (const std::string& line : lines) {
      benchmark::DoNotOptimize(tokenizer->encode(line));
      bytes += static_cast<int64_t>(line.size());
    }
  state.SetBytesProcessed(bytes);
}

void load(benchmark::State& state, const std::string& path) {
  for (auto _ : state) {
    const Result<Tokenizer> tokenizer = open_tokenizer(path);
    if (!tokenizer.ok()) {
      state.SkipWithError(to_string(tokenizer.error()).c_str());
      return;
    }
  }
}

void register_models() {
  const char* listed = std::getenv("WEFT_TOKENIZER_MODELS");
  std::string paths = listed ? listed : "assets/golden/tokenizer/tiny_sentencepiece.gguf";
  for (size_t begin = 0; begin < paths.size();) {
    const size_t end = std::min(paths.find(':', begin), paths.size());
    const std::string path = paths.substr(begin, end - begin);
    const std::string name = path.substr(path.rfind('/') + 1);
    benchmark::RegisterBenchmark(("encode/" + name).c_str(), encode, path)->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("load/" + name).c_str(), load, path)->Unit(benchmark::kMillisecond);
    begin = end + 1;
  }
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  weft::register_models();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
