/// Pictures of what is being painted: shown with every step to whoever looks, without a change of what is painted.
#include <fstream>
#include <iterator>
#include <utility>

#include "pipeline/files/durable_file.h"
#include "tests/image/image_pipeline.h"

namespace weft::testing {
namespace {

namespace fs = std::filesystem;

/// Keeps what a file holds each time that it appears. Events tell of it later, when the next picture may be there.
class Appearances final : public FileSystem {
 public:
  explicit Appearances(fs::path file) : file_(std::move(file)) {}
  int rename(const char* from, const char* to) override {
    if (file_ == to) {
      std::ifstream stream(from, std::ios::binary);
      contents_.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    }
    return FileSystem::rename(from, to);
  }
  /// After the run.
  const std::vector<std::string>& contents() const { return contents_; }

 private:
  const fs::path file_;
  std::vector<std::string> contents_;
};

class ImagePreviews : public ImagePipelineTest {
 protected:
  static Json apple(const Json& model_options = Json::object()) {
    Json pipeline = pipeline_of("image.generate",
                                {{"prompt", "red apple"},
                                 {"steps", 4},
                                 {"cfg", 4.0},
                                 {"seed", 7},
                                 {"n", 2},
                                 {"width", 32},
                                 {"height", 24}},
                                {"image"});
    Json model = {{"path", fs::absolute("assets/models/emoji").string()}, {"precision", "f32"}};
    model.update(model_options);
    pipeline["models"] = {{"m", model}};
    return pipeline;
  }

  struct Watched {
    std::vector<int> pixels;
    std::vector<std::string> shown;  // files, of every step
  };
  Watched watch(const Json& pipeline) {
    Appearances appearances(folder() / "shown" / "n.png");
    TemporaryFiles temporaries(appearances);
    const Result<Json> result =
        run(pipeline, {.on_event = {}, .preview_folder = folder() / "shown", .temporaries = &temporaries});
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : to_string(result.error()));
    return {result.ok() ? pixels_of((*result)["image"]) : std::vector<int>(), appearances.contents()};
  }

  /// Its pixels; the shape has to be this one.
  std::vector<int> decode(const std::string& file, const Json& shape) {
    write("one.png", file);
    const Json got =
        outputs({{"models", Json::object()},
                 {"nodes", {{"load", {{"uses", "image.load"}, {"with", {{"path", "one.png"}}}}}}},
                 {"outputs", {{"image", "load.image"}}}});
    EXPECT_EQ(got["image"]["shape"], shape);
    return pixels_of(got["image"]);
  }
};

TEST_F(ImagePreviews, ComeWithEveryStepAndChangeNothing) {
  const Watched watched = watch(apple());
  EXPECT_EQ(watched.pixels, pixels_of(outputs(apple())["image"]));
  ASSERT_EQ(watched.shown.size(), 4u);
  const Json shape = {1, 24, 2 * 32,
                      3};  // both pictures, four pixels a latent, of which there is one for four
  std::vector<std::vector<int>> pictures;
  for (const std::string& file : watched.shown) pictures.push_back(decode(file, shape));
  for (size_t step = 1; step < pictures.size(); ++step) EXPECT_NE(pictures[step], pictures[step - 1]) << step;

  // The last one is nearly what was painted. pixels: [2, 24, 32, 3]; previews have both side by side.
  std::vector<int> painted(watched.pixels.size());
  for (size_t i = 0; i < painted.size(); ++i) {
    const size_t image = i / (24 * 96), row = i / 96 % 24, column = i % 96;
    painted[row * 192 + image * 96 + column] = watched.pixels[i];
  }
  const double first = peak_signal_to_noise(pictures.front(), painted);
  const double last = peak_signal_to_noise(pictures.back(), painted);
  EXPECT_GT(last, 12);
  EXPECT_GT(last, first);
}

TEST_F(ImagePreviews, AreShownOfAModelThatIsInMemoryByStages) {
  const Watched watched = watch(apple({{"residency", "staged"}}));
  EXPECT_EQ(watched.shown.size(), 4u);
  EXPECT_EQ(watched.shown, watch(apple()).shown);
  EXPECT_EQ(watched.pixels, pixels_of(outputs(apple())["image"]));
}

TEST_F(ImagePreviews, ArePaintedByATinyAutoencoder) {
  const std::string tiny = fs::absolute("assets/golden/diffusion/taesd").string();
  const Watched watched = watch(apple({{"preview", tiny}}));
  EXPECT_EQ(watched.pixels, pixels_of(outputs(apple())["image"]));
  ASSERT_EQ(watched.shown.size(), 4u);
  EXPECT_NE(watched.shown.back(), watch(apple()).shown.back());
}

}  // namespace
}  // namespace weft::testing
