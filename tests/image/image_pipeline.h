/// Runs pipelines of image nodes on the emoji model, in the test's process: graph, plan, scheduler and plugin are those of
/// `weft run`, without the program around them.
///
/// Models stay loaded for all cases of one test program. The model "m" computes in f32.
///
///   const Json got = run_node("image.generate", {{"prompt", "red apple"}, {"seed", 7}}, {"image"});
#ifndef WEFT_TESTS_IMAGE_IMAGE_PIPELINE_H
#define WEFT_TESTS_IMAGE_IMAGE_PIPELINE_H

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "pipeline/run/cancel.h"
#include "pipeline/run/events.h"

namespace weft {
class Host;
}

namespace weft::testing {

using Json = nlohmann::ordered_json;

class ImagePipelineTest : public ::testing::Test {
 protected:
  ImagePipelineTest();
  ~ImagePipelineTest() override;

  /// What a run is watched and stopped by; all may be empty.
  struct Watch {
    std::function<void(const Event&)> on_event;
    const CancelToken* cancel = nullptr;
    uint64_t* peak_bytes = nullptr;  // the plan's
    uint32_t threads = 2;
  };
  /// The outputs of a pipeline, by name. `pipeline` has "nodes", "outputs" and what else it needs.
  Result<Json> run(const Json& pipeline, const Watch& watch);
  Result<Json> run(const Json& pipeline) { return run(pipeline, Watch{}); }
  /// The same for a pipeline that has to succeed.
  Json outputs(const Json& pipeline);
  /// A pipeline of one node "n" that uses the model "m", and these of its ports.
  static Json pipeline_of(const std::string& uses, const Json& with, const std::vector<std::string>& ports);
  Json run_node(const std::string& uses, const Json& with, const std::vector<std::string>& ports) {
    return outputs(pipeline_of(uses, with, ports));
  }
  /// The pixels that image.generate paints with these parameters, in order.
  std::vector<int> generate(const Json& with);
  /// The error of a pipeline, as `weft run` prints it; its code has to be `code`.
  std::string refusal(const Json& pipeline, StatusCode code);

  const std::filesystem::path& folder() const { return folder_; }  // the pipeline's; out/ below it
  static std::vector<int> pixels_of(const Json& tensor);

 private:
  static Host& host(uint32_t threads);

  std::filesystem::path folder_;
};

/// In dB, of bytes; infinite for equal pictures.
double peak_signal_to_noise(const std::vector<int>& a, const std::vector<int>& b);

}  // namespace weft::testing
#endif
