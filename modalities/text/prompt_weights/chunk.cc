#include <algorithm>
#include <optional>

#include "modalities/text/prompt_weights/prompt_weights.h"

namespace weft {
namespace {

constexpr int64_t kCommaLookback = 20;    // tokens, stable-diffusion-webui's default
constexpr int64_t kLongestKeptWhole = 7;  // tokens, ComfyUI's max_word_length - 1

struct Piece {
  TokenId token = 0;
  float weight = 1;
};

class Chunker {
 public:
  Chunker(PromptNotation notation, const Tokenizer& tokenizer, int64_t length)
      : notation_(notation), tokenizer_(tokenizer), room_(static_cast<size_t>(length - 2)) {
    const Result<std::vector<TokenId>> comma = tokenizer.encode(",");
    if (comma.ok() && comma->size() == 1) comma_ = comma->front();
  }

  Status add(const PromptPart& part, std::span<const LearnedToken> learned) {
    if (part.kind == PromptPart::Kind::kBreak) {
      end_chunk();
      return {};
    }
    std::vector<Piece> pieces;
    std::string_view text = part.text;
    size_t begin = 0;
    for (size_t at = 0; at < text.size();) {
      const LearnedToken* found = learned_at(text, at, learned);
      if (found == nullptr) {
        ++at;
        continue;
      }
      if (Status status = encode(text.substr(begin, at - begin), part.weight, pieces); !status.ok())
        return status;
      for (int32_t i = 0; i < found->n_ids; ++i) pieces.push_back({found->first_id + i, part.weight});
      at += found->name.size();
      begin = at;
    }
    if (Status status = encode(text.substr(begin), part.weight, pieces); !status.ok()) return status;
    append(pieces);
    return {};
  }

  std::vector<std::vector<Piece>> finish() {
    if (!current_.empty() || chunks_.empty()) end_chunk();
    return std::move(chunks_);
  }

 private:
  Status encode(std::string_view text, float weight, std::vector<Piece>& pieces) const {
    Result<std::vector<TokenId>> ids = tokenizer_.encode(text, {.control_text = ControlText::kIsToken});
    if (!ids.ok()) return ids.status();
    for (const TokenId id : *ids) pieces.push_back({id, weight});
    return {};
  }

  static bool is_name(std::string_view text, size_t at) {
    const auto c = static_cast<unsigned char>(text[at]);
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
  }
  // The longest learned token whose name stands at `at`, not within a longer word.
  static const LearnedToken* learned_at(std::string_view text, size_t at,
                                        std::span<const LearnedToken> learned) {
    const LearnedToken* best = nullptr;
    for (const LearnedToken& token : learned) {
      if (token.name.empty() || !text.substr(at).starts_with(token.name)) continue;
      const size_t end = at + token.name.size();
      const bool begins = at == 0 || !is_name(text, at - 1) || !is_name(text, at);
      const bool ends = end == text.size() || !is_name(text, end) || !is_name(text, end - 1);
      const bool longer = best == nullptr || token.name.size() > best->name.size();
      if (begins && ends && longer) best = &token;
    }
    return best;
  }

  void append(const std::vector<Piece>& pieces) {
    const bool kept_whole = notation_ == PromptNotation::kComfyUi &&
                            static_cast<int64_t>(pieces.size()) <= kLongestKeptWhole &&
                            current_.size() + pieces.size() > room_;
    if (kept_whole && !current_.empty()) end_chunk();
    const bool looks_back = notation_ == PromptNotation::kA1111 || notation_ == PromptNotation::kNovelAi;
    for (const Piece& piece : pieces) {
      if (current_.size() == room_) {
        std::vector<Piece> moved;
        const bool can_move = looks_back && comma_end_ > 0 && piece.token != comma_ &&
                              static_cast<int64_t>(current_.size() - comma_end_) <= kCommaLookback;
        if (can_move) {
          moved.assign(current_.begin() + static_cast<ptrdiff_t>(comma_end_), current_.end());
          current_.resize(comma_end_);
        }
        end_chunk();
        current_ = std::move(moved);
      }
      current_.push_back(piece);
      if (comma_ && piece.token == *comma_) comma_end_ = current_.size();
    }
  }

  void end_chunk() {
    chunks_.push_back(std::move(current_));
    current_.clear();
    comma_end_ = 0;
  }

  PromptNotation notation_;
  const Tokenizer& tokenizer_;
  size_t room_;
  std::optional<TokenId> comma_;
  std::vector<Piece> current_;
  size_t comma_end_ = 0;  // after the last comma of current_; 0: none
  std::vector<std::vector<Piece>> chunks_;
};

// Beginning, pieces, end, padding.
void append_chunk(PromptChunks& chunks, const std::vector<Piece>& pieces, const Tokenizer& tokenizer,
                  int64_t length) {
  const SpecialTokens& special = tokenizer.special();
  const size_t end = chunks.tokens.size() + static_cast<size_t>(length);
  const auto put = [&](TokenId token, float weight) {
    chunks.tokens.push_back(token);
    chunks.weights.push_back(weight);
  };
  put(*special.bos, 1);
  for (const Piece& piece : pieces) put(piece.token, piece.weight);
  put(*special.eos, 1);
  while (chunks.tokens.size() < end) put(special.padding.value_or(*special.eos), 1);
  ++chunks.n_chunks;
}

}  // namespace

bool PromptChunks::is_weighted() const {
  return std::any_of(weights.begin(), weights.end(), [](float weight) { return weight != 1; });
}

Result<PromptChunks> chunk_prompt(std::span<const PromptPart> parts, PromptNotation notation,
                                  const Tokenizer& tokenizer, int64_t length,
                                  std::span<const LearnedToken> learned, int64_t max_chunks) {
  if (length < 3) {
    return Status(StatusCode::kInvalidArgument, "the text encoder has no room for a prompt")
        .expected("at least 3 positions")
        .got(std::to_string(length));
  }
  if (!tokenizer.special().bos || !tokenizer.special().eos) {
    return Status(StatusCode::kUnsupported, "a tokenizer without beginning and end of a text is not CLIP's");
  }
  Chunker chunker(notation, tokenizer, length);
  for (const PromptPart& part : parts) {
    if (Status status = chunker.add(part, learned); !status.ok()) return status;
  }
  const std::vector<std::vector<Piece>> pieces = chunker.finish();
  if (static_cast<int64_t>(pieces.size()) > max_chunks) {
    return Status(StatusCode::kOutOfRange, "the prompt is too long")
        .expected("at most " + std::to_string(max_chunks) + " chunks of " + std::to_string(length - 2) +
                  " tokens")
        .got(std::to_string(pieces.size()));
  }
  PromptChunks chunks;
  for (const std::vector<Piece>& chunk : pieces) append_chunk(chunks, chunk, tokenizer, length);
  return chunks;
}

void pad_chunks(PromptChunks& chunks, const Tokenizer& tokenizer, int64_t length, int64_t n_chunks) {
  while (chunks.n_chunks < n_chunks) append_chunk(chunks, {}, tokenizer, length);
}

}  // namespace weft
