#include "modalities/text/tokenizer/tokenizer_json.h"

#include <algorithm>

namespace weft {
namespace {

using rapidjson::Value;

constexpr int kMaxNesting = 8;  // of Sequences

std::string_view text_of(const Value& value) { return {value.GetString(), value.GetStringLength()}; }

const Value* member(const Value& object, const char* name) {
  if (!object.IsObject()) return nullptr;
  const auto found = object.FindMember(name);
  return found == object.MemberEnd() || found->value.IsNull() ? nullptr : &found->value;
}
std::string_view string_member(const Value& object, const char* name) {
  const Value* value = member(object, name);
  return value && value->IsString() ? text_of(*value) : std::string_view();
}
bool bool_member(const Value& object, const char* name, bool fallback) {
  const Value* value = member(object, name);
  return value && value->IsBool() ? value->GetBool() : fallback;
}

class TokenizerJsonReader {
 public:
  TokenizerJsonReader(const std::string& source, Tokenizer::Vocabulary& vocabulary)
      : source_(source), v_(vocabulary) {}

  Status read(const Value& document) {
    const Value* model = member(document, "model");
    if (!model || !model->IsObject()) return corrupt("there is no 'model' object");
    if (const Value* normalizer = member(document, "normalizer"))
      if (Status status = read_normalizer(*normalizer, 0); !status.ok()) return status;
    if (const Value* pre_tokenizer = member(document, "pre_tokenizer"))
      if (Status status = read_pre_tokenizer(*pre_tokenizer, 0); !status.ok()) return status;
    if (joins_spaces_ && !splits_for_clip())
      return unsupported("normalizer", "Replace of white space",
                         "one before the expression that CLIP splits by");
    if (v_.lower_cases && !splits_for_clip() && !(v_.spaces_are_blocks && v_.pre_tokenizer.empty()))
      return unsupported("normalizer", "Lowercase",
                         "one before the expression that CLIP splits by, or with spaces spelled ▁");
    if (const Value* added = member(document, "added_tokens"))
      if (Status status = read_added_tokens(*added); !status.ok()) return status;
    if (v_.lower_cases && v_.spaces_are_blocks)
      if (Status status = refuse_normalized_tokens(); !status.ok()) return status;
    if (Status status = read_model(*model); !status.ok()) return status;
    const Value* post_processor = member(document, "post_processor");
    return post_processor ? read_post_processor(*post_processor, 0) : Status();
  }

 private:
  Status corrupt(std::string message) const {
    return Status(StatusCode::kCorruptData, std::move(message)).at(source_);
  }
  Status unsupported(const char* part, std::string_view what, std::string expected) const {
    return Status(StatusCode::kUnsupported, std::string("unknown ") + part)
        .at(source_)
        .expected(std::move(expected))
        .got("'" + std::string(what.substr(0, 300)) + "'");
  }

  // Runs `read` on each element of a Sequence.
  template <typename Read>
  Status each(const Value& object, const char* list, int depth, Read read) const {
    const Value* elements = member(object, list);
    if (!elements || !elements->IsArray() || depth >= kMaxNesting)
      return corrupt("a Sequence that cannot be read");
    for (const Value& element : elements->GetArray())
      if (Status status = read(element); !status.ok()) return status;
    return {};
  }

  Status read_normalizer(const Value& normalizer, int depth) {
    const std::string_view type = string_member(normalizer, "type");
    if (type == "Sequence")
      return each(normalizer, "normalizers", depth,
                  [&](const Value& v) { return read_normalizer(v, depth + 1); });
    if (type == "NFC" && !v_.lower_cases) {
      v_.normalizes_nfc = true;
      return {};
    }
    if (type == "Lowercase") {
      v_.lower_cases = true;
      return {};
    }
    if (type == "BertNormalizer" && depth == 0) return read_bert_normalizer(normalizer);
    if (type == "Prepend" && string_member(normalizer, "prepend") == kSpaceBlock) {
      v_.space_prefix.where = SpacePrefix::Where::kEveryPart;
      return {};
    }
    const Value* pattern = member(normalizer, "pattern");
    if (type == "Replace" && pattern && string_member(*pattern, "String") == " " &&
        string_member(normalizer, "content") == kSpaceBlock) {
      v_.spaces_are_blocks = true;
      return {};
    }
    // CLIP's: its words leave out white space however much it is.
    if (type == "Replace" && pattern && string_member(*pattern, "Regex") == "\\s+" &&
        string_member(normalizer, "content") == " ") {
      joins_spaces_ = true;
      return {};
    }
    return unsupported(
        "normalizer", type,
        "NFC, Lowercase, Prepend or Replace of spaces by ▁, a Sequence of them, CLIP's, or BertNormalizer");
  }

  Status read_bert_normalizer(const Value& normalizer) {
    BertNormalizer& bert = v_.bert_normalizer.emplace();
    bert.cleans_text = bool_member(normalizer, "clean_text", true);
    bert.parts_chinese = bool_member(normalizer, "handle_chinese_chars", true);
    bert.lower_cases = bool_member(normalizer, "lowercase", true);
    bert.strips_accents = bool_member(normalizer, "strip_accents", bert.lower_cases);
    return {};
  }

  Status read_pre_tokenizer(const Value& pre, int depth) {
    const std::string_view type = string_member(pre, "type");
    if (type == "Sequence")
      return each(pre, "pretokenizers", depth,
                  [&](const Value& v) { return read_pre_tokenizer(v, depth + 1); });
    if (type == "ByteLevel") return read_byte_level(pre);
    if (type == "BertPreTokenizer" && depth == 0) {
      v_.pre_tokenizer.push_back(SplitRule::kBert);
      return {};
    }
    if (type == "Metaspace") return read_metaspace(pre);
    if (type == "Split") return read_split(pre);
    if (type == "Digits") {
      const bool single = bool_member(pre, "individual_digits", false);
      if (byte_level_ && single)
        return unsupported("pre_tokenizer", "single Digits after ByteLevel", "Digits before ByteLevel");
      v_.pre_tokenizer.push_back(byte_level_ ? SplitRule::kByteNumberRuns
                                 : single    ? SplitRule::kSingleNumbers
                                             : SplitRule::kNumberRuns);
      return {};
    }
    if (type == "Punctuation" && !byte_level_ && string_member(pre, "behavior") == "Contiguous") {
      v_.pre_tokenizer.push_back(SplitRule::kPunctuationRuns);
      return {};
    }
    return unsupported("pre_tokenizer", type,
                       "ByteLevel, Metaspace, Split, Digits, contiguous Punctuation, a Sequence of them, or "
                       "BertPreTokenizer");
  }

  Status read_byte_level(const Value& pre) {
    byte_level_ = true;
    // GPT-2's expression finds nothing more to split in CLIP's words.
    if (bool_member(pre, "use_regex", true) && !splits_for_clip())
      v_.pre_tokenizer.push_back(SplitRule::kGpt2);
    if (bool_member(pre, "add_prefix_space", true)) v_.space_prefix = {SpacePrefix::Where::kEveryPart, true};
    return {};
  }

  Status read_metaspace(const Value& pre) {
    const std::string_view replacement = string_member(pre, "replacement");
    if (replacement != kSpaceBlock) return unsupported("Metaspace replacement", replacement, "▁");
    v_.spaces_are_blocks = true;
    v_.splits_every_block = bool_member(pre, "split", true);
    std::string_view scheme = string_member(pre, "prepend_scheme");
    if (scheme.empty()) scheme = bool_member(pre, "add_prefix_space", true) ? "always" : "never";
    v_.space_prefix.unless_there = true;
    v_.space_prefix.where = scheme == "always"  ? SpacePrefix::Where::kEveryPart
                            : scheme == "first" ? SpacePrefix::Where::kAtStart
                                                : SpacePrefix::Where::kNever;
    return {};
  }

  Status read_split(const Value& pre) {
    const Value* pattern = member(pre, "pattern");
    const std::string_view behavior = string_member(pre, "behavior");
    const bool inverted = bool_member(pre, "invert", false);
    if (pattern && string_member(*pattern, "String") == " " && behavior == "MergedWithPrevious" &&
        v_.spaces_are_blocks)
      return {};  // Gemma's: no space is left at this point
    const std::string_view regex = pattern ? string_member(*pattern, "Regex") : std::string_view();
    const std::optional<SplitRule> rule = split_rule_of_regex(regex);
    const bool removes = behavior == "Removed" && inverted;  // what the expression does not find
    const bool isolates = (behavior == "Isolated" && !inverted && rule != SplitRule::kClip) || removes;
    if (!rule || !isolates)
      return unsupported(
          "Split", regex,
          "an isolating expression of GPT-2, CLIP, Llama 3, Qwen 2, Qwen 3.5, Tekken or GPT-4o");
    v_.pre_tokenizer.push_back(*rule);
    return {};
  }

  Status read_added_tokens(const Value& list) {
    if (!list.IsArray()) return corrupt("'added_tokens' is not an array");
    for (const Value& token : list.GetArray()) {
      const Value* id = member(token, "id");
      if (!id || !id->IsInt()) return corrupt("an added token has no id");
      if (Status status = read_added_token(token, id->GetInt(), source_, added_); !status.ok()) return status;
    }
    return {};
  }

  // Added tokens are found before a text is normalised.
  Status refuse_normalized_tokens() const {
    for (const auto& [id, token] : added_)
      if (token.normalized && !token.special)
        return unsupported("added token", token.content,
                           "one that is looked for in the text as it is (normalized: false)");
    return {};
  }

  Status read_model(const Value& model) {
    std::string_view type = string_member(model, "type");
    const Value* vocab = member(model, "vocab");
    const bool by_name = vocab && vocab->IsObject();
    if (type.empty())  // old files do not say
      type = member(model, "merges") ? "BPE" : by_name ? "WordPiece" : "Unigram";
    const bool splits_for_bert = v_.pre_tokenizer == PreTokenizer{SplitRule::kBert};
    if (type != "WordPiece" && (splits_for_bert || v_.bert_normalizer))
      return unsupported("model behind BertNormalizer or BertPreTokenizer", type, "WordPiece");
    if (type == "WordPiece" && (!splits_for_bert || v_.normalizes_nfc || v_.spaces_are_blocks))
      return corrupt("a WordPiece model is read with BertPreTokenizer, and BertNormalizer or no normalizer");
    v_.byte_fallback = bool_member(model, "byte_fallback", false);
    if (type == "BPE") return read_bpe(model);
    if (type == "Unigram") return read_unigram(model);
    if (type == "WordPiece") return read_word_piece(model);
    return unsupported("model", type, "BPE, Unigram or WordPiece");
  }

  // A vocabulary by spelling, and the tokens that are not in it.
  Status read_named_pieces(const Value& vocab) {
    std::vector<std::pair<TokenId, ScoredPiece>> entries;
    entries.reserve(vocab.MemberCount());
    for (const auto& entry : vocab.GetObject()) {
      if (!entry.value.IsInt())
        return corrupt("the id of '" + std::string(text_of(entry.name)) + "' is not an integer");
      entries.push_back({entry.value.GetInt(), {text_of(entry.name), 0}});
    }
    if (Status status = set_pieces(entries, added_, source_, v_); !status.ok()) return status;
    v_.index_pieces();
    return {};
  }

  Status read_word_piece(const Value& model) {
    v_.algorithm = Algorithm::kWordPiece;
    const Value* vocab = member(model, "vocab");
    if (!vocab || !vocab->IsObject()) return corrupt("the WordPiece model has no 'vocab' object");
    if (Status status = refuse_normalized_tokens(); !status.ok()) return status;
    const Value* mark = member(model, "continuing_subword_prefix");
    if (mark && mark->IsString()) v_.continuation = std::string(text_of(*mark));
    if (v_.continuation.empty()) return unsupported("continuing_subword_prefix", "", "##, or another mark");
    if (const Value* longest = member(model, "max_input_chars_per_word")) {
      if (!longest->IsUint64()) return corrupt("'max_input_chars_per_word' is no number of characters");
      v_.longest_word = longest->GetUint64();
    }
    if (Status status = read_named_pieces(*vocab); !status.ok()) return status;
    const Value* unknown = member(model, "unk_token");
    const std::string_view spelling = unknown && unknown->IsString() ? text_of(*unknown) : "[UNK]";
    const int32_t id = v_.index.find(spelling);
    if (id < 0) return corrupt("the unknown token '" + std::string(spelling) + "' is not in the vocabulary");
    v_.special.unknown = v_.unknown_in_text = id;
    return {};
  }

  Status read_bpe(const Value& model) {
    v_.marks_word_ends = byte_level_ && string_member(model, "end_of_word_suffix") == kWordEnd;
    for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const std::string_view text = string_member(model, affix);
          !text.empty() && !(v_.marks_word_ends && text == kWordEnd))
        return unsupported(affix, text, "none, or </w> at the ends of words of bytes");
    v_.algorithm = byte_level_ ? Algorithm::kByteLevelBpe : Algorithm::kCharacterBpe;
    v_.whole_words_first = bool_member(model, "ignore_merges", false);
    v_.fuses_unknown = bool_member(model, "fuse_unk", false);
    const Value* vocab = member(model, "vocab");
    const Value* merges = member(model, "merges");
    if (!vocab || !vocab->IsObject() || !merges || !merges->IsArray())
      return corrupt("the BPE model has no 'vocab' object or no 'merges' array");
    if (Status status = read_named_pieces(*vocab); !status.ok()) return status;
    if (const std::string_view unknown = string_member(model, "unk_token"); !unknown.empty())
      if (const int32_t id = v_.index.find(unknown); id >= 0) v_.special.unknown = v_.unknown_in_text = id;
    return read_merges(*merges);
  }

  Status read_merges(const Value& merges) {
    v_.merges.reserve(merges.Size());
    for (rapidjson::SizeType i = 0; i < merges.Size(); ++i) {
      std::string_view left, right;
      const Value& merge = merges[i];
      if (merge.IsString()) {
        const std::string_view text = text_of(merge);
        const size_t space = text.find(' ', 1);
        if (space != std::string_view::npos) {
          left = text.substr(0, space);
          right = text.substr(space + 1);
        }
      } else if (merge.IsArray() && merge.Size() == 2 && merge[0].IsString() && merge[1].IsString()) {
        left = text_of(merge[0]);
        right = text_of(merge[1]);
      }
      if (left.empty() || right.empty()) return corrupt("merge " + std::to_string(i) + " is not a pair");
      if (Status status = v_.add_merge(left, right, i, source_); !status.ok()) return status;
    }
    return {};
  }

  Status read_unigram(const Value& model) {
    v_.algorithm = Algorithm::kUnigram;
    v_.adds_in_double = true;
    const Value* vocab = member(model, "vocab");
    if (!vocab || !vocab->IsArray()) return corrupt("the Unigram model has no 'vocab' array");
    std::vector<std::pair<TokenId, ScoredPiece>> entries;
    entries.reserve(vocab->Size());
    for (rapidjson::SizeType i = 0; i < vocab->Size(); ++i) {
      const Value& entry = (*vocab)[i];
      if (!entry.IsArray() || entry.Size() != 2 || !entry[0].IsString() || !entry[1].IsNumber())
        return corrupt("token " + std::to_string(i) + " is not a pair of piece and score");
      entries.push_back({static_cast<TokenId>(i), {text_of(entry[0]), entry[1].GetDouble()}});
    }
    if (Status status = set_pieces(entries, added_, source_, v_); !status.ok()) return status;
    const Value* unknown = member(model, "unk_id");
    if (unknown && unknown->IsInt() && unknown->GetInt() >= 0 &&
        static_cast<size_t>(unknown->GetInt()) < v_.types.size()) {
      v_.special.unknown = v_.unknown_in_text = unknown->GetInt();
      v_.types[static_cast<size_t>(unknown->GetInt())] = TokenType::kUnknown;
    }
    return {};
  }

  // A token that a TemplateProcessing puts before or after the text.
  Status set_around(std::string_view content, bool after) {
    v_.index_pieces();
    const int32_t id = v_.index.find(content);
    if (id < 0)
      return corrupt("the post_processor names a token that does not exist: '" + std::string(content) + "'");
    (after ? v_.special.eos : v_.special.bos) = id;
    (after ? v_.special.add_eos : v_.special.add_bos) = true;
    return {};
  }

  // {"cls": ["[CLS]", 101], "sep": ["[SEP]", 102]}
  Status read_around(const Value& post) {
    for (const bool after : {false, true}) {
      const Value* token = member(post, after ? "sep" : "cls");
      if (!token || !token->IsArray() || token->Size() != 2 || !(*token)[0].IsString())
        return corrupt("the post_processor does not name its tokens");
      if (Status status = set_around(text_of((*token)[0]), after); !status.ok()) return status;
    }
    return {};
  }

  Status read_post_processor(const Value& post, int depth) {
    const std::string_view type = string_member(post, "type");
    if (type == "Sequence")
      return each(post, "processors", depth,
                  [&](const Value& v) { return read_post_processor(v, depth + 1); });
    if (type == "ByteLevel") return {};  // offsets only
    if (type == "BertProcessing" || type == "RobertaProcessing") return read_around(post);
    const Value* single = member(post, "single");
    if (type != "TemplateProcessing" || !single || !single->IsArray())
      return unsupported(
          "post_processor", type,
          "ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing, or a Sequence of them");
    bool after = false;
    int count[2] = {0, 0};
    for (const Value& part : single->GetArray()) {
      if (member(part, "Sequence")) {
        after = true;
        continue;
      }
      const Value* token = member(part, "SpecialToken");
      if (!token || ++count[after ? 1 : 0] > 1)
        return unsupported("post_processor", type, "at most one token before and after the text");
      if (Status status = set_around(string_member(*token, "id"), after); !status.ok()) return status;
    }
    return {};
  }

  bool splits_for_clip() const { return v_.pre_tokenizer == PreTokenizer{SplitRule::kClip}; }

  const std::string& source_;
  Tokenizer::Vocabulary& v_;
  AddedTokens added_;
  bool byte_level_ = false;
  bool joins_spaces_ = false;  // a normalizer makes one space of any white space
};

}  // namespace

Status read_added_token(const Value& value, TokenId id, const std::string& source, AddedTokens& tokens) {
  const Value* content = member(value, "content");
  if (id < 0 || static_cast<size_t>(id) >= kMaxVocabulary || !content || !content->IsString())
    return Status(StatusCode::kCorruptData, "an added token has no content or a bad id")
        .at(source)
        .got(std::to_string(id));
  if (bool_member(value, "single_word", false))
    return Status(StatusCode::kUnsupported, "an added token that matches single words only").at(source);
  tokens[id] = {std::string(text_of(*content)), bool_member(value, "special", false),
                bool_member(value, "lstrip", false), bool_member(value, "rstrip", false),
                bool_member(value, "normalized", false)};
  return {};
}

Status set_pieces(const std::vector<std::pair<TokenId, ScoredPiece>>& entries, const AddedTokens& added,
                  const std::string& source, Tokenizer::Vocabulary& vocabulary) {
  TokenId last = -1;
  size_t bytes = 0;
  for (const auto& [id, piece] : entries) {
    last = std::max(last, id);
    bytes += piece.piece.size();
  }
  if (!added.empty()) last = std::max(last, added.rbegin()->first);
  // Ids may leave gaps, but not so many that a small file costs much memory.
  const size_t count = static_cast<size_t>(last) + 1;
  if (last < 0 || count > 4 * (entries.size() + added.size()) + 1024 || count > kMaxVocabulary)
    return Status(StatusCode::kCorruptData, "the vocabulary's ids are out of range")
        .at(source)
        .expected("ids from 0 without large gaps")
        .got("id " + std::to_string(last) + " among " + std::to_string(entries.size()) + " tokens");
  std::vector<const ScoredPiece*> by_id(count);
  for (const auto& [id, piece] : entries) {
    if (id < 0 || by_id[static_cast<size_t>(id)])
      return Status(StatusCode::kCorruptData, "a token's id is negative or used twice")
          .at(source)
          .got(std::to_string(id));
    by_id[static_cast<size_t>(id)] = &piece;
  }
  vocabulary.pieces.reserve(count, bytes);
  for (size_t i = 0; i < count; ++i) {
    const auto token = added.find(static_cast<TokenId>(i));
    std::string_view piece = by_id[i] ? by_id[i]->piece : std::string_view();
    TokenType type = by_id[i] ? TokenType::kNormal : TokenType::kUnused;
    if (vocabulary.byte_fallback && piece.size() == 6 && piece.starts_with("<0x")) type = TokenType::kByte;
    if (token != added.end()) {
      piece = token->second.content;
      type = token->second.special ? TokenType::kControl : TokenType::kUserDefined;
      if (token->second.takes_left_space || token->second.takes_right_space)
        vocabulary.strips[token->first] = {token->second.takes_left_space, token->second.takes_right_space};
    }
    vocabulary.pieces.push_back(piece);
    vocabulary.types.push_back(type);
    vocabulary.scores.push_back(by_id[i] ? by_id[i]->score : 0);
  }
  return {};
}

Status read_tokenizer_json(const Value& document, const std::string& source,
                           Tokenizer::Vocabulary& vocabulary) {
  return TokenizerJsonReader(source, vocabulary).read(document);
}

}  // namespace weft
