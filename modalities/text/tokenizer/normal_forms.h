/// Texts in one of several equivalent spellings: composed, decomposed, lower case. What is not UTF-8 stays as it is.
/// Linear in the text. Unicode data of utf8proc.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_NORMAL_FORMS_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_NORMAL_FORMS_H

#include <string>
#include <string_view>

namespace weft {

/// Canonical composition (NFC) and decomposition (NFD).
void append_nfc(std::string& out, std::string_view text);
void append_nfd(std::string& out, std::string_view text);

/// Character by character, without regard to the neighbours.
void append_lower_case(std::string& out, std::string_view text);

}  // namespace weft
#endif
