/// Any picture as red, green and blue bytes, which is what encoders and classifiers of pictures begin with.
///
/// Gray is repeated, what is transparent lies on white, linear values are encoded as sRGB, f32 is rounded to bytes.
/// Ownership: the view points into the picture where that has such bytes already, else into `converted`. Thread safety: no shared
/// state. May throw std::bad_alloc.
#ifndef WEFT_MODALITIES_IMAGE_RGB_BYTES_H
#define WEFT_MODALITIES_IMAGE_RGB_BYTES_H

#include <cstdint>
#include <vector>

#include "modalities/image/picture_value.h"

namespace weft {

/// Picture `index` of the batch, u8 [1, height, width, 3].
ImageView rgb_bytes(const Picture& picture, int64_t index, std::vector<uint8_t>& converted);

}  // namespace weft
#endif
