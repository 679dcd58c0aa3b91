/// The text encoder that was trained beside an image encoder, with its tokenizer: CLIP's or SigLIP's.
///
/// Ownership: borrows the WeightFile. Thread safety: const members from any thread, once the network is loaded.
#ifndef WEFT_PLUGINS_VISION_TEXT_TOWER_H
#define WEFT_PLUGINS_VISION_TEXT_TOWER_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kernels/networks/clip_text/clip_text.h"
#include "modalities/text/tokenizer/tokenizer.h"
#include "modalities/weights/weight_file.h"

namespace weft::vision {

struct TextTower {
  /// How a text becomes tokens, and logits probabilities.
  enum class Kind : uint8_t {
    kClip,    // tokens around it; texts compete
    kSiglip,  // lower case without punctuation, an end token, padded to all positions; each text is true or not
    kSiglip2,  // the same with punctuation
  };

  ClipText network;
  Tokenizer tokenizer;
  Kind kind = Kind::kClip;
  /// What a cosine becomes: scale * cosine + bias.
  double scale = 1, bias = 0;

  /// None if the file has no text tower. Headers only. Errors: those of the configuration, of ClipText::open() and of the
  /// tokenizer.
  static Result<std::optional<TextTower>> open(const WeightFile& file, DType compute);

  /// Cut to what the network reads: the end token stays. *n_cut grows by 1 then. Errors: those of Tokenizer::encode().
  Result<std::vector<TokenId>> tokens_of(const std::string& text, const std::function<bool()>& cancelled,
                                         int64_t* n_cut) const;
  bool texts_compete() const { return kind == Kind::kClip; }
};

}  // namespace weft::vision
#endif
