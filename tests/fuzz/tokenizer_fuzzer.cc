// A hostile vocabulary and a hostile text. The input: one byte for the kind of file (G, S or J), one for the length of the
// text, the text, and the rest is the file.
#include <cstdlib>

#include "modalities/text/tokenizer/gguf_vocabulary.h"
#include "modalities/text/tokenizer/sentencepiece_model.h"
#include "modalities/text/tokenizer/tokenizer_json.h"
#include "modalities/weights/gguf.h"
#include "modalities/weights/json_file.h"

namespace {

using namespace weft;
using SharedVocabulary = std::shared_ptr<const Tokenizer::Vocabulary>;

SharedVocabulary read(char kind, std::string_view file) {
  if (kind == 'G') {
    const Result<GgufHeader> header = read_gguf(std::as_bytes(std::span(file)), "fuzz.gguf");
    if (!header.ok()) return nullptr;
    const Result<SharedVocabulary> vocabulary = read_gguf_vocabulary(header->metadata);
    return vocabulary.ok() ? *vocabulary : nullptr;
  }
  const auto vocabulary = std::make_shared<Tokenizer::Vocabulary>();
  if (kind == 'S') {
    if (!read_sentencepiece_model(file, "fuzz.model", *vocabulary).ok()) return nullptr;
  } else {
    const Result<rapidjson::Document> document = parse_json(file, "fuzz.json");
    if (!document.ok() || !read_tokenizer_json(*document, "fuzz.json", *vocabulary).ok()) return nullptr;
  }
  return vocabulary->finish("fuzz").ok() ? vocabulary : nullptr;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view text = input.substr(2, data[1]);
  const SharedVocabulary vocabulary = read(input[0], input.substr(2 + text.size()));
  if (!vocabulary) return 0;
  const Tokenizer tokenizer(vocabulary);
  for (const ControlText control : {ControlText::kIsText, ControlText::kIsToken}) {
    const Result<std::vector<TokenId>> ids = tokenizer.encode(text, {AddSpecial::kAsModelDeclares, control});
    if (!ids.ok()) std::abort();
    StreamDecoder stream(tokenizer);
    std::string streamed;
    for (TokenId id : *ids) {
      if (id < 0 || id >= tokenizer.vocabulary_size()) std::abort();
      streamed += stream.push(id);
    }
    if (streamed + stream.finish() != tokenizer.decode(*ids)) std::abort();
  }
  return 0;
}
