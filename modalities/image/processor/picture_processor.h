/// From pictures to what an image encoder reads: resized, cropped, normalised, as the Hugging Face processor that
/// preprocessor_config.json describes does it, or OpenCLIP as its open_clip_config.json says.
///
/// Every byte before normalisation is within 1 of the one that transformers, or open_clip, and Pillow give. As with transformers, what is
/// transparent lies on white, gray is repeated, and what a crop has beyond the picture is black. Pictures of f32 are rounded to bytes first.
/// Ownership: a value. Thread safety: const; each call with its own target.
///
///   Result<PictureProcessor> processor = PictureProcessor::read(folder / "preprocessor_config.json");
///   processor->run(picture, 0, pixels, [] { return false; });   // pixels: [height, width, 3]
///
/// Source of Fit::kPatches: transformers' Siglip2ImageProcessor, the largest size of at most so many patches that keeps the shape.
#ifndef WEFT_MODALITIES_IMAGE_PROCESSOR_PICTURE_PROCESSOR_H
#define WEFT_MODALITIES_IMAGE_PROCESSOR_PICTURE_PROCESSOR_H

#include <weft/sdk/status.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "modalities/image/picture_value.h"
#include "modalities/image/resize.h"
#include "modalities/weights/metadata.h"

namespace weft {

struct PictureProcessor {
  enum class Fit : uint8_t { kNone, kShortestEdge, kLongestEdge, kStretch, kPatches };
  /// Of half pixels when the middle is cut out, or has a border put around it.
  enum class Rounding : uint8_t {
    kDown,    // transformers
    kToEven,  // torchvision; a border is the narrower one at the top and left
  };

  Fit fit = Fit::kShortestEdge;
  int64_t edge = 224;  // kShortestEdge, kLongestEdge: of the resized picture
  int64_t stretched_height = 224, stretched_width = 224;  // kStretch
  int64_t patch_size = 16, max_patches = 256;             // kPatches
  int64_t height = 224, width = 224;  // of the result, cut out of the middle; 0 with kPatches: it has its own
  Rounding rounding = Rounding::kDown;
  ResizeFilter filter = ResizeFilter::kBicubic;
  float scale = 1.0f / 255;
  std::array<float, 3> mean = {0, 0, 0}, deviation = {1, 1, 1};

  /// Errors: kNotFound, kCorruptData, kUnsupported (another processor, a switch that is not there), naming file and key.
  static Result<PictureProcessor> read(const std::filesystem::path& config);
  /// image_size: of the encoder's pictures, which counts and not the "size" of preprocess_cfg: so it is in open_clip. Errors:
  /// kCorruptData, kUnsupported, naming file and key.
  static Result<PictureProcessor> of_open_clip(const Metadata& config, int64_t image_size);

  struct Size {
    int64_t height, width;
  };
  /// Of what run() makes of such a picture; with kPatches whole patches.
  Size result_size(const ImageShape& picture) const;

  /// pixels: [height, width, 3] f32 of picture `index`, with kPatches patch by patch. Ends early, with nothing defined,
  /// once cancelled() is true. May throw std::bad_alloc.
  void run(const Picture& picture, int64_t index, float* pixels,
           const std::function<bool()>& cancelled) const;
};

}  // namespace weft
#endif
