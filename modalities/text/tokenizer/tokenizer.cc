#include "modalities/text/tokenizer/tokenizer.h"

#include <algorithm>

#include "modalities/text/tokenizer/encoder.h"
#include "modalities/text/tokenizer/gguf_vocabulary.h"
#include "modalities/text/tokenizer/hugging_face_vocabulary.h"
#include "modalities/text/tokenizer/vocabulary.h"
#include "modalities/unicode/char_class.h"
#include "modalities/unicode/utf8.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 30;  // symbols are numbered with 32 bits

bool is_space_at(std::string_view text, size_t at, uint8_t& size) {
  const Utf8Step step = utf8_step(text.substr(at));
  size = step.size;
  return step.state == Utf8::kValid && (char_class(step.code_point) & kSpace);
}

// Cuts the white space off the end of `part`, for a token that takes it along.
std::string_view without_trailing_space(std::string_view part) {
  size_t end = 0;
  for (size_t at = 0; at < part.size();) {
    uint8_t size = 1;
    const bool space = is_space_at(part, at, size);
    at += size;
    if (!space) end = at;
  }
  return part.substr(0, end);
}

size_t after_space(std::string_view text, size_t at) {
  uint8_t size = 1;
  while (at < text.size() && is_space_at(text, at, size)) at += size;
  return at;
}

std::string replace_invalid(std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (step.state == Utf8::kValid) valid += text.substr(0, step.size);
    else valid += "\xEF\xBF\xBD";  // U+FFFD
    text.remove_prefix(step.size);
  }
  return valid;
}

// How many bytes of `text` are whole characters, or can never become one; the rest may.
size_t settled_size(std::string_view text) {
  // An unfinished character is at most the last three bytes.
  for (size_t back = std::min<size_t>(3, text.size()); back > 0; --back) {
    const std::string_view tail = text.substr(text.size() - back);
    const bool lead = static_cast<uint8_t>(tail.front()) >= 0xC0;
    if (lead && utf8_step(tail).state == Utf8::kIncomplete) return text.size() - back;
  }
  return text.size();
}

std::string raw_text(const Tokenizer::Vocabulary& vocabulary, TokenId id, ControlTokens control) {
  if (id < 0 || static_cast<size_t>(id) >= vocabulary.pieces.size()) return {};
  const TokenType type = vocabulary.types[static_cast<size_t>(id)];
  if (control == ControlTokens::kOmit && (type == TokenType::kControl || type == TokenType::kUnknown))
    return {};
  return std::string(vocabulary.texts[static_cast<size_t>(id)]);
}

bool has_space_prefix(const Tokenizer::Vocabulary& vocabulary) {
  return vocabulary.space_prefix.where != SpacePrefix::Where::kNever ||
         vocabulary.algorithm == Algorithm::kWordPiece;
}

}  // namespace

Tokenizer::Tokenizer(std::shared_ptr<const Vocabulary> vocabulary) : vocabulary_(std::move(vocabulary)) {}

Result<Tokenizer> Tokenizer::from_weights(const WeightFile& file) {
  if (file.container() != WeightContainer::kGguf) return from_folder(file.folder());
  Result<std::shared_ptr<const Vocabulary>> vocabulary = read_gguf_vocabulary(file.metadata());
  if (!vocabulary.ok()) return vocabulary.status();
  return Tokenizer(std::move(*vocabulary));
}

Result<Tokenizer> Tokenizer::from_folder(const std::filesystem::path& folder) {
  Result<std::shared_ptr<const Vocabulary>> vocabulary = read_hugging_face_vocabulary(folder);
  if (!vocabulary.ok()) return vocabulary.status();
  return Tokenizer(std::move(*vocabulary));
}

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  const Vocabulary& v = *vocabulary_;
  if (text.size() > kMaxTextBytes)
    return Status(StatusCode::kOutOfRange, "the text is too long to be tokenized at once")
        .expected("at most " + std::to_string(kMaxTextBytes) + " bytes")
        .got(std::to_string(text.size()));
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3 + 2);
  const bool adds = options.add_special == AddSpecial::kAsModelDeclares;
  if (adds && v.special.add_bos && v.special.bos) ids.push_back(*v.special.bos);

  Encoder encoder(v, ids, options.stop);
  Encoder::Before before = Encoder::Before::kNothing;
  const bool finds_control = options.control_text == ControlText::kIsToken && !v.control.empty();
  // Where spaces are blocks, user-defined tokens are found after normalisation: the encoder does it.
  const bool is_raw = v.algorithm == Algorithm::kByteLevelBpe || v.algorithm == Algorithm::kWordPiece;
  const bool finds_user_defined = is_raw && !v.user_defined.empty();
  const TextRange everything{0, text.size()};
  std::span<const TextRange> ranges = options.control_ranges;
  if (ranges.empty()) ranges = {&everything, 1};
  size_t begin = 0;
  for (size_t at = 0; (finds_control || finds_user_defined) && at < text.size() && !encoder.stopping(1);) {
    const std::string_view rest = text.substr(at);
    PieceTrie::Match match;
    while (!ranges.empty() && ranges.front().end <= at) ranges = ranges.subspan(1);
    if (finds_control && !ranges.empty() && ranges.front().begin <= at) {
      match = v.control.longest(rest.substr(0, ranges.front().end - at));
    }
    if (finds_user_defined)
      if (const PieceTrie::Match other = v.user_defined.longest(rest); other.size > match.size) match = other;
    if (match.size == 0) {
      ++at;
      continue;
    }
    std::string_view part = text.substr(begin, at - begin);
    at += match.size;
    if (const auto strips = v.strips.find(match.id); strips != v.strips.end()) {
      if (strips->second.first) part = without_trailing_space(part);
      if (strips->second.second) at = after_space(text, at);
    }
    encoder.encode_part(part, before);
    before =
        part.empty() && before != Encoder::Before::kText ? Encoder::Before::kTokens : Encoder::Before::kText;
    ids.push_back(match.id);
    begin = at;
  }
  encoder.encode_part(text.substr(begin), before);
  if (encoder.stopped()) return Status(StatusCode::kCancelled, "cancelled");
  if (adds && v.special.add_eos && v.special.eos) ids.push_back(*v.special.eos);
  if (adds && v.special.add_separator && v.special.separator) ids.push_back(*v.special.separator);
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, const DecodeOptions& options) const {
  std::string text;
  for (TokenId id : ids) text += raw_text(*vocabulary_, id, options.control_tokens);
  const bool strips = options.position == DecodePosition::kStartOfText && has_space_prefix(*vocabulary_);
  if (strips && text.starts_with(' ')) text.erase(0, 1);
  return options.invalid_utf8 == InvalidUtf8::kReplace ? replace_invalid(text) : text;
}

int32_t Tokenizer::vocabulary_size() const { return static_cast<int32_t>(vocabulary_->pieces.size()); }

std::string_view Tokenizer::token_bytes(TokenId id) const {
  return vocabulary_->texts[static_cast<size_t>(id)];
}

std::string_view Tokenizer::token_piece(TokenId id) const {
  return vocabulary_->pieces[static_cast<size_t>(id)];
}

TokenType Tokenizer::token_type(TokenId id) const { return vocabulary_->types[static_cast<size_t>(id)]; }

std::optional<TokenId> Tokenizer::find_piece(std::string_view piece) const {
  const int32_t id = vocabulary_->index.find(piece);
  return id < 0 ? std::nullopt : std::optional<TokenId>(id);
}

const SpecialTokens& Tokenizer::special() const { return vocabulary_->special; }

bool Tokenizer::ends_generation(TokenId id) const {
  const std::vector<TokenId>& ends = vocabulary_->special.end_of_generation;
  return std::binary_search(ends.begin(), ends.end(), id);
}

std::string_view Tokenizer::chat_template(std::string_view name) const {
  const auto found = vocabulary_->chat_templates.find(name);
  return found == vocabulary_->chat_templates.end() ? std::string_view() : std::string_view(found->second);
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, const DecodeOptions& options)
    : tokenizer_(tokenizer), options_(options) {}

std::string StreamDecoder::push(TokenId id) {
  DecodeOptions raw = options_;
  raw.invalid_utf8 = InvalidUtf8::kKeep;  // decided below, when a character is whole
  const TokenId ids[] = {id};
  const std::string text = tokenizer_.decode(ids, raw);
  // A control token adds nothing and starts nothing.
  const bool adds =
      !tokenizer_.decode(ids, {raw.control_tokens, raw.invalid_utf8, DecodePosition::kWithinText}).empty();
  if (adds) options_.position = DecodePosition::kWithinText;
  withheld_ += text;
  const size_t size = settled_size(withheld_);
  std::string settled = withheld_.substr(0, size);
  withheld_.erase(0, size);
  return options_.invalid_utf8 == InvalidUtf8::kReplace ? replace_invalid(settled) : settled;
}

std::string StreamDecoder::finish() {
  const std::string rest = std::move(withheld_);
  withheld_.clear();
  return options_.invalid_utf8 == InvalidUtf8::kReplace ? replace_invalid(rest) : rest;
}

}  // namespace weft
