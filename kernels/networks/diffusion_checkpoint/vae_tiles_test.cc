// Autoencoders in tiles against whole passes: no seams, less memory. On the shipped model, and on reduced random ones.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/workspace.h"

namespace weft::testing {
namespace {

constexpr float kTwoSteps = 2 * 2.0f / 255;  // of 8 bits, in pictures of [-1, 1]

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const float apart = std::abs(a[i] - b[i]);
    if (!(apart <= largest)) largest = apart;  // NaN too
  }
  return largest;
}

// A model's autoencoder with smooth latents, one extent of which three tiles do not divide.
class VaeTiles : public ::testing::TestWithParam<const char*> {
 protected:
  void open(DType compute) {
    const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(GetParam()));
    vae_.emplace(take(Vae::open(checkpoint.vae().source, checkpoint.vae().config, compute)));
    demand(vae_->load(store_, "tiles", threads_.executor()));
    tile_ = vae_->least_tile();
    height_ = 2 * tile_ + 3;
    width_ = tile_ + 1;
    channels_ = vae_->config().latent_channels;
    latents_.resize(static_cast<size_t>(height_ * width_ * channels_));
    for (int64_t i = 0; i < static_cast<int64_t>(latents_.size()); ++i) {
      const auto c = static_cast<double>(i % channels_), x = static_cast<double>(i / channels_ % width_),
                 y = static_cast<double>(i / channels_ / width_);
      // From dark and flat to bright and busy: tiles' own statistics differ.
      const double busy = y / static_cast<double>(height_);
      latents_[static_cast<size_t>(i)] = static_cast<float>(
          8 * busy * std::sin(0.9 * x + c) + 6 * busy * std::cos(0.7 * y * (1 + 0.3 * c)) + 4 * busy - 2);
    }
  }
  TensorView latents() { return view(latents_, height_, width_, channels_); }
  TensorView pictures(std::vector<float>& values) {
    const int64_t f = vae_->config().factor(), c = vae_->config().image_channels;
    values.assign(static_cast<size_t>(height_ * width_ * f * f * c), NAN);
    return view(values, height_ * f, width_ * f, c);
  }
  TensorView moments(std::vector<float>& values) {
    values.assign(latents_.size() * 2, NAN);
    return view(values, height_, width_, 2 * channels_);
  }
  static TensorView view(std::vector<float>& values, int64_t h, int64_t w, int64_t c) {
    return TensorView::contiguous(values.data(), DType::kF32, {1, h, w, c});
  }
  std::vector<float> decoded() {
    std::vector<float> picture;
    Workspace workspace(vae_->decode_workspace_bytes(1, height_, width_, 2));
    const TensorView out = pictures(picture);
    EXPECT_TRUE(vae_->decode(latents(), out, workspace.span(), threads_.executor()).ok());
    return picture;
  }

  Threads threads_{2};
  HeapWeightStore store_;
  std::optional<Vae> vae_;
  int64_t tile_ = 0, height_ = 0, width_ = 0, channels_ = 0;
  std::vector<float> latents_;
};

TEST_P(VaeTiles, DecodeWithoutSeams) {
  for (DType compute : {DType::kF32, DType::kBF16}) {
    open(compute);
    const std::vector<float> whole = decoded();
    std::vector<float> tiled;
    const TensorView out = pictures(tiled);
    Workspace workspace(vae_->tiled_decode_workspace_bytes(height_, width_, tile_, 2));
    ASSERT_TRUE(vae_->decode_tiled(latents(), out, tile_, workspace.span(), threads_.executor()).ok());
    const float apart = largest_difference(whole, tiled);
    RecordProperty(compute == DType::kF32 ? "apart_f32" : "apart_bf16", std::to_string(apart));
    EXPECT_LE(apart, kTwoSteps);
  }
}

TEST_P(VaeTiles, EncodeWithoutSeams) {
  for (DType compute : {DType::kF32, DType::kBF16}) {
    open(compute);
    std::vector<float> picture = decoded(), whole, tiled;
    const int64_t f = vae_->config().factor();
    const TensorView in = view(picture, height_ * f, width_ * f, vae_->config().image_channels);
    const TensorView whole_out = moments(whole), tiled_out = moments(tiled);
    Workspace workspace(vae_->encode_workspace_bytes(1, height_, width_, 2));
    ASSERT_TRUE(vae_->encode(in, whole_out, workspace.span(), threads_.executor()).ok());
    Workspace smaller(vae_->tiled_encode_workspace_bytes(height_, width_, tile_, 2));
    ASSERT_TRUE(vae_->encode_tiled(in, tiled_out, tile_, smaller.span(), threads_.executor()).ok());
    float largest = 0;
    for (float value : whole) largest = std::max(largest, std::abs(value));
    EXPECT_LE(largest_difference(whole, tiled), 0.01f * largest);
  }
}

// Of a 1024 x 1024 picture of the shipped model: a tile's activations and the latents' instead of all.
TEST(VaeTilesMemory, IsATilesAndTheLatents) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open("assets/models/emoji"));
  const Vae vae = take(Vae::open(checkpoint.vae().source, checkpoint.vae().config, DType::kF32));
  const int64_t tile = 32, side = 256;
  const int64_t field = side * side * checkpoint.vae().config.channels.back() * 4;
  const int64_t of_a_tile = vae.decode_workspace_bytes(1, tile, tile, 2);
  EXPECT_LT(vae.tiled_decode_workspace_bytes(side, side, tile, 2), of_a_tile + 6 * field);
  EXPECT_LT(vae.tiled_decode_workspace_bytes(side, side, tile, 2) * 2,
            vae.decode_workspace_bytes(1, side, side, 2));
  EXPECT_LT(vae.tiled_encode_workspace_bytes(side, side, tile, 2) * 2,
            vae.encode_workspace_bytes(1, side, side, 2));
  EXPECT_LT(vae.device_tiled_decode_workspace_bytes(side, side, tile) * 2,
            vae.device_decode_workspace_bytes(1, side, side));
  EXPECT_LT(vae.device_tiled_encode_workspace_bytes(side, side, tile) * 2,
            vae.device_encode_workspace_bytes(1, side, side));
}

INSTANTIATE_TEST_SUITE_P(Models, VaeTiles,
                         ::testing::Values("assets/models/emoji", "assets/golden/diffusion/sd15",
                                           "assets/golden/diffusion/sdxl"),
                         [](const auto& model) {
                           const std::string path = model.param;
                           return path.substr(path.rfind('/') + 1);
                         });

}  // namespace
}  // namespace weft::testing
