/// How alike two pictures look, as a number.
///
/// Thread safety: no shared state; computes on the calling thread.
#ifndef WEFT_MODALITIES_IMAGE_OPENCV_STRUCTURAL_SIMILARITY_H
#define WEFT_MODALITIES_IMAGE_OPENCV_STRUCTURAL_SIMILARITY_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>

#include "modalities/image/image.h"

namespace weft {

/// Bytes that OpenCV takes meanwhile, for pictures of that width.
uint64_t structural_similarity_bytes(int64_t width);

/// The mean structural similarity index (SSIM), 1 for equal pictures, over all pictures, channels and places where the
/// window lies within the picture (all places of pictures smaller than the window, mirrored at their edges).
/// a, b: of equal shape, values in 0..1. Window: Gaussian, 11 x 11, deviation 1.5; K1 = 0.01, K2 = 0.03; computed in f64.
/// cancelled: asked every few milliseconds. Errors: kCancelled, kOutOfMemory.
/// Source: Wang, Bovik, Sheikh, Simoncelli 2004, IEEE Transactions on Image Processing 13(4).
Result<double> structural_similarity(const ImageView& a, const ImageView& b,
                                     const std::function<bool()>& cancelled);

}  // namespace weft
#endif
