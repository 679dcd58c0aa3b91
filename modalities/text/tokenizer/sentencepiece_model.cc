#include "modalities/text/tokenizer/sentencepiece_model.h"

#include <bit>
#include <cstring>
#include <optional>

namespace weft {
namespace {

// One field of a protocol buffer message.
struct Field {
  uint32_t number = 0;
  uint64_t integer = 0;      // varint or fixed
  std::string_view content;  // length-delimited
};

class MessageReader {
 public:
  MessageReader(std::string_view message, size_t base) : message_(message), base_(base) {}

  // False at the end or at damage; then damaged() tells which.
  bool next(Field& field) {
    if (at_ == message_.size() || damaged_) return false;
    uint64_t key = 0;
    if (!varint(key) || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) return fail();
    field = {static_cast<uint32_t>(key >> 3), 0, {}};
    switch (key & 7) {
      case 0: return varint(field.integer) || fail();
      case 1: return fixed(8, field.integer) || fail();
      case 5: return fixed(4, field.integer) || fail();
      case 2: {
        uint64_t size = 0;
        if (!varint(size) || size > message_.size() - at_) return fail();
        field.content = message_.substr(at_, size);
        at_ += size;
        return true;
      }
      default: return fail();
    }
  }
  bool damaged() const { return damaged_; }
  size_t offset() const { return base_ + at_; }
  size_t offset_of(std::string_view content) const {
    return base_ + static_cast<size_t>(content.data() - message_.data());
  }

 private:
  bool fail() {
    damaged_ = true;
    return false;
  }
  bool varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && at_ < message_.size(); shift += 7) {
      const auto byte = static_cast<uint8_t>(message_[at_++]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool fixed(size_t size, uint64_t& value) {
    if (message_.size() - at_ < size) return false;
    value = 0;
    std::memcpy(&value, message_.data() + at_, size);
    at_ += size;
    return true;
  }

  std::string_view message_;
  size_t base_;
  size_t at_ = 0;
  bool damaged_ = false;
};

class SentencePieceReader {
 public:
  SentencePieceReader(const std::string& name, Tokenizer::Vocabulary& vocabulary)
      : name_(name), v_(vocabulary) {}

  Status read(std::string_view bytes) {
    MessageReader reader(bytes, 0);
    for (Field field; reader.next(field);) {
      const size_t offset = field.content.empty() ? 0 : reader.offset_of(field.content);
      Status status;
      if (field.number == 1) status = read_piece(field.content, offset);
      if (field.number == 2) status = read_trainer(field.content, offset);
      if (field.number == 3) status = read_normalizer(field.content, offset);
      if (!status.ok()) return status;
    }
    if (reader.damaged()) return corrupt(reader.offset(), "not a SentencePiece model");
    if (v_.pieces.size() == 0) return corrupt(0, "the model holds no pieces");
    return finish();
  }

 private:
  Status corrupt(size_t offset, std::string message) const {
    return Status(StatusCode::kCorruptData, std::move(message))
        .at(name_ + ", offset " + std::to_string(offset));
  }

  Status read_piece(std::string_view message, size_t base) {
    MessageReader reader(message, base);
    std::string_view piece;
    float score = 0;
    uint64_t type = 1;
    for (Field field; reader.next(field);) {
      if (field.number == 1) piece = field.content;
      if (field.number == 2) score = std::bit_cast<float>(static_cast<uint32_t>(field.integer));
      if (field.number == 3) type = field.integer;
    }
    if (reader.damaged()) return corrupt(reader.offset(), "a damaged piece");
    if (type < 1 || type > 6)
      return corrupt(base, "a piece has an unknown type").expected("1 to 6").got(std::to_string(type));
    if (v_.pieces.size() == kMaxVocabulary) return corrupt(base, "too many pieces");
    v_.pieces.push_back(piece);
    v_.types.push_back(static_cast<TokenType>(type));
    v_.scores.push_back(score);
    return {};
  }

  Status read_trainer(std::string_view message, size_t base) {
    MessageReader reader(message, base);
    uint64_t kind = 1;  // UNIGRAM is the format's default
    for (Field field; reader.next(field);) {
      if (field.number == 3) kind = field.integer;
      if (field.number == 24 && field.integer != 0)
        return Status(StatusCode::kUnsupported, "spaces at the end of words (treat_whitespace_as_suffix)")
            .at(name_);
      if (field.number == 35) v_.byte_fallback = field.integer != 0;
      if (field.number == 41) bos_ = static_cast<int32_t>(field.integer);
      if (field.number == 42) eos_ = static_cast<int32_t>(field.integer);
      if (field.number == 43) pad_ = static_cast<int32_t>(field.integer);
    }
    if (reader.damaged()) return corrupt(reader.offset(), "damaged trainer settings");
    if (kind != 1 && kind != 2)
      return Status(StatusCode::kUnsupported, "unknown kind of SentencePiece model")
          .at(name_)
          .expected("1 (unigram) or 2 (BPE)")
          .got(std::to_string(kind));
    is_bpe_ = kind == 2;
    return {};
  }

  Status read_normalizer(std::string_view message, size_t base) {
    MessageReader reader(message, base);
    for (Field field; reader.next(field);) {
      if (field.number == 2 && !field.content.empty())
        return Status(StatusCode::kUnsupported, "the tokenizer rewrites text (precompiled_charsmap)")
            .at(name_ + ", offset " + std::to_string(reader.offset_of(field.content)))
            .expected("a model trained with normalization_rule_name 'identity'");
      if (field.number == 3) adds_prefix_ = field.integer != 0;
      if (field.number == 4) removes_spaces_ = field.integer != 0;
      if (field.number == 5) escapes_ = field.integer != 0;
    }
    if (reader.damaged()) return corrupt(reader.offset(), "damaged normaliser settings");
    return {};
  }

  Status finish() {
    if (removes_spaces_)
      return Status(StatusCode::kUnsupported, "the tokenizer drops white space (remove_extra_whitespaces)")
          .at(name_)
          .expected("a model that keeps text as it is");
    v_.algorithm = is_bpe_ ? Algorithm::kSentencePieceBpe : Algorithm::kUnigram;
    v_.spaces_are_blocks = escapes_;
    if (adds_prefix_) v_.space_prefix.where = SpacePrefix::Where::kFirstPart;
    for (size_t i = 0; i < v_.types.size(); ++i)
      if (v_.types[i] == TokenType::kUnknown && !v_.special.unknown)
        v_.special.unknown = v_.unknown_in_text = static_cast<TokenId>(i);
    const auto is_control = [&](int32_t id) {
      return id >= 0 && static_cast<size_t>(id) < v_.types.size() &&
             v_.types[static_cast<size_t>(id)] == TokenType::kControl;
    };
    if (is_control(bos_)) v_.special.bos = bos_;
    if (is_control(eos_)) v_.special.eos = eos_;
    if (is_control(pad_)) v_.special.padding = pad_;
    v_.special.add_bos = v_.special.bos.has_value() && is_bpe_;
    v_.special.add_eos = v_.special.eos.has_value() && !is_bpe_;
    return {};
  }

  const std::string& name_;
  Tokenizer::Vocabulary& v_;
  bool is_bpe_ = false;
  // The format's defaults.
  int32_t bos_ = 1, eos_ = 2, pad_ = -1;
  bool adds_prefix_ = true, removes_spaces_ = true, escapes_ = true;
};

}  // namespace

Status read_sentencepiece_model(std::string_view bytes, const std::string& name,
                                Tokenizer::Vocabulary& vocabulary) {
  return SentencePieceReader(name, vocabulary).read(bytes);
}

}  // namespace weft
