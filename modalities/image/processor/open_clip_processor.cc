// Preprocessing as open_clip_config.json describes it; the defaults are those of open_clip's PreprocessCfg (open_clip_torch 3.3).
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/image/processor/picture_processor.h"
#include "modalities/weights/metadata_reader.h"

namespace weft {
namespace {

constexpr std::string_view kLevel = "preprocess_cfg.";
constexpr std::array<float, 3> kMean = {0.48145466f, 0.4578275f, 0.40821073f},
                               kDeviation = {0.26862954f, 0.26130258f, 0.27577711f};

bool is_nested(const Metadata& metadata, const std::string& key) {
  const auto inner = metadata.entries().lower_bound(key + ".");
  return inner != metadata.entries().end() && inner->first.starts_with(key + ".");
}

// One number for all channels, or one for each.
std::array<float, 3> read_channels(MetadataReader& r, const std::string& key, std::array<float, 3> usual,
                                   double least) {
  const std::string full = std::string(kLevel) + key;
  if (!r.has(key) && !is_nested(r.metadata(), full)) return usual;
  std::vector<double> values;
  if (const Result<double> one = r.metadata().number(full); one.ok()) values.assign(3, *one);
  else if (const Result<std::vector<double>> all = r.metadata().numbers(full); all.ok()) values = *all;
  bool usable = values.size() == 3;
  std::array<float, 3> out{};
  for (size_t c = 0; usable && c < 3; ++c) {
    usable = values[c] > least && std::abs(values[c]) < 1e6;
    if (usable) out[c] = static_cast<float>(values[c]);
  }
  if (usable) return out;
  r.unsupported(key, "others", least < 0 ? "3 numbers below a million" : "3 numbers above 0");
  return usual;
}

}  // namespace

Result<PictureProcessor> PictureProcessor::of_open_clip(const Metadata& config, int64_t image_size) {
  MetadataReader r(config, std::string(kLevel));
  PictureProcessor p;
  p.edge = p.stretched_height = p.stretched_width = p.height = p.width = image_size;
  p.rounding = Rounding::kToEven;
  const std::string mode = r.text_or("resize_mode", "shortest");
  if (mode == "longest") p.fit = Fit::kLongestEdge;
  else if (mode == "squash") p.fit = Fit::kStretch;
  else if (mode != "shortest")
    r.unsupported("resize_mode", "'" + mode + "'", "'shortest', 'longest' or 'squash'");
  // "random" is for training: bicubic otherwise.
  const std::string filter = r.text_or("interpolation", "bicubic");
  if (filter == "bilinear") p.filter = ResizeFilter::kBilinear;
  else if (filter != "bicubic" && filter != "random")
    r.unsupported("interpolation", "'" + filter + "'", "'bicubic', 'bilinear' or 'random'");
  if (const std::string colors = r.text_or("mode", "RGB"); colors != "RGB")
    r.unsupported("mode", "'" + colors + "'", "'RGB'");
  if (const Result<int64_t> fill = config.integer_or(std::string(kLevel) + "fill_color", 0);
      p.fit == Fit::kLongestEdge && (!fill.ok() || *fill != 0))
    r.unsupported("fill_color", fill.ok() ? std::to_string(*fill) : "no number", "0");
  p.mean = read_channels(r, "mean", kMean, -1e6);
  p.deviation = read_channels(r, "std", kDeviation, 1e-12);
  if (!r.status().ok()) return r.status();
  return p;
}

}  // namespace weft
