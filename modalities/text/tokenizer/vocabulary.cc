#include "modalities/text/tokenizer/vocabulary.h"

#include <algorithm>
#include <cmath>

#include "modalities/unicode/utf8.h"

namespace weft {
namespace {

// GPT-2's alphabet: printable Latin-1 characters stand for themselves, the other bytes follow from U+0100 in order.
constexpr bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct ByteAlphabet {
  std::array<char16_t, 256> spelling{};
  std::array<int16_t, 0x144> byte{};  // -1: not of the alphabet
};

constexpr ByteAlphabet make_byte_alphabet() {
  ByteAlphabet alphabet;
  alphabet.byte.fill(-1);
  char16_t next = 0x100;
  for (int b = 0; b < 256; ++b) {
    alphabet.spelling[b] = stands_for_itself(b) ? static_cast<char16_t>(b) : next++;
    alphabet.byte[alphabet.spelling[b]] = static_cast<int16_t>(b);
  }
  return alphabet;
}
constexpr ByteAlphabet kByteAlphabet = make_byte_alphabet();

// "<0x1F>" -> 0x1F; nothing for any other spelling.
std::optional<uint8_t> byte_of_piece(std::string_view piece) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
  const int high = digit(piece[3]), low = digit(piece[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<uint8_t>(high * 16 + low);
}

std::string with_spaces(std::string_view piece) {
  std::string text;
  for (size_t at = 0; at < piece.size();) {
    const bool block = piece.substr(at).starts_with(kSpaceBlock);
    text += block ? ' ' : piece[at];
    at += block ? kSpaceBlock.size() : 1;
  }
  return text;
}

std::string with_blocks(std::string_view piece) {
  std::string spelled;
  for (char c : piece) {
    if (c == ' ') spelled += kSpaceBlock;
    else spelled += c;
  }
  return spelled;
}

// What follows the mark of a WordPiece piece that continues a word.
std::optional<std::string_view> part_of_word(const Tokenizer::Vocabulary& vocabulary,
                                             std::string_view piece) {
  const std::string_view mark = vocabulary.continuation;
  if (mark.empty() || piece.size() <= mark.size() || !piece.starts_with(mark)) return std::nullopt;
  return piece.substr(mark.size());
}

// What a token adds to a text.
std::string text_of_token(const Tokenizer::Vocabulary& vocabulary, size_t id) {
  const std::string_view piece = vocabulary.pieces[id];
  const TokenType type = vocabulary.types[id];
  if (type == TokenType::kByte)
    if (const std::optional<uint8_t> byte = byte_of_piece(piece))
      return std::string(1, static_cast<char>(*byte));
  const bool literal = type == TokenType::kControl || type == TokenType::kUnknown;
  if (literal) return std::string(piece);
  if (vocabulary.algorithm == Algorithm::kByteLevelBpe) {
    if (type == TokenType::kUserDefined) return std::string(piece);
    if (vocabulary.marks_word_ends && piece.ends_with(kWordEnd)) {
      const std::string_view word = piece.substr(0, piece.size() - kWordEnd.size());
      return bytes_of_spelling(word).value_or(std::string(word)) + ' ';
    }
    return bytes_of_spelling(piece).value_or(std::string(piece));
  }
  if (vocabulary.algorithm == Algorithm::kWordPiece) {
    const std::optional<std::string_view> part = part_of_word(vocabulary, piece);
    return part ? std::string(*part) : ' ' + std::string(piece);
  }
  return vocabulary.spaces_are_blocks ? with_spaces(piece) : std::string(piece);
}

Status check_special_ids(const SpecialTokens& special, size_t count, const std::string& source) {
  const std::pair<const char*, std::optional<TokenId>> ids[] = {{"bos", special.bos},
                                                                {"eos", special.eos},
                                                                {"eot", special.eot},
                                                                {"unknown", special.unknown},
                                                                {"sep", special.separator},
                                                                {"padding", special.padding},
                                                                {"mask", special.mask},
                                                                {"cls", special.cls},
                                                                {"fim_prefix", special.fim_prefix},
                                                                {"fim_suffix", special.fim_suffix},
                                                                {"fim_middle", special.fim_middle}};
  for (const auto& [name, id] : ids)
    if (id && (*id < 0 || static_cast<size_t>(*id) >= count))
      return Status(StatusCode::kCorruptData, std::string("the ") + name + " token is outside the vocabulary")
          .at(source)
          .expected("an id below " + std::to_string(count))
          .got(std::to_string(*id));
  return {};
}

}  // namespace

void append_byte_spelling(std::string& spelled, std::string_view bytes) {
  for (char c : bytes) append_utf8(spelled, kByteAlphabet.spelling[static_cast<uint8_t>(c)]);
}

std::optional<std::string> bytes_of_spelling(std::string_view spelled) {
  std::string bytes;
  while (!spelled.empty()) {
    const Utf8Step step = utf8_step(spelled);
    if (step.state != Utf8::kValid || step.code_point >= kByteAlphabet.byte.size() ||
        kByteAlphabet.byte[step.code_point] < 0)
      return std::nullopt;
    bytes += static_cast<char>(kByteAlphabet.byte[step.code_point]);
    spelled.remove_prefix(step.size);
  }
  return bytes;
}

void Tokenizer::Vocabulary::index_pieces() {
  if (indexed_ == pieces.size()) return;
  index = PieceIndex(pieces);
  indexed_ = pieces.size();
}

Status Tokenizer::Vocabulary::add_merge(std::string_view left, std::string_view right, size_t number,
                                        const std::string& source) {
  std::string merged(left);
  merged += right;
  const int32_t left_id = index.find(left), right_id = index.find(right), id = index.find(merged);
  if (left_id < 0 || right_id < 0 || id < 0)
    return Status(StatusCode::kCorruptData,
                  "merge " + std::to_string(number) + " is not of tokens of the vocabulary")
        .at(source)
        .got("'" + std::string(left.substr(0, 100)) + "' with '" + std::string(right.substr(0, 100)) + "'");
  merges.insert(left_id, right_id, {static_cast<uint32_t>(number), id});
  return {};
}

Status Tokenizer::Vocabulary::finish(const std::string& source) {
  const size_t count = pieces.size();
  const bool scored = algorithm == Algorithm::kSentencePieceBpe || algorithm == Algorithm::kUnigram;
  if (types.size() != count || (scored && scores.size() != count))
    return Status(StatusCode::kCorruptData, "the vocabulary's types or scores do not match its tokens")
        .at(source)
        .expected(std::to_string(count))
        .got(std::to_string(types.size()) + " types, " + std::to_string(scores.size()) + " scores");
  if (Status status = check_special_ids(special, count, source); !status.ok()) return status;
  index_pieces();

  double lowest = 0;
  bool any_score = false;
  for (size_t i = 0; i < count; ++i) {
    const std::string_view piece = pieces[i];
    const auto id = static_cast<TokenId>(i);
    const TokenType type = types[i];
    if (piece.size() > kMaxPieceBytes)
      return Status(StatusCode::kCorruptData, "token " + std::to_string(i) + " is too long")
          .at(source)
          .expected("at most " + std::to_string(kMaxPieceBytes) + " bytes")
          .got(std::to_string(piece.size()));
    if (scored && !std::isfinite(scores[i]))
      return Status(StatusCode::kCorruptData, "the score of token " + std::to_string(i) + " is not a number")
          .at(source);
    if (type == TokenType::kByte) {
      const std::optional<uint8_t> byte = byte_of_piece(piece);
      if (!byte)
        return Status(StatusCode::kCorruptData, "token " + std::to_string(i) + " is not a byte token")
            .at(source)
            .expected("<0x00> to <0xFF>")
            .got("'" + std::string(piece.substr(0, 100)) + "'");
      if (byte_tokens[*byte] < 0) byte_tokens[*byte] = id;
    }
    texts.push_back(text_of_token(*this, i));
    // GGUF converters spell spaces as spaces here, SentencePiece as ▁: the text has ▁ when these are looked for.
    if (type == TokenType::kUserDefined)
      user_defined.insert(spaces_are_blocks ? with_blocks(piece) : std::string(piece), id);
    if (type == TokenType::kControl || type == TokenType::kUnknown) control.insert(piece, id);
    if (type != TokenType::kNormal && type != TokenType::kUnused) continue;
    longest_piece = std::max(longest_piece, piece.size());
    if (scored && type == TokenType::kNormal) {
      lowest = any_score ? std::min(lowest, scores[i]) : scores[i];
      any_score = true;
    }
    if (algorithm == Algorithm::kUnigram && type == TokenType::kNormal) unigram.insert(piece, id);
    if (algorithm == Algorithm::kWordPiece && type == TokenType::kNormal) {
      const std::optional<std::string_view> part = part_of_word(*this, piece);
      if (part) word_parts.insert(*part, id);
      else if (!piece.empty()) word_starts.insert(piece, id);
    }
    for (size_t at = piece.find(kSpaceBlock, 1); at != std::string_view::npos;
         at = piece.find(kSpaceBlock, at + 1))
      if (!piece.substr(0, at).ends_with(kSpaceBlock)) joins_block.set(static_cast<uint8_t>(piece[at - 1]));
  }
  constexpr double kUnknownPenalty = 10;  // SentencePiece's kUnkPenalty
  unknown_score = lowest - kUnknownPenalty;

  if (algorithm == Algorithm::kByteLevelBpe) {
    for (int b = 0; b < 256; ++b) {
      const char byte = static_cast<char>(b);
      std::string spelled;
      append_byte_spelling(spelled, {&byte, 1});
      byte_tokens[static_cast<size_t>(b)] = index.find(spelled);
      if (marks_word_ends) spelled += kWordEnd;
      last_byte_tokens[static_cast<size_t>(b)] = index.find(spelled);
    }
  }
  std::vector<TokenId>& ends = special.end_of_generation;
  for (const std::optional<TokenId>& id : {special.eos, special.eot})
    if (id) ends.push_back(*id);
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return {};
}

}  // namespace weft
