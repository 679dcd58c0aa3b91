#include "plugins/image/prompt_encoding.h"

#include <algorithm>
#include <string>
#include <vector>

#include "modalities/text/prompt_weights/apply.h"

namespace weft::image {
namespace {

bool is_xl(const DiffusionModel& model) {
  return model.kind() == DiffusionKind::kSdxl || model.kind() == DiffusionKind::kSdxlRefiner;
}

int64_t context_width(const DiffusionModel& model) { return model.unet().config().context_width; }

// Sequences of one text encoder: all chunks, and an empty prompt that ComfyUI's weights start from.
int64_t most_sequences(int64_t prompts, int64_t max_chunks) { return prompts * max_chunks + 1; }

struct EncoderScratch {
  std::span<float> hidden, pooled;
  std::span<std::byte> workspace;
};

EncoderScratch place(Scratch& scratch, const DiffusionModel& model, const TextEncoder& encoder,
                     int64_t sequences, int64_t length, int64_t pooled_width, uint32_t n_threads) {
  EncoderScratch s;
  s.hidden = scratch.take<float>(sequences * length * encoder.network.config().width);
  s.pooled = scratch.take<float>(sequences * pooled_width);
  s.workspace =
      scratch.take_for_network(text_workspace_bytes(model, encoder.network, sequences, length, n_threads));
  return s;
}

class PromptEncoder {
 public:
  PromptEncoder(ModelCompute& compute, const PromptOptions& options, const StopRequest& stop)
      : compute_(compute),
        model_(compute.model()),
        options_(options),
        stop_(stop),
        length_(model_.chunk_length()) {}

  Status run(std::span<const PromptText> prompts, EncodedPrompts& result) {
    int64_t column = 0;
    for (size_t e = 0; e < model_.text_encoders().size(); ++e) {
      const bool is_last = e + 1 == model_.text_encoders().size();
      const TextEncoder& encoder = model_.text_encoders()[e];
      if (Status status = run_encoder(encoder, prompts, column, is_last, result); !status.ok()) {
        return status;
      }
      column += encoder.network.config().width;
    }
    return {};
  }

 private:
  Result<std::vector<PromptChunks>> chunks_of(const TextEncoder& encoder,
                                              std::span<const PromptText> prompts) const {
    std::vector<PromptChunks> all;
    int64_t longest = options_.min_chunks;
    for (const PromptText& prompt : prompts) {
      Result<PromptChunks> chunks =
          chunk_prompt(parse_prompt(prompt.text, options_.notation), options_.notation, encoder.tokenizer,
                       length_, encoder.learned, options_.max_chunks);
      if (!chunks.ok()) {
        return Status(chunks.status()).hint("max_chunks allows more; the picture then needs more memory");
      }
      longest = std::max(longest, chunks->n_chunks);
      all.push_back(*std::move(chunks));
    }
    for (PromptChunks& chunks : all) pad_chunks(chunks, encoder.tokenizer, length_, longest);
    return all;
  }

  Status run_encoder(const TextEncoder& encoder, std::span<const PromptText> prompts, int64_t column,
                     bool is_last, EncodedPrompts& result) {
    Scratch& scratch = compute_.scratch();
    Result<std::vector<PromptChunks>> chunks = chunks_of(encoder, prompts);
    if (!chunks.ok()) return chunks.status();
    const int64_t n_chunks = chunks->front().n_chunks, width = encoder.network.config().width;
    if (column == 0) result.n_tokens = n_chunks * length_;
    if (result.n_tokens != n_chunks * length_) {
      return Status(StatusCode::kUnsupported,
                    "the two tokenizers cut this prompt into different numbers of chunks");
    }
    std::vector<TokenId> tokens;
    bool weighted = false;
    for (const PromptChunks& c : *chunks) {
      tokens.insert(tokens.end(), c.tokens.begin(), c.tokens.end());
      weighted = weighted || c.is_weighted();
    }
    const bool from_empty = weighted && options_.notation == PromptNotation::kComfyUi;
    if (from_empty) {
      PromptChunks empty;
      pad_chunks(empty, encoder.tokenizer, length_, 1);
      tokens.insert(tokens.end(), empty.tokens.begin(), empty.tokens.end());
    }

    const Scratch::Mark mark = scratch.mark();
    const auto sequences = static_cast<int64_t>(tokens.size()) / length_;
    const int64_t pooled_width = is_last ? model_.pooled_width() : 0;
    EncoderScratch s =
        place(scratch, model_, encoder, sequences, length_, pooled_width, compute_.executor().max_threads());
    const ClipTextInputs inputs{.tokens = tokens,
                                .n_sequences = sequences,
                                .extra_embeddings = encoder.learned_embeddings.data(),
                                .n_extra = static_cast<int64_t>(encoder.learned_embeddings.size()) / width,
                                .skipped_layers = options_.clip_skip + (is_xl(model_) ? 1 : 0),
                                .final_norm = !is_xl(model_)};
    const ClipTextOutputs outputs{.hidden = s.hidden.data(),
                                  .pooled = pooled_width > 0 ? s.pooled.data() : nullptr};
    Status status = compute_.encode_text(encoder.network, inputs, outputs, s.workspace, stop_);
    if (!status.ok()) return status;
    if (weighted) weigh(*chunks, from_empty, s.hidden, width);
    copy(prompts, n_chunks, width, column, s, pooled_width, result);
    scratch.release(mark);
    return {};
  }

  void weigh(const std::vector<PromptChunks>& chunks, bool from_empty, std::span<float> hidden,
             int64_t width) const {
    const auto chunk_size = static_cast<size_t>(length_ * width);
    const std::span<const float> empty = hidden.last(chunk_size);
    const auto interpretation =
        from_empty ? WeightInterpretation::kFromEmpty : WeightInterpretation::kMeanKept;
    size_t sequence = 0;
    for (const PromptChunks& prompt : chunks) {
      for (int64_t c = 0; c < prompt.n_chunks; ++c, ++sequence) {
        const auto weights = std::span<const float>(prompt.weights)
                                 .subspan(static_cast<size_t>(c * length_), static_cast<size_t>(length_));
        const bool plain = std::all_of(weights.begin(), weights.end(), [](float w) { return w == 1; });
        if (plain) continue;
        apply_weights(interpretation, hidden.subspan(sequence * chunk_size, chunk_size), weights, empty,
                      width);
      }
    }
  }

  void copy(std::span<const PromptText> prompts, int64_t n_chunks, int64_t width, int64_t column,
            const EncoderScratch& s, int64_t pooled_width, EncodedPrompts& result) const {
    const int64_t total = context_width(model_);
    for (size_t p = 0; p < prompts.size(); ++p) {
      const bool zeros = !prompts[p].is_given && model_.zeros_for_empty_prompt();
      const int64_t rows = n_chunks * length_, first = static_cast<int64_t>(p) * rows;
      for (int64_t row = first; row < first + rows; ++row) {
        float* to = result.hidden.data() + row * total + column;
        if (zeros) std::fill_n(to, width, 0.0f);
        else std::copy_n(s.hidden.data() + row * width, width, to);
      }
      if (pooled_width == 0) continue;
      float* to = result.pooled.data() + static_cast<int64_t>(p) * pooled_width;
      // Of the first chunk, as diffusers has but one.
      const float* from = s.pooled.data() + static_cast<int64_t>(p) * n_chunks * pooled_width;
      if (zeros) std::fill_n(to, pooled_width, 0.0f);
      else std::copy_n(from, pooled_width, to);
    }
  }

  ModelCompute& compute_;
  const DiffusionModel& model_;
  const PromptOptions& options_;
  const StopRequest& stop_;
  int64_t length_;
};

}  // namespace

EncodedPrompts place_prompts(Scratch& scratch, const DiffusionModel& model, int64_t prompts,
                             int64_t max_chunks) {
  EncodedPrompts result;
  result.n_tokens = max_chunks * model.chunk_length();
  result.hidden = scratch.take<float>(prompts * result.n_tokens * context_width(model));
  result.pooled = scratch.take<float>(prompts * model.pooled_width());
  return result;
}

void measure_encoding(Scratch& scratch, const DiffusionModel& model, int64_t prompts, int64_t max_chunks,
                      uint32_t n_threads) {
  for (const TextEncoder& encoder : model.text_encoders()) {
    for (int64_t sequences = prompts; sequences <= most_sequences(prompts, max_chunks); ++sequences) {
      const Scratch::Mark mark = scratch.mark();
      place(scratch, model, encoder, sequences, model.chunk_length(), model.pooled_width(), n_threads);
      scratch.release(mark);
    }
  }
}

Status encode_prompts(ModelCompute& compute, std::span<const PromptText> prompts,
                      const PromptOptions& options, EncodedPrompts& result, const StopRequest& stop) {
  const Result<ModelStages::Use> use = compute.enter(ModelStage::kText, stop);
  if (!use.ok()) return use.status();
  return PromptEncoder(compute, options, stop).run(prompts, result);
}

int64_t chunk_bound(const DiffusionModel& model, int64_t max_bytes, int64_t limit) {
  if (max_bytes == WEFT_UNBOUNDED) return limit;
  // A token is at least one byte; BREAK and its neighbours can end a chunk early, at most one each six bytes.
  const int64_t room = model.chunk_length() - 2;
  return std::min(limit, 1 + max_bytes / std::min<int64_t>(room, 6));
}

}  // namespace weft::image
