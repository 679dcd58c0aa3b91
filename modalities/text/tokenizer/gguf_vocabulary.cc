#include "modalities/text/tokenizer/gguf_vocabulary.h"

#include <algorithm>
#include <array>

namespace weft {
namespace {

// Spellings of tokens that end an answer although few files say so.
constexpr std::string_view kEndSpellings[] = {"<|eot_id|>",
                                              "<|im_end|>",
                                              "<|end|>",
                                              "<|return|>",
                                              "<|call|>",
                                              "<end_of_turn>",
                                              "<|endoftext|>",
                                              "<|eom_id|>",
                                              "<|end_of_text|>",
                                              "<end_of_utterance>",
                                              "<EOT>",
                                              "_<EOT>",
                                              "<|END_OF_TURN_TOKEN|>",
                                              "<｜end▁of▁sentence｜>",
                                              "</s>",
                                              "<turn|>",
                                              "<eos>"};

class GgufVocabularyReader {
 public:
  explicit GgufVocabularyReader(const Metadata& metadata) : metadata_(metadata) {}

  Result<std::shared_ptr<const Tokenizer::Vocabulary>> read() {
    for (const auto step : {&GgufVocabularyReader::read_kind, &GgufVocabularyReader::read_tokens,
                            &GgufVocabularyReader::read_merges, &GgufVocabularyReader::read_special,
                            &GgufVocabularyReader::read_templates})
      if (Status status = (this->*step)(); !status.ok()) return status;
    if (Status status = v_->finish(metadata_.source()); !status.ok()) return status;
    return std::shared_ptr<const Tokenizer::Vocabulary>(v_);
  }

 private:
  Status corrupt(std::string message) const {
    return Status(StatusCode::kCorruptData, std::move(message)).at(metadata_.source());
  }

  Status read_kind() {
    const Result<std::string_view> model = metadata_.string("tokenizer.ggml.model");
    if (!model.ok())
      return model.status().hint("the file holds no tokenizer: it may be an adapter or a part of a model");
    if (*model == "gpt2") {
      v_->algorithm = Algorithm::kByteLevelBpe;
      return read_pre_tokenizer();
    }
    if (*model == "llama") {
      v_->algorithm = Algorithm::kSentencePieceBpe;
    } else if (*model == "t5") {
      v_->algorithm = Algorithm::kUnigram;
      const Result<uint64_t> map = metadata_.contains("tokenizer.ggml.precompiled_charsmap")
                                       ? metadata_.count("tokenizer.ggml.precompiled_charsmap")
                                       : Result<uint64_t>(uint64_t{0});
      if (!map.ok()) return map.status();
      if (*map > 0)
        return Status(StatusCode::kUnsupported, "the tokenizer rewrites text (precompiled_charsmap)")
            .at(metadata_.source())
            .expected("a tokenizer without normalisation rules");
    } else {
      return Status(StatusCode::kUnsupported, "unknown kind of tokenizer")
          .at(metadata_.source() + ", tokenizer.ggml.model")
          .expected("gpt2, llama or t5")
          .got(std::string(*model));
    }
    v_->spaces_are_blocks = true;
    const Result<bool> prefix = metadata_.boolean_or("tokenizer.ggml.add_space_prefix", true);
    if (!prefix.ok()) return prefix.status();
    if (*prefix) v_->space_prefix.where = SpacePrefix::Where::kFirstPart;
    return {};
  }

  Status read_pre_tokenizer() {
    const Result<std::string_view> architecture = metadata_.string_or("general.architecture", "");
    if (!architecture.ok()) return architecture.status();
    // Files from before this key existed: GPT-2's own, except where the architecture says better.
    const std::string_view assumed = *architecture == "falcon" ? "falcon" : "default";
    const Result<std::string_view> name = metadata_.string_or("tokenizer.ggml.pre", assumed);
    if (!name.ok()) return name.status();
    const std::optional<PreTokenizer> rules = pre_tokenizer_of_gguf(*name);
    if (!rules)
      return Status(StatusCode::kUnsupported, "unknown pre-tokenizer")
          .at(metadata_.source() + ", tokenizer.ggml.pre")
          .expected("one of " + known_gguf_pre_tokenizers())
          .got(std::string(*name));
    v_->pre_tokenizer = *rules;
    const SplitRule last = rules->back();
    const bool is_llama3 = last == SplitRule::kLlama3;
    v_->whole_words_first = is_llama3 || last == SplitRule::kTekken;
    v_->special.add_bos = is_llama3 || last == SplitRule::kTekken;
    v_->normalizes_nfc = last == SplitRule::kQwen2 || last == SplitRule::kQwen35;
    const Result<bool> prefix = metadata_.boolean_or("tokenizer.ggml.add_space_prefix", false);
    if (!prefix.ok()) return prefix.status();
    if (*prefix) v_->space_prefix.where = SpacePrefix::Where::kFirstPart;
    return {};
  }

  Status read_tokens() {
    const Result<std::vector<std::string_view>> tokens = metadata_.strings("tokenizer.ggml.tokens");
    if (!tokens.ok()) return tokens.status();
    if (tokens->empty() || tokens->size() > kMaxVocabulary)
      return corrupt("the vocabulary's size is out of range")
          .expected("1 to " + std::to_string(kMaxVocabulary))
          .got(std::to_string(tokens->size()));
    size_t bytes = 0;
    for (std::string_view token : *tokens) bytes += token.size();
    v_->pieces.reserve(tokens->size(), bytes);
    for (std::string_view token : *tokens) v_->pieces.push_back(token);

    v_->types.assign(tokens->size(), TokenType::kNormal);
    if (metadata_.contains("tokenizer.ggml.token_type")) {
      const Result<std::vector<int64_t>> types = metadata_.integers("tokenizer.ggml.token_type");
      if (!types.ok()) return types.status();
      if (types->size() != tokens->size())
        return corrupt("the key 'tokenizer.ggml.token_type' has the wrong length")
            .expected(std::to_string(tokens->size()))
            .got(std::to_string(types->size()));
      for (size_t i = 0; i < types->size(); ++i) {
        const int64_t type = (*types)[i];
        if (type < 0 || type > 6)
          return corrupt("token " + std::to_string(i) + " has an unknown type")
              .expected("0 to 6")
              .got(std::to_string(type));
        v_->types[i] = type == 0 ? TokenType::kNormal : static_cast<TokenType>(type);
        v_->byte_fallback = v_->byte_fallback || v_->types[i] == TokenType::kByte;
      }
    }
    if (v_->algorithm == Algorithm::kByteLevelBpe) return {};
    const Result<std::vector<double>> scores = metadata_.numbers("tokenizer.ggml.scores");
    if (!scores.ok()) return scores.status();
    v_->scores.assign(scores->begin(), scores->end());
    return {};
  }

  Status read_merges() {
    if (v_->algorithm != Algorithm::kByteLevelBpe) return {};
    const Result<std::vector<std::string_view>> merges = metadata_.strings("tokenizer.ggml.merges");
    if (!merges.ok()) return merges.status();
    if (merges->size() > kMaxVocabulary)
      return corrupt("too many merges")
          .expected("at most " + std::to_string(kMaxVocabulary))
          .got(std::to_string(merges->size()));
    v_->index_pieces();
    v_->merges.reserve(merges->size());
    for (size_t i = 0; i < merges->size(); ++i) {
      const std::string_view merge = (*merges)[i];
      const size_t space = merge.find(' ', 1);
      if (space == std::string_view::npos || space + 1 == merge.size())
        return corrupt("merge " + std::to_string(i) + " is not a pair")
            .expected("two tokens with a space between them")
            .got("'" + std::string(merge.substr(0, 100)) + "'");
      const Status status =
          v_->add_merge(merge.substr(0, space), merge.substr(space + 1), i, metadata_.source());
      if (!status.ok()) return status;
    }
    return {};
  }

  Status read_id(const char* key, std::optional<TokenId>& id) {
    const std::string name = std::string("tokenizer.ggml.") + key;
    if (!metadata_.contains(name)) return {};
    const Result<int64_t> value = metadata_.integer(name);
    if (!value.ok()) return value.status();
    if (*value == 0xFFFFFFFF || *value == -1) return {};  // how some files write "none"
    if (*value < 0 || *value >= static_cast<int64_t>(v_->pieces.size()))
      return corrupt("the key '" + name + "' is outside the vocabulary")
          .expected("an id below " + std::to_string(v_->pieces.size()))
          .got(std::to_string(*value));
    id = static_cast<TokenId>(*value);
    return {};
  }

  Status read_flag(const char* key, bool& flag) {
    const Result<bool> value = metadata_.boolean_or(std::string("tokenizer.ggml.") + key, flag);
    if (!value.ok()) return value.status();
    flag = *value;
    return {};
  }

  Status read_special() {
    SpecialTokens& special = v_->special;
    if (v_->algorithm == Algorithm::kSentencePieceBpe) {
      special.add_bos = true;
      if (v_->pieces.size() > 2) {  // Llama's own, for files that do not say
        special.unknown = 0;
        special.bos = 1;
        special.eos = 2;
      }
    }
    if (v_->algorithm == Algorithm::kUnigram) special.add_eos = true;
    std::optional<TokenId> eom;
    const std::pair<const char*, std::optional<TokenId>*> ids[] = {{"bos_token_id", &special.bos},
                                                                   {"eos_token_id", &special.eos},
                                                                   {"eot_token_id", &special.eot},
                                                                   {"eom_token_id", &eom},
                                                                   {"unknown_token_id", &special.unknown},
                                                                   {"seperator_token_id", &special.separator},
                                                                   {"padding_token_id", &special.padding},
                                                                   {"mask_token_id", &special.mask},
                                                                   {"cls_token_id", &special.cls},
                                                                   {"fim_pre_token_id", &special.fim_prefix},
                                                                   {"fim_suf_token_id", &special.fim_suffix},
                                                                   {"fim_mid_token_id", &special.fim_middle}};
    for (const auto& [key, id] : ids)
      if (Status status = read_id(key, *id); !status.ok()) return status;
    const std::pair<const char*, bool*> flags[] = {{"add_bos_token", &special.add_bos},
                                                   {"add_eos_token", &special.add_eos},
                                                   {"add_sep_token", &special.add_separator}};
    for (const auto& [key, flag] : flags)
      if (Status status = read_flag(key, *flag); !status.ok()) return status;
    if (v_->algorithm != Algorithm::kByteLevelBpe) v_->unknown_in_text = special.unknown;
    if (eom) special.end_of_generation.push_back(*eom);
    for (size_t i = 0; i < v_->pieces.size(); ++i) {
      if (v_->types[i] != TokenType::kControl) continue;
      if (std::find(std::begin(kEndSpellings), std::end(kEndSpellings), v_->pieces[i]) !=
          std::end(kEndSpellings))
        special.end_of_generation.push_back(static_cast<TokenId>(i));
    }
    return {};
  }

  Status read_templates() {
    constexpr std::string_view kKey = "tokenizer.chat_template";
    for (const auto& [key, value] : metadata_.entries()) {
      if (!key.starts_with(kKey) || key.starts_with("tokenizer.chat_templates")) continue;
      const Result<std::string_view> text = metadata_.string(key);
      if (!text.ok()) return text.status();
      v_->chat_templates[key.size() == kKey.size() ? "" : key.substr(kKey.size() + 1)] = std::string(*text);
    }
    return {};
  }

  const Metadata& metadata_;
  std::shared_ptr<Tokenizer::Vocabulary> v_ = std::make_shared<Tokenizer::Vocabulary>();
};

}  // namespace

Result<std::shared_ptr<const Tokenizer::Vocabulary>> read_gguf_vocabulary(const Metadata& metadata) {
  return GgufVocabularyReader(metadata).read();
}

}  // namespace weft
