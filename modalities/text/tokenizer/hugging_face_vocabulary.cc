#include "modalities/text/tokenizer/hugging_face_vocabulary.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <tuple>

#include "modalities/text/tokenizer/sentencepiece_model.h"
#include "modalities/text/tokenizer/tokenizer_json.h"
#include "modalities/weights/json_file.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

using rapidjson::Value;

std::string_view text_of(const Value& value) { return {value.GetString(), value.GetStringLength()}; }

const Value* member(const Value& object, const char* name) {
  if (!object.IsObject()) return nullptr;
  const auto found = object.FindMember(name);
  return found == object.MemberEnd() || found->value.IsNull() ? nullptr : &found->value;
}

class FolderReader {
 public:
  explicit FolderReader(const fs::path& folder) : folder_(folder) {}

  Result<std::shared_ptr<const Tokenizer::Vocabulary>> read() {
    if (Status status = read_config(); !status.ok()) return status;
    if (Status status = read_vocabulary(); !status.ok()) return status;
    v_->index_pieces();
    for (const auto step : {&FolderReader::apply_config, &FolderReader::apply_special_tokens_map,
                            &FolderReader::apply_generation_config, &FolderReader::read_templates})
      if (Status status = (this->*step)(); !status.ok()) return status;
    if (Status status = v_->finish(source_); !status.ok()) return status;
    return std::shared_ptr<const Tokenizer::Vocabulary>(v_);
  }

 private:
  bool has(const char* name) const {
    std::error_code error;
    return fs::is_regular_file(folder_ / name, error);
  }
  Status corrupt(const char* file, std::string message) const {
    return Status(StatusCode::kCorruptData, std::move(message)).at((folder_ / file).string());
  }

  Status read_config() {
    if (!has("tokenizer_config.json")) return {};
    Result<rapidjson::Document> config =
        read_json_file(folder_ / "tokenizer_config.json", kMaxTokenizerBytes);
    if (!config.ok()) return config.status();
    config_ = std::move(*config);
    if (!config_.IsObject()) return corrupt("tokenizer_config.json", "not a JSON object");
    const Value* added = member(config_, "added_tokens_decoder");
    if (!added || !added->IsObject()) return {};
    for (const auto& token : added->GetObject()) {
      const std::string_view digits = text_of(token.name);
      TokenId id = -1;
      const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), id);
      if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size())
        return corrupt("tokenizer_config.json", "'added_tokens_decoder' has a key that is no id");
      Status status = read_added_token(token.value, id, (folder_ / "tokenizer_config.json").string(), added_);
      if (!status.ok()) return status;
    }
    return {};
  }

  Status read_vocabulary() {
    const bool has_two_files = has("vocab.json") && has("merges.txt");
    if (has_two_files && is_clip()) return read_vocab_and_merges();
    if (has("tokenizer.json")) {
      source_ = (folder_ / "tokenizer.json").string();
      const Result<rapidjson::Document> document = read_json_file(source_, kMaxTokenizerBytes);
      if (!document.ok()) return document.status();
      return read_tokenizer_json(*document, source_, *v_);
    }
    if (has_two_files) return read_vocab_and_merges();
    for (const char* name : {"tokenizer.model", "spiece.model"})
      if (has(name)) return read_sentencepiece(folder_ / name);
    if (has("vocab.txt")) return read_vocab_txt();
    return Status(StatusCode::kNotFound, "the folder holds no tokenizer")
        .at(folder_.string())
        .expected("tokenizer.json, vocab.json with merges.txt, tokenizer.model, spiece.model or vocab.txt");
  }

  Status read_sentencepiece(const std::filesystem::path& path) {
    source_ = path.string();
    const Result<std::string> bytes = read_small_file(source_, kMaxTokenizerBytes);
    if (!bytes.ok()) return bytes.status();
    if (Status status = read_sentencepiece_model(*bytes, source_, *v_); !status.ok()) return status;
    // Tokens that were added after training follow the model's own.
    for (const auto& [id, token] : added_) {
      if (static_cast<size_t>(id) < v_->pieces.size()) continue;
      if (static_cast<size_t>(id) != v_->pieces.size())
        return corrupt("tokenizer_config.json", "the added tokens leave a gap")
            .expected(std::to_string(v_->pieces.size()))
            .got(std::to_string(id));
      v_->pieces.push_back(token.content);
      v_->types.push_back(token.special ? TokenType::kControl : TokenType::kUserDefined);
      v_->scores.push_back(0);
    }
    return {};
  }

  bool config_flag(const char* name, bool fallback) const {
    const Value* value = member(config_, name);
    return value && value->IsBool() ? value->GetBool() : fallback;
  }

  // BERT's vocabulary, one piece a line; how texts are prepared for it is in tokenizer_config.json, or BERT's way.
  Status read_vocab_txt() {
    constexpr std::string_view kClasses[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                                             "MobileBertTokenizer"};
    const Value* name = member(config_, "tokenizer_class");
    std::string_view kind = name && name->IsString() ? text_of(*name) : kClasses[0];
    if (kind.ends_with("Fast")) kind.remove_suffix(4);
    if (std::find(std::begin(kClasses), std::end(kClasses), kind) == std::end(kClasses))
      return Status(StatusCode::kUnsupported, "unknown kind of tokenizer for a vocab.txt")
          .at((folder_ / "tokenizer_config.json").string())
          .expected("BertTokenizer, DistilBertTokenizer, ElectraTokenizer or MobileBertTokenizer")
          .got("'" + std::string(kind.substr(0, 100)) + "'");
    source_ = (folder_ / "vocab.txt").string();
    const Result<std::string> text = read_small_file(source_, kMaxTokenizerBytes);
    if (!text.ok()) return text.status();
    std::vector<std::pair<TokenId, ScoredPiece>> entries;
    for (std::string_view rest = *text; !rest.empty() && entries.size() <= kMaxVocabulary;) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      if (line.ends_with('\r')) line.remove_suffix(1);
      entries.push_back({static_cast<TokenId>(entries.size()), {line, 0}});
    }
    v_->algorithm = Algorithm::kWordPiece;
    v_->pre_tokenizer = {SplitRule::kBert};
    BertNormalizer& bert = v_->bert_normalizer.emplace();
    bert.parts_chinese = config_flag("tokenize_chinese_chars", true);
    bert.lower_cases = config_flag("do_lower_case", true);
    bert.strips_accents = config_flag("strip_accents", bert.lower_cases);
    return add_bert_tokens(entries);
  }

  // Plain lines of the vocabulary that become control tokens; two of them stand around every text.
  Status add_bert_tokens(const std::vector<std::pair<TokenId, ScoredPiece>>& entries) {
    SpecialTokens& special = v_->special;
    const std::tuple<const char*, const char*, std::optional<TokenId>*> roles[] = {
        {"cls_token", "[CLS]", &special.bos},
        {"sep_token", "[SEP]", &special.eos},
        {"unk_token", "[UNK]", &special.unknown},
        {"pad_token", "[PAD]", &special.padding},
        {"mask_token", "[MASK]", &special.mask}};
    for (const auto& [role, usual, id] : roles) {
      const Value* value = member(config_, role);
      if (value && value->IsObject()) value = member(*value, "content");
      const std::string_view spelling =
          value && value->IsString() ? text_of(*value) : std::string_view(usual);
      for (const auto& [line, entry] : entries)
        if (entry.piece == spelling) *id = line;
      if (*id) added_.try_emplace(**id, AddedToken{std::string(spelling), true});
    }
    for (const auto& [what, id] :
         {std::pair{"[CLS]", special.bos}, {"[SEP]", special.eos}, {"[UNK]", special.unknown}})
      if (!id)
        return corrupt("vocab.txt",
                       std::string("there is no token '") + what + "', nor another in its place");
    special.cls = special.bos;
    special.separator = special.eos;
    special.add_bos = special.add_eos = true;
    v_->unknown_in_text = special.unknown;
    return set_pieces(entries, added_, source_, *v_);
  }

  bool is_clip() const {
    const Value* name = member(config_, "tokenizer_class");
    return name && name->IsString() && text_of(*name).starts_with("CLIPTokenizer");
  }

  // The special tokens of a CLIP folder are plain entries of its vocabulary: they become control tokens, and stand around
  // every text.
  void add_clip_tokens(const std::vector<std::pair<TokenId, ScoredPiece>>& entries) {
    for (const char* role : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
      const Value* value = member(config_, role);
      if (value && value->IsObject()) value = member(*value, "content");
      if (!value || !value->IsString()) continue;
      for (const auto& [id, entry] : entries)
        if (entry.piece == text_of(*value))
          added_.try_emplace(id, AddedToken{std::string(entry.piece), true});
    }
    v_->lower_cases = v_->marks_word_ends = true;
    v_->special.add_bos = v_->special.add_eos = true;
    v_->fuses_unknown = false;
  }

  // The files of GPT-2, CLIP and early Qwen 2 uploads.
  Status read_vocab_and_merges() {
    source_ = (folder_ / "vocab.json").string();
    const Result<rapidjson::Document> vocab = read_json_file(source_, kMaxTokenizerBytes);
    if (!vocab.ok()) return vocab.status();
    if (!vocab->IsObject()) return corrupt("vocab.json", "not a JSON object");
    std::vector<std::pair<TokenId, ScoredPiece>> entries;
    for (const auto& entry : vocab->GetObject()) {
      if (!entry.value.IsInt()) return corrupt("vocab.json", "an id is not an integer");
      entries.push_back({entry.value.GetInt(), {text_of(entry.name), 0}});
    }
    if (Status status = read_added_tokens_json(); !status.ok()) return status;
    if (is_clip()) add_clip_tokens(entries);
    if (Status status = set_pieces(entries, added_, source_, *v_); !status.ok()) return status;
    v_->index_pieces();
    const Value* name = member(config_, "tokenizer_class");
    const bool is_qwen = name && name->IsString() && text_of(*name).starts_with("Qwen2");
    v_->pre_tokenizer = {is_clip() ? SplitRule::kClip : is_qwen ? SplitRule::kQwen2 : SplitRule::kGpt2};
    v_->normalizes_nfc = is_qwen || is_clip();
    return read_merges_txt();
  }

  Status read_added_tokens_json() {
    if (!has("added_tokens.json")) return {};
    const Result<rapidjson::Document> list = read_json_file(folder_ / "added_tokens.json", kMaxConfigBytes);
    if (!list.ok()) return list.status();
    if (!list->IsObject()) return corrupt("added_tokens.json", "not a JSON object");
    for (const auto& token : list->GetObject()) {
      if (!token.value.IsInt() || token.value.GetInt() < 0)
        return corrupt("added_tokens.json", "an id is not an integer");
      added_.try_emplace(token.value.GetInt(), AddedToken{std::string(text_of(token.name)), true});
    }
    return {};
  }

  Status read_merges_txt() {
    const std::string path = (folder_ / "merges.txt").string();
    const Result<std::string> text = read_small_file(path, kMaxTokenizerBytes);
    if (!text.ok()) return text.status();
    const size_t lines = static_cast<size_t>(std::count(text->begin(), text->end(), '\n')) + 1;
    v_->merges.reserve(lines);
    size_t number = 0, line_number = 0;
    for (size_t begin = 0; begin < text->size();) {
      size_t end = text->find('\n', begin);
      if (end == std::string::npos) end = text->size();
      std::string_view line = std::string_view(*text).substr(begin, end - begin);
      begin = end + 1;
      ++line_number;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty() || line.starts_with("#version")) continue;
      const size_t space = line.find(' ', 1);
      if (space == std::string_view::npos || space + 1 == line.size())
        return corrupt("merges.txt", "line " + std::to_string(line_number) + " is not a pair");
      if (Status status = v_->add_merge(line.substr(0, space), line.substr(space + 1), number++, path);
          !status.ok())
        return status;
    }
    return {};
  }

  // A token given by its spelling: "x" or {"content": "x"}.
  std::optional<TokenId> token_named(const Value& object, const char* name) const {
    const Value* value = member(object, name);
    if (value && value->IsObject()) value = member(*value, "content");
    if (!value || !value->IsString()) return std::nullopt;
    const int32_t id = v_->index.find(text_of(*value));
    return id < 0 ? std::nullopt : std::optional<TokenId>(id);
  }

  void apply_named(const Value& object) {
    SpecialTokens& special = v_->special;
    const std::pair<const char*, std::optional<TokenId>*> names[] = {
        {"bos_token", &special.bos},     {"eos_token", &special.eos},       {"unk_token", &special.unknown},
        {"pad_token", &special.padding}, {"sep_token", &special.separator}, {"mask_token", &special.mask},
        {"cls_token", &special.cls}};
    for (const auto& [name, id] : names)
      if (const std::optional<TokenId> found = token_named(object, name)) *id = found;
  }

  Status apply_config() {
    if (!config_.IsObject()) return {};
    apply_named(config_);
    SpecialTokens& special = v_->special;
    if (v_->marks_word_ends) v_->unknown_in_text = special.unknown;
    const std::pair<const char*, bool*> flags[] = {{"add_bos_token", &special.add_bos},
                                                   {"add_eos_token", &special.add_eos}};
    for (const auto& [name, flag] : flags)
      if (const Value* value = member(config_, name); value && value->IsBool()) *flag = value->GetBool();
    return {};
  }

  Status apply_special_tokens_map() {
    if (!has("special_tokens_map.json") || config_.IsObject()) return {};
    const Result<rapidjson::Document> map =
        read_json_file(folder_ / "special_tokens_map.json", kMaxConfigBytes);
    if (!map.ok()) return map.status();
    apply_named(*map);
    return {};
  }

  Status apply_generation_config() {
    if (!has("generation_config.json")) return {};
    const Result<rapidjson::Document> config =
        read_json_file(folder_ / "generation_config.json", kMaxConfigBytes);
    if (!config.ok()) return config.status();
    const Value* ends = member(*config, "eos_token_id");
    if (!ends) return {};
    const auto add = [&](const Value& id) {
      if (!id.IsInt() || id.GetInt() < 0 || static_cast<size_t>(id.GetInt()) >= v_->pieces.size())
        return corrupt("generation_config.json", "'eos_token_id' is outside the vocabulary");
      v_->special.end_of_generation.push_back(id.GetInt());
      return Status();
    };
    if (!ends->IsArray()) return add(*ends);
    for (const Value& id : ends->GetArray())
      if (Status status = add(id); !status.ok()) return status;
    return {};
  }

  Status read_templates() {
    if (const Value* value = member(config_, "chat_template")) {
      if (value->IsString()) {
        v_->chat_templates[""] = std::string(text_of(*value));
      } else if (value->IsArray()) {
        for (const Value& entry : value->GetArray()) {
          const Value* name = member(entry, "name");
          const Value* text = member(entry, "template");
          if (!name || !name->IsString() || !text || !text->IsString())
            return corrupt("tokenizer_config.json", "a chat template has no name or no text");
          const std::string_view key = text_of(*name);
          v_->chat_templates[key == "default" ? std::string() : std::string(key)] =
              std::string(text_of(*text));
        }
      }
    }
    if (has("chat_template.json")) {  // as processors of pictures kept it before
      const Result<rapidjson::Document> json =
          read_json_file(folder_ / "chat_template.json", kMaxConfigBytes);
      if (!json.ok()) return json.status();
      const Value* value = json->IsObject() ? member(*json, "chat_template") : nullptr;
      if (!value || !value->IsString()) return corrupt("chat_template.json", "'chat_template' is no text");
      v_->chat_templates[""] = std::string(text_of(*value));
    }
    if (!has("chat_template.jinja")) return {};
    Result<std::string> text = read_small_file(folder_ / "chat_template.jinja", kMaxConfigBytes);
    if (!text.ok()) return text.status();
    v_->chat_templates[""] = std::move(*text);
    return {};
  }

  const fs::path& folder_;
  std::string source_;
  rapidjson::Document config_;  // null without a tokenizer_config.json
  AddedTokens added_;           // of tokenizer_config.json and added_tokens.json
  std::shared_ptr<Tokenizer::Vocabulary> v_ = std::make_shared<Tokenizer::Vocabulary>();
};

}  // namespace

Result<std::shared_ptr<const Tokenizer::Vocabulary>> read_hugging_face_vocabulary(const fs::path& folder) {
  return FolderReader(folder).read();
}

}  // namespace weft
