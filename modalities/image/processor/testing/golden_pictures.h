/// The pictures of scripts/make_golden/vision.py, made here from their sizes alone, and its tensors.
#ifndef WEFT_MODALITIES_IMAGE_PROCESSOR_TESTING_GOLDEN_PICTURES_H
#define WEFT_MODALITIES_IMAGE_PROCESSOR_TESTING_GOLDEN_PICTURES_H

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/layers/weight_source.h"
#include "modalities/image/image.h"
#include "modalities/weights/weight_file.h"

namespace weft::testing {

/// Bytes that change smoothly in one half and abruptly in the other.
inline std::vector<uint8_t> golden_picture(int width, int height, int channels = 3, int salt = 0) {
  std::vector<uint8_t> pixels;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c) {
        const int smooth = (x * 3 + y * 5 + c * 40 + salt) % 256;
        const int abrupt = (x * 37 + y * 91 + c * 53 + salt * 17) / 16 % 2 * 255;
        pixels.push_back(static_cast<uint8_t>(2 * x < width ? smooth : abrupt));
      }
  return pixels;
}

/// A tensor in f32.
inline std::vector<float> golden_tensor(const std::string& path, const std::string& name) {
  const Result<WeightFile> file = WeightFile::open(path);
  if (!file.ok()) throw std::runtime_error(to_string(file.error()));
  const WeightSource source = WeightSource::all_of(*file);
  if (source.find(name) == nullptr) throw std::runtime_error("no tensor " + name + " in " + path);
  std::vector<float> values(static_cast<size_t>(source.find(name)->count()));
  source.read_stored(name, values.data());
  return values;
}

}  // namespace weft::testing
#endif
