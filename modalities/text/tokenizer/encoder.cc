#include "modalities/text/tokenizer/encoder.h"

#include <algorithm>
#include <bit>

#include "modalities/text/tokenizer/normal_forms.h"
#include "modalities/unicode/utf8.h"

namespace weft {
namespace {

// Lower for a better score; never Merge::kNone, because scores are finite.
uint32_t priority_of_score(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score == 0 ? 0.0f : score);  // -0 is 0
  const uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return ~ascending;
}

uint8_t character_size(std::string_view text) {
  const Utf8Step step = utf8_step(text);
  return step.state == Utf8::kValid ? step.size : 1;
}

}  // namespace

void Encoder::normalize(std::string_view part, Before before) {
  using Where = SpacePrefix::Where;
  const Tokenizer::Vocabulary& v = vocabulary_;
  if (v.bert_normalizer) {
    normalized_.clear();
    v.bert_normalizer->append(normalized_, part);
    return;
  }
  const Where where = v.space_prefix.where;
  const bool wanted = where == Where::kEveryPart || (where == Where::kFirstPart && before != Before::kText) ||
                      (where == Where::kAtStart && before == Before::kNothing);
  const bool there = part.starts_with(' ') || (v.spaces_are_blocks && part.starts_with(kSpaceBlock));
  normalized_.clear();
  if (wanted && !(v.space_prefix.unless_there && there)) normalized_ += ' ';
  if (v.normalizes_nfc) append_nfc(normalized_, part);
  else normalized_ += part;
  if (v.lower_cases) {
    spelled_.clear();
    append_lower_case(spelled_, normalized_);
    normalized_.swap(spelled_);
  }
  if (!v.spaces_are_blocks) return;
  spelled_.clear();
  for (char c : normalized_) {
    if (c == ' ') spelled_ += kSpaceBlock;
    else spelled_ += c;
  }
  normalized_.swap(spelled_);
}

void Encoder::encode_part(std::string_view part, Before before) {
  if (part.empty() || stopped_) return;
  last_was_unknown_ = false;
  const bool as_it_is = !vocabulary_.normalizes_nfc && !vocabulary_.lower_cases &&
                        !vocabulary_.spaces_are_blocks && !vocabulary_.bert_normalizer &&
                        vocabulary_.space_prefix.where == SpacePrefix::Where::kNever;
  if (!as_it_is) normalize(part, before);
  const std::string_view text = as_it_is ? part : std::string_view(normalized_);
  if (vocabulary_.algorithm == Algorithm::kByteLevelBpe) encode_byte_level(text);
  else if (vocabulary_.algorithm == Algorithm::kWordPiece) encode_word_pieces(text);
  else encode_blocks(text);
}

void Encoder::encode_byte_level(std::string_view text) {
  split_words(vocabulary_.pre_tokenizer, text, words_);
  for (std::string_view word : words_) {
    if (stopping(word.size())) return;
    if (vocabulary_.whole_words_first && word.size() <= kMaxPieceBytes) {
      spelled_.clear();
      append_byte_spelling(spelled_, word);
      const int32_t id = vocabulary_.index.find(spelled_);
      if (id >= 0 && vocabulary_.types[static_cast<size_t>(id)] == TokenType::kNormal) {
        ids_.push_back(id);
        continue;
      }
    }
    symbols_.clear();
    for (uint32_t i = 0; i < word.size(); ++i) {
      const auto& tokens = i + 1 == word.size() ? vocabulary_.last_byte_tokens : vocabulary_.byte_tokens;
      symbols_.push_back({i, 1, tokens[static_cast<uint8_t>(word[i])]});
    }
    merge_symbols(
        symbols_,
        [&](const Symbol& left, const Symbol& right) { return vocabulary_.merges.find(left.id, right.id); },
        [&] { return stopping(1); }, scratch_);
    for (const Symbol& symbol : symbols_) {
      if (symbol.id >= 0) ids_.push_back(symbol.id);
      else emit_unknown(word.substr(symbol.begin, symbol.size));
    }
  }
}

void Encoder::encode_word_pieces(std::string_view text) {
  split_words(vocabulary_.pre_tokenizer, text, words_);
  for (std::string_view word : words_) {
    if (stopping(word.size())) return;
    const size_t before = ids_.size();
    if (append_word_pieces(word)) continue;
    ids_.resize(before);
    if (vocabulary_.unknown_in_text) ids_.push_back(*vocabulary_.unknown_in_text);
  }
}

// False if the word is too long or has a place where no piece begins: all of it is unknown then.
bool Encoder::append_word_pieces(std::string_view word) {
  size_t characters = 0;
  for (size_t at = 0; at < word.size(); at += character_size(word.substr(at)))
    if (++characters > vocabulary_.longest_word) return false;
  for (size_t at = 0; at < word.size();) {
    const PieceTrie& pieces = at == 0 ? vocabulary_.word_starts : vocabulary_.word_parts;
    const PieceTrie::Match match = pieces.longest(word.substr(at));
    if (match.size == 0 || stopping(match.size)) return false;
    ids_.push_back(match.id);
    at += match.size;
  }
  return true;
}

// Parts a text whose spaces are ▁ into user-defined tokens and, before each ▁ where no piece could reach across, words.
void Encoder::encode_blocks(std::string_view text) {
  const auto encode = [&](std::string_view word) {
    if (word.empty()) return;
    if (vocabulary_.algorithm != Algorithm::kUnigram) return encode_characters(word);
    return vocabulary_.adds_in_double ? encode_unigram<double>(word) : encode_unigram<float>(word);
  };
  // Cutting early saves work; it may not change what can merge, nor the order in which Viterbi adds up.
  const bool cuts_words = vocabulary_.spaces_are_blocks && vocabulary_.algorithm != Algorithm::kUnigram;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const PieceTrie::Match match = vocabulary_.user_defined.longest(text.substr(at));
    if (match.size > 0) {
      encode(text.substr(begin, at - begin));
      ids_.push_back(match.id);
      last_was_unknown_ = false;
      at += match.size;
      begin = at;
      continue;
    }
    const bool block = text[at] == kSpaceBlock[0] && text.substr(at).starts_with(kSpaceBlock);
    const bool cuts = vocabulary_.splits_every_block ||
                      (cuts_words && at > begin && !text.substr(begin, at - begin).ends_with(kSpaceBlock) &&
                       !vocabulary_.joins_block[static_cast<uint8_t>(text[at - 1])]);
    if (block && cuts) {
      encode(text.substr(begin, at - begin));
      begin = at;
    }
    const uint8_t size = character_size(text.substr(at));
    if (stopping(size)) return;
    at += size;
  }
  encode(text.substr(begin));
}

Merge Encoder::sentencepiece_merge(std::string_view word, const Symbol& left, const Symbol& right) {
  const size_t size = size_t{left.size} + right.size;
  if (size > vocabulary_.longest_piece) return {};
  const std::string_view piece = word.substr(left.begin, size);
  const int32_t id = vocabulary_.find_mergeable(piece);
  if (id < 0) return {};
  if (vocabulary_.types[static_cast<size_t>(id)] == TokenType::kUnused)
    unused_splits_.emplace_back(piece, left.size);
  return {priority_of_score(static_cast<float>(vocabulary_.scores[static_cast<size_t>(id)])), id};
}

void Encoder::encode_characters(std::string_view word) {
  const bool scored = vocabulary_.algorithm == Algorithm::kSentencePieceBpe;
  if (vocabulary_.whole_words_first && word.size() <= kMaxPieceBytes)
    if (const int32_t id = vocabulary_.index.find(word);
        id >= 0 && vocabulary_.types[static_cast<size_t>(id)] == TokenType::kNormal) {
      ids_.push_back(id);
      last_was_unknown_ = false;
      return;
    }
  symbols_.clear();
  unused_splits_.clear();
  for (size_t at = 0; at < word.size();) {
    const uint8_t size = character_size(word.substr(at));
    const std::string_view character = word.substr(at, size);
    const int32_t id = scored ? vocabulary_.find_mergeable(character) : vocabulary_.index.find(character);
    symbols_.push_back({static_cast<uint32_t>(at), size, id});
    at += size;
  }
  if (scored) {
    merge_symbols(
        symbols_,
        [&](const Symbol& left, const Symbol& right) { return sentencepiece_merge(word, left, right); },
        [&] { return stopping(1); }, scratch_);
    std::sort(unused_splits_.begin(), unused_splits_.end());
  } else {
    merge_symbols(
        symbols_,
        [&](const Symbol& left, const Symbol& right) { return vocabulary_.merges.find(left.id, right.id); },
        [&] { return stopping(1); }, scratch_);
  }
  if (stopped_) return;
  for (const Symbol& symbol : symbols_) emit(word, symbol);
}

// Tokens marked unused are taken apart again the way they were merged, as SentencePiece does.
void Encoder::emit(std::string_view word, const Symbol& symbol) {
  if (symbol.id >= 0 && vocabulary_.types[static_cast<size_t>(symbol.id)] != TokenType::kUnused) {
    ids_.push_back(symbol.id);
    last_was_unknown_ = false;
    return;
  }
  std::vector<Symbol> pending = {symbol};
  while (!pending.empty()) {
    const Symbol next = pending.back();
    pending.pop_back();
    const std::string_view text = word.substr(next.begin, next.size);
    if (next.id < 0) {
      emit_unknown(text);
      continue;
    }
    if (vocabulary_.types[static_cast<size_t>(next.id)] == TokenType::kUnused) {
      const auto split =
          std::lower_bound(unused_splits_.begin(), unused_splits_.end(), text,
                           [](const auto& entry, std::string_view piece) { return entry.first < piece; });
      if (split != unused_splits_.end() && split->first == text) {
        const uint32_t left_size = split->second;
        pending.push_back({next.begin + left_size, next.size - left_size,
                           vocabulary_.find_mergeable(text.substr(left_size))});
        pending.push_back({next.begin, left_size, vocabulary_.find_mergeable(text.substr(0, left_size))});
        continue;
      }
    }
    ids_.push_back(next.id);
    last_was_unknown_ = false;
  }
}

void Encoder::emit_unknown(std::string_view character) {
  const auto has_byte = [&](char c) { return vocabulary_.byte_tokens[static_cast<uint8_t>(c)] >= 0; };
  if (vocabulary_.byte_fallback && std::all_of(character.begin(), character.end(), has_byte)) {
    for (char c : character) ids_.push_back(vocabulary_.byte_tokens[static_cast<uint8_t>(c)]);
    last_was_unknown_ = false;
    return;
  }
  if (!vocabulary_.unknown_in_text) return;
  if (!(last_was_unknown_ && vocabulary_.fuses_unknown)) ids_.push_back(*vocabulary_.unknown_in_text);
  last_was_unknown_ = true;
}

// Viterbi over the pieces that begin at each character; sums in the reference's order and precision, so that ties fall its way.
template <typename Score>
void Encoder::encode_unigram(std::string_view text) {
  struct Node {
    Score score = 0;
    int32_t id = -1;  // -1: an unknown character
    int64_t begin = -1;
  };
  std::vector<Node> nodes(text.size() + 1);
  nodes[0].begin = 0;
  for (size_t at = 0; at < text.size();) {
    const Score here = nodes[at].score;
    const size_t one = character_size(text.substr(at));
    bool has_one = false;
    const auto relax = [&](size_t size, int32_t id, Score score) {
      Node& node = nodes[at + size];
      if (node.begin >= 0 && !(here + score > node.score)) return;
      node = {here + score, id, static_cast<int64_t>(at)};
    };
    vocabulary_.unigram.for_each_prefix(text.substr(at), [&](int32_t id, size_t size) {
      relax(size, id, static_cast<Score>(vocabulary_.scores[static_cast<size_t>(id)]));
      has_one = has_one || size == one;
    });
    if (!has_one) relax(one, -1, static_cast<Score>(vocabulary_.unknown_score));
    if (stopping(one)) return;
    at += one;
  }
  symbols_.clear();
  for (size_t end = text.size(); end > 0;) {
    const auto begin = static_cast<size_t>(nodes[end].begin);
    symbols_.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end - begin), nodes[end].id});
    end = begin;
  }
  for (size_t i = symbols_.size(); i-- > 0;) emit(text, symbols_[i]);
}

}  // namespace weft
