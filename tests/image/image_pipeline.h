/// Pipelines of image nodes on the emoji model, whose name in them is "m" and which computes in f32.
///
///   const Json got = run_node("image.generate", {{"prompt", "red apple"}, {"seed", 7}}, {"image"});
#ifndef WEFT_TESTS_IMAGE_IMAGE_PIPELINE_H
#define WEFT_TESTS_IMAGE_IMAGE_PIPELINE_H

#include <vector>

#include "tests/pipeline/plugin_pipeline.h"

namespace weft::testing {

class ImagePipelineTest : public PluginPipelineTest {
 protected:
  ImagePipelineTest();

  /// The pixels that image.generate paints with these parameters, in order.
  std::vector<int> generate(const Json& with);
  static std::vector<int> pixels_of(const Json& tensor);
};

/// In dB, of bytes; infinite for equal pictures.
double peak_signal_to_noise(const std::vector<int>& a, const std::vector<int>& b);

}  // namespace weft::testing
#endif
