/// Writes variants of a GGUF model: weights of another type, other texts in its metadata, fewer layers. What is not said
/// stays as it is. Tensors are converted and written one after another, so that memory holds the header and one of them.
///
///   write_variant(smollm2, {.matrices = WeightFormat::kF16}, folder / "f16.gguf");
#ifndef WEFT_TESTS_TEXT_MODEL_VARIANT_H
#define WEFT_TESTS_TEXT_MODEL_VARIANT_H

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "modalities/weights/weight_file.h"

namespace weft::testing {

struct ModelVariant {
  std::optional<WeightFormat> matrices = {};      // kF32 or kF16; vectors stay as they are
  std::map<std::string, std::string> texts = {};  // metadata keys and their new strings
  uint32_t layers = 0;                            // the first ones only; 0: all
};

/// Throws std::runtime_error if the model cannot be read or the variant not written.
void write_variant(const std::filesystem::path& model, const ModelVariant& variant,
                   const std::filesystem::path& output);

}  // namespace weft::testing
#endif
