/// Pictures in a prompt: where messages show them, where the chat template wrote them, and which tokens stand for them.
///
/// A message shows a picture by a part {"type": "image"} of its content, as in transformers; pictures are shown in the order in which they
/// are given. Marks in content are content, unless the node's parse_special asks otherwise. Thread safety: pure functions.
#ifndef WEFT_PLUGINS_TEXT_PICTURE_PROMPT_H
#define WEFT_PLUGINS_TEXT_PICTURE_PROMPT_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "modalities/text/chat_template/chat_template.h"
#include "modalities/text/tokenizer/tokenizer.h"
#include "plugins/text/picture_reader.h"

namespace weft::text {

/// Puts the pictures that no message shows into the user's last turn, before its text. Errors: kInvalidArgument (more shown than there are;
/// fewer, where the last turn shows some itself; no turn of the user).
Status show_pictures(nlohmann::ordered_json& messages, int64_t n_pictures);

/// Contents that are texts become lists of one part, which is what templates that show pictures iterate over.
void contents_to_parts(nlohmann::ordered_json& messages);

/// A rendered chat as the tokenizer reads it: `ranges` are where control tokens may stand.
struct TrustedText {
  std::string text;
  std::vector<TextRange> ranges;
};
/// Replaces marks in template text, or with control_text kIsToken anywhere, by what stands for a picture. Errors: kInvalidArgument (more
/// marks than pictures), kUnsupported (the template does not show them all).
Result<TrustedText> place_pictures(const RenderedChat& chat, ControlText control_text,
                                   const PictureReader* reader, int64_t n_pictures);

/// Where the image tokens of each picture begin. Errors: kInvalidArgument where there are not as many as the pictures have rows.
Result<std::vector<int64_t>> picture_places(std::span<const TokenId> tokens, const PictureReader& reader,
                                            int64_t n_pictures);

}  // namespace weft::text
#endif
