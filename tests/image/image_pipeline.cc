#include "tests/image/image_pipeline.h"

#include <cmath>
#include <limits>

namespace weft::testing {

ImagePipelineTest::ImagePipelineTest()
    : PluginPipelineTest(
          weft_plugin_entry(WEFT_ABI_VERSION),  // plugins/image/plugin.cc, linked in
          {{"path", std::filesystem::absolute("assets/models/emoji").string()}, {"precision", "f32"}}) {}

std::vector<int> ImagePipelineTest::generate(const Json& with) {
  return pixels_of(run_node("image.generate", with, {"image"})["image"]);
}

std::vector<int> ImagePipelineTest::pixels_of(const Json& tensor) {
  std::vector<int> pixels;
  const std::function<void(const Json&)> collect = [&](const Json& value) {
    if (value.is_number()) return pixels.push_back(value.get<int>());
    for (const Json& item : value) collect(item);
  };
  if (tensor.contains("data")) collect(tensor["data"]);
  return pixels;
}

double peak_signal_to_noise(const std::vector<int>& a, const std::vector<int>& b) {
  if (a.size() != b.size() || a.empty()) return -std::numeric_limits<double>::infinity();
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) squares += static_cast<double>((a[i] - b[i]) * (a[i] - b[i]));
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.size()) / squares);
}

}  // namespace weft::testing
