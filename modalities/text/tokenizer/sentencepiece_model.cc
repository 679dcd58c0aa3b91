#include "modalities/text/tokenizer/sentencepiece_model.h"

#include <bit>

#include "modalities/weights/protobuf_reader.h"

namespace weft {
namespace {

class SentencePieceReader {
 public:
  SentencePieceReader(const std::string& name, Tokenizer::Vocabulary& vocabulary)
      : name_(name), v_(vocabulary) {}

  Status read(std::string_view bytes) {
    ProtobufReader reader(bytes, 0);
    for (ProtobufField field; reader.next(field);) {
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
    ProtobufReader reader(message, base);
    std::string_view piece;
    float score = 0;
    uint64_t type = 1;
    for (ProtobufField field; reader.next(field);) {
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
    ProtobufReader reader(message, base);
    uint64_t kind = 1;  // UNIGRAM is the format's default
    for (ProtobufField field; reader.next(field);) {
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
    ProtobufReader reader(message, base);
    for (ProtobufField field; reader.next(field);) {
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
