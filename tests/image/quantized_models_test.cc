// Diffusion models whose UNet is a GGUF file with block-quantised linear layers paint the pictures of the dequantised ones.
#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"
#include "kernels/networks/diffusion_checkpoint/testing/quantized_file.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/threads.h"
#include "tests/image/image_pipeline.h"

namespace weft::testing {
namespace {

namespace fs = std::filesystem;

class QuantizedModels : public ImagePipelineTest {
 protected:
  static fs::path emoji() { return fs::absolute("assets/models/emoji"); }
  /// The emoji model with an empty place for another UNet's weights.
  fs::path model_without_unet(const std::string& name) const {
    const fs::path model = folder() / name;
    fs::create_directories(model / "unet");
    for (const auto& entry : fs::directory_iterator(emoji())) {
      if (entry.path().filename() != "unet")
        fs::create_symlink(entry.path(), model / entry.path().filename());
    }
    fs::create_symlink(emoji() / "unet/config.json", model / "unet/config.json");
    return model;
  }
  std::vector<int> paint(const fs::path& model) {
    const Json with = {{"model", "m"}, {"prompt", "red apple"}, {"steps", 8}, {"seed", 7}};
    const Json got = outputs({{"models", {{"m", {{"path", model.string()}, {"precision", "f32"}}}}},
                              {"nodes", {{"n", {{"uses", "image.generate"}, {"with", with}}}}},
                              {"outputs", {{"image", "n.image"}}}});
    return pixels_of(got["image"]);
  }
};

TEST_F(QuantizedModels, PaintThePicturesOfTheDequantizedOnes) {
  constexpr double kLeastDb = 40;
  Threads threads(2);
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(emoji()));
  const WeightFormat k_mixed[] = {WeightFormat::kQ4_K, WeightFormat::kQ6_K, WeightFormat::kQ5_K};
  const WeightFormat k_small[] = {WeightFormat::kQ3_K, WeightFormat::kQ2_K};
  for (const auto& [name, formats] :
       {std::pair<std::string, std::span<const WeightFormat>>("mixed", k_mixed),
        std::pair<std::string, std::span<const WeightFormat>>("small", k_small)}) {
    const fs::path blocks = model_without_unet(name + "_blocks"),
                   values = model_without_unet(name + "_values");
    const char* file = "unet/diffusion_pytorch_model.gguf";
    write_quantized(checkpoint.unet().source, formats, blocks / file, values / file, threads.executor());
    const double db = peak_signal_to_noise(paint(blocks), paint(values));
    RecordProperty("psnr_" + name, std::to_string(db));
    EXPECT_GE(db, kLeastDb) << name;
  }
}

}  // namespace
}  // namespace weft::testing
