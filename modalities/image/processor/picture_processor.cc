#include "modalities/image/processor/picture_processor.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/image/rgb_bytes.h"
#include "modalities/weights/json_file.h"
#include "modalities/weights/metadata_reader.h"

namespace weft {
namespace {

// What a processor does where its file says nothing; names without ImageProcessor, ImageProcessorFast, FeatureExtractor.
struct Kind {
  std::string_view name;
  bool square;  // of a size that is one number: both sides, instead of the shorter one
  bool crops;
  bool patches = false;  // keeps shapes
};
constexpr Kind kKinds[] = {{"CLIP", false, true},  {"Siglip", true, false}, {"Siglip2", true, false, true},
                           {"ViT", true, false},   {"DeiT", true, true},    {"Gemma3", true, false},
                           {"Llava", false, true}, {"Bit", false, true}};

const Kind* kind_named(std::string_view name) {
  for (const std::string_view ending :
       {"ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor"})
    if (name.ends_with(ending)) {
      name.remove_suffix(ending.size());
      break;
    }
  for (const Kind& kind : kKinds)
    if (kind.name == name) return &kind;
  return nullptr;
}

// The numbers of Pillow's filters.
std::optional<ResizeFilter> filter_of(int64_t number) {
  switch (number) {
    case 0: return ResizeFilter::kNearest;
    case 1: return ResizeFilter::kLanczos;
    case 2: return ResizeFilter::kBilinear;
    case 3: return ResizeFilter::kBicubic;
    default: return std::nullopt;
  }
}

class Config {
 public:
  explicit Config(const Metadata& metadata) : metadata_(metadata), reader_(metadata) {}

  Result<PictureProcessor> read() {
    const std::string old = reader_.text_or("feature_extractor_type", "CLIPImageProcessor");
    const std::string type = reader_.text_or("image_processor_type", old);
    const Kind* kind = kind_named(type);
    if (kind == nullptr) {
      reader_.unsupported(
          "image_processor_type", type,
          "CLIP, Siglip, Siglip2, ViT, DeiT, Bit, Gemma3 or Llava, and ImageProcessor behind it");
      return reader_.status();
    }
    if (kind->patches) {
      read_patches();
    } else {
      read_size(*kind);
      read_crop(*kind);
    }
    read_filter(*kind);
    read_values();
    if (!reader_.status().ok()) return reader_.status();
    return out_;
  }

 private:
  int64_t side(std::string_view key) { return reader_.size(key, kMostSide); }

  void read_size(const Kind& kind) {
    if (!reader_.flag_or("do_resize", true)) {
      out_.fit = PictureProcessor::Fit::kNone;
    } else if (reader_.has("size.shortest_edge")) {
      if (reader_.has("size.longest_edge"))
        reader_.unsupported("size", "longest_edge", "shortest_edge alone");
      out_.edge = side("size.shortest_edge");
    } else if (reader_.has("size")) {
      out_.edge = out_.stretched_height = out_.stretched_width = side("size");
      if (kind.square) out_.fit = PictureProcessor::Fit::kStretch;
    } else {
      out_.fit = PictureProcessor::Fit::kStretch;
      out_.stretched_height = side("size.height");
      out_.stretched_width = side("size.width");
    }
  }

  void read_patches() {
    out_.fit = PictureProcessor::Fit::kPatches;
    out_.height = out_.width = 0;
    if (!reader_.flag_or("do_resize", true)) reader_.unsupported("do_resize", "false", "true");
    out_.patch_size = reader_.size_or("patch_size", 16);
    out_.max_patches = reader_.size_or("max_num_patches", 256);
    const int64_t most = kMostSide / std::min(out_.patch_size, kMostSide);  // a side
    if (out_.patch_size > kMostSide || out_.max_patches > most * most)
      reader_.unsupported("max_num_patches", std::to_string(out_.max_patches),
                          "patches that fill at most 16384 x 16384 pixels");
  }

  void read_filter(const Kind& kind) {
    const Result<int64_t> filter = metadata_.integer_or("resample", kind.square ? 2 : 3);
    const std::optional<ResizeFilter> known = filter.ok() ? filter_of(*filter) : std::nullopt;
    if (known) out_.filter = *known;
    else reader_.unsupported("resample", filter.ok() ? std::to_string(*filter) : "no number", "0, 1, 2 or 3");
  }

  void read_crop(const Kind& kind) {
    const bool stretches = out_.fit == PictureProcessor::Fit::kStretch;
    if (!reader_.flag_or("do_center_crop", kind.crops)) {
      if (!stretches)
        reader_.unsupported("do_center_crop", "false", "true, where pictures are not stretched to one size");
      out_.height = out_.stretched_height;
      out_.width = out_.stretched_width;
    } else if (reader_.has("crop_size")) {
      out_.height = out_.width = side("crop_size");
    } else {
      out_.height = side("crop_size.height");
      out_.width = side("crop_size.width");
    }
  }

  void read_values() {
    if (reader_.flag_or("do_rescale", true))
      out_.scale = static_cast<float>(reader_.positive_or("rescale_factor", 1.0 / 255));
    else out_.scale = 1;
    for (const char* unknown : {"do_pad", "do_pan_and_scan"})
      if (reader_.flag_or(unknown, false)) reader_.unsupported(unknown, "true", "false");
    if (!reader_.flag_or("do_normalize", true)) return;
    read_channels("image_mean", out_.mean);
    read_channels("image_std", out_.deviation);
    for (const float deviation : out_.deviation)
      if (!(deviation > 0)) reader_.unsupported("image_std", std::to_string(deviation), "numbers above 0");
  }

  void read_channels(const char* key, std::array<float, 3>& out) {
    const Result<std::vector<double>> values = metadata_.numbers(key);
    if (!values.ok() || values->size() != 3)
      return reader_.unsupported(key, values.ok() ? std::to_string(values->size()) + " values" : "none",
                                 "3 numbers");
    for (size_t c = 0; c < 3; ++c) out[c] = static_cast<float>((*values)[c]);
  }

  static constexpr int64_t kMostSide = 1 << 14;
  const Metadata& metadata_;
  MetadataReader reader_;
  PictureProcessor out_;
};

// Where the middle begins in a picture that is `surplus` longer, or shorter: then it has a border.
int64_t middle_of(int64_t surplus, PictureProcessor::Rounding rounding) {
  if (rounding == PictureProcessor::Rounding::kDown) return surplus >= 0 ? surplus / 2 : -((1 - surplus) / 2);
  const int64_t half = surplus / 2;
  return surplus > 0 && surplus % 2 != 0 ? half + half % 2 : half;
}

// A side of a scaled picture, in whole patches.
int64_t patched_side(double scale, int64_t side, int64_t patch_size) {
  const double patches = std::ceil(static_cast<double>(side) * scale / static_cast<double>(patch_size));
  return std::max<int64_t>(1, static_cast<int64_t>(patches)) * patch_size;
}

// The largest scale at which a picture has no more patches than it may have, by the same bisection as transformers'.
PictureProcessor::Size patched_size(const PictureProcessor& processor, const ImageShape& picture) {
  constexpr double kPrecision = 1e-5;
  double low = kPrecision / 10, high = 100;
  const int64_t patch = processor.patch_size;
  const auto size_at = [&](double scale) {
    return PictureProcessor::Size{patched_side(scale, picture.height, patch),
                                  patched_side(scale, picture.width, patch)};
  };
  while (high - low >= kPrecision) {
    const double middle = (low + high) / 2;
    const PictureProcessor::Size size = size_at(middle);
    (size.height / patch * (size.width / patch) <= processor.max_patches ? low : high) = middle;
  }
  return size_at(low);
}

}  // namespace

Result<PictureProcessor> PictureProcessor::read(const std::filesystem::path& config) {
  Result<rapidjson::Document> json = read_json_file(config, kMaxConfigBytes);
  if (!json.ok()) return json.status();
  Metadata metadata(config.string());
  if (Status flat = flatten_json(*json, metadata); !flat.ok()) return std::move(flat).at(config.string());
  return Config(metadata).read();
}

PictureProcessor::Size PictureProcessor::result_size(const ImageShape& picture) const {
  return fit == Fit::kPatches ? patched_size(*this, picture) : Size{height, width};
}

void PictureProcessor::run(const Picture& picture, int64_t index, float* pixels,
                           const std::function<bool()>& cancelled) const {
  std::vector<uint8_t> converted;
  const ImageView source = rgb_bytes(picture, index, converted);
  const int64_t source_height = source.shape.height, source_width = source.shape.width;
  const Size size = result_size(source.shape);
  int64_t full_height = source_height, full_width = source_width;  // resized, before the crop
  if (fit == Fit::kStretch) {
    full_height = stretched_height;
    full_width = stretched_width;
  } else if (fit == Fit::kShortestEdge) {
    const int64_t shorter = std::min(source_height, source_width);
    full_height = edge * source_height / shorter;
    full_width = edge * source_width / shorter;
  } else if (fit == Fit::kLongestEdge) {
    const double ratio =
        static_cast<double>(std::max(source_height, source_width)) / static_cast<double>(edge);
    const auto resized_side = [&](int64_t side) {
      return std::max<int64_t>(1, std::llrint(static_cast<double>(side) / ratio));  // halves to even
    };
    full_height = resized_side(source_height);
    full_width = resized_side(source_width);
  } else if (fit == Fit::kPatches) {
    full_height = size.height;
    full_width = size.width;
  }
  // Rows and columns [top, top + height) of the resized picture; those that are not within it are black.
  const int64_t top = middle_of(full_height - size.height, rounding),
                left = middle_of(full_width - size.width, rounding);
  const int64_t first_row = std::max<int64_t>(top, 0), last_row = std::min(top + size.height, full_height);
  const int64_t first_column = std::max<int64_t>(left, 0),
                last_column = std::min(left + size.width, full_width);
  const int64_t rows = last_row - first_row, columns = last_column - first_column;
  const double row_scale = static_cast<double>(source_height) / static_cast<double>(full_height);
  const double column_scale = static_cast<double>(source_width) / static_cast<double>(full_width);
  const ImageRegion region{
      static_cast<double>(first_column) * column_scale, static_cast<double>(first_row) * row_scale,
      static_cast<double>(columns) * column_scale, static_cast<double>(rows) * row_scale};
  const Resizer resizer(source.shape, region, columns, rows, filter, ResizeSteps::kBytes);
  std::vector<uint8_t> resized(static_cast<size_t>(rows * columns * 3));
  std::vector<float> scratch(resizer.scratch_values());
  resizer.run(source, packed_image_view(resized.data(), WEFT_DTYPE_U8, {1, rows, columns, 3}), 0, 0, rows,
              scratch.data(), cancelled);

  float values[256][3];
  for (int byte = 0; byte < 256; ++byte)
    for (size_t c = 0; c < 3; ++c)
      values[byte][c] = (static_cast<float>(byte) * scale - mean[c]) / deviation[c];
  const auto write = [&](const uint8_t* bytes, int64_t count, float* to) {
    for (int64_t i = 0; i < count * 3; ++i) to[i] = values[bytes[i]][i % 3];
  };
  if (fit == Fit::kPatches) {
    const int64_t a_row = columns / patch_size;
    for (int64_t y = 0; y < rows; ++y)
      for (int64_t i = 0; i < a_row; ++i)
        write(resized.data() + (y * columns + i * patch_size) * 3, patch_size,
              pixels + ((y / patch_size * a_row + i) * patch_size + y % patch_size) * patch_size * 3);
    return;
  }
  for (int64_t i = 0; i < size.height * size.width * 3; ++i) pixels[i] = values[0][i % 3];
  for (int64_t y = 0; y < rows; ++y)
    write(resized.data() + y * columns * 3, columns,
          pixels + ((first_row - top + y) * size.width + first_column - left) * 3);
}

}  // namespace weft
