/// From pictures to what an image encoder reads: resized, cropped, normalised, as the Hugging Face processor that
/// preprocessor_config.json describes does it.
///
/// Every byte before normalisation is within 1 of the one that transformers and Pillow give. As there, what is
/// transparent lies on white, gray is repeated, and what a crop has beyond the picture is black. Pictures of f32 are rounded to bytes first.
/// Ownership: a value. Thread safety: const; each call with its own target.
///
///   Result<PictureProcessor> processor = PictureProcessor::read(folder / "preprocessor_config.json");
///   processor->run(picture, 0, pixels, [] { return false; });   // pixels: [height, width, 3]
#ifndef WEFT_MODALITIES_IMAGE_PROCESSOR_PICTURE_PROCESSOR_H
#define WEFT_MODALITIES_IMAGE_PROCESSOR_PICTURE_PROCESSOR_H

#include <weft/sdk/status.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "modalities/image/picture_value.h"
#include "modalities/image/resize.h"

namespace weft {

struct PictureProcessor {
  enum class Fit : uint8_t { kNone, kShortestEdge, kStretch };

  Fit fit = Fit::kShortestEdge;
  int64_t edge = 224;                                     // kShortestEdge: of the resized picture
  int64_t stretched_height = 224, stretched_width = 224;  // kStretch
  int64_t height = 224, width = 224;                      // of the result, cut out of the middle
  ResizeFilter filter = ResizeFilter::kBicubic;
  float scale = 1.0f / 255;
  std::array<float, 3> mean = {0, 0, 0}, deviation = {1, 1, 1};

  /// Errors: kNotFound, kCorruptData, kUnsupported (another processor, a switch that is not there), naming file and key.
  static Result<PictureProcessor> read(const std::filesystem::path& config);

  /// pixels: [height, width, 3] f32 of picture `index`. Ends early, with nothing defined, once cancelled() is true. May throw
  /// std::bad_alloc.
  void run(const Picture& picture, int64_t index, float* pixels,
           const std::function<bool()>& cancelled) const;
};

}  // namespace weft
#endif
