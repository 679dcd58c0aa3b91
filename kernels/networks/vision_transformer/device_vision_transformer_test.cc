// Image encoders on a device, against the numbers of transformers and of open_clip on the reduced random models of
// scripts/make_golden/clip_vision.py; other architectures: plugins/vision, whose goldens hold the pictures beside the vectors.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/networks/testing/golden.h"
#include "kernels/networks/testing/on_device.h"
#include "kernels/networks/vision_transformer/vision_transformer.h"
#include "kernels/networks/vision_transformer/vision_transformer_checkpoint.h"
#include "kernels/testing/workspace.h"

namespace weft::testing {
namespace {

struct Part {
  VisionTransformerConfig config;
  WeightSource source;
};

// An opened folder, for the device and for the CPU.
struct Folder {
  /// image_size: of the pictures; else as the model was trained.
  explicit Folder(const std::string& path, std::optional<int64_t> image_size = {})
      : file(take(WeightFile::open(path))),
        part{take(read_vision_transformer_config(file.metadata(), image_size)),
             vision_transformer_source(file)} {}
  WeightFile file;
  Part part;
};

struct Outputs {
  std::vector<float> hidden, pooled, classes;

  Outputs(const VisionTransformerConfig& c, int64_t n)
      : hidden(static_cast<size_t>(n * c.n_tokens() * c.width), NAN),
        pooled(static_cast<size_t>(n * c.pooled_width()), NAN),
        classes(static_cast<size_t>(n * c.n_classes), NAN) {}
  VisionTransformerOutputs views() {
    return {.hidden = hidden.data(),
            .pooled = pooled.data(),
            .classes = classes.empty() ? nullptr : classes.data()};
  }
  bool operator==(const Outputs&) const = default;
};

Outputs encode(OnDevice<VisionTransformer>& tower, const TensorView& pictures,
               const DeviceBuffer& workspace) {
  Outputs out(tower.network.config(), pictures.shape[0]);
  demand(tower.network.forward_on(tower.passes, pictures, out.views(), all_of(workspace)));
  return out;
}
DeviceBuffer workspace_for(const OnDevice<VisionTransformer>& tower, const TensorView& pictures) {
  return tower.workspace(tower.network.device_workspace_bytes(pictures.shape[0]));
}

// Numbers as a processor gives them.
std::vector<float> pictures_of(const VisionTransformerConfig& c, int64_t n) {
  std::vector<float> values;
  for (int64_t i = 0; i < n * c.image_size * c.image_size * 3; ++i)
    values.push_back(static_cast<float>(static_cast<double>(7919 * i % 255) / 127.5 - 1));
  return values;
}
TensorView view_of_pictures(std::vector<float>& values, const VisionTransformerConfig& c) {
  const auto n = static_cast<int64_t>(values.size()) / (c.image_size * c.image_size * 3);
  return TensorView::contiguous(values.data(), DType::kF32, {n, c.image_size, c.image_size, 3});
}

class DeviceVisionTransformer : public ::testing::TestWithParam<const char*> {};

TEST_P(DeviceVisionTransformer, AgreesWithTransformers) {
  const std::string path = std::string("assets/golden/clip_vision/") + GetParam();
  const Folder folder(path);
  const GoldenTensors expected(path);
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    OnDevice<VisionTransformer> tower(folder.part, compute);
    const TensorView pictures = expected.view("pictures");
    const Outputs got = encode(tower, pictures, workspace_for(tower, pictures));
    EXPECT_LT(error(got.hidden, expected.span<float>("hidden")), allowed(compute));
    EXPECT_LT(error(got.pooled, expected.span<float>("pooled")), allowed(compute));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, DeviceVisionTransformer, ::testing::Values("tower", "whole"),
                         [](const auto& model) { return std::string(model.param); });

struct Architecture {
  const char* name;
  const char* path;
  std::optional<int64_t> image_size;
};
class DeviceVisionArchitectures : public ::testing::TestWithParam<Architecture> {};

// Attention pooling, classifiers of both kinds, layer scales, and positions for pictures of another size.
TEST_P(DeviceVisionArchitectures, GiveWhatTheCpuGives) {
  const Folder folder(GetParam().path, GetParam().image_size);
  const VisionTransformerConfig& c = folder.part.config;
  Loaded<VisionTransformer> on_cpu(folder.part, DType::kF32);
  std::vector<float> values = pictures_of(c, 3);
  const TensorView pictures = view_of_pictures(values, c);
  Outputs want(c, 3);
  Workspace memory(on_cpu.network.workspace_bytes(3, 2));
  demand(on_cpu.network.forward(pictures, want.views(), memory.span(), on_cpu.threads.executor()));
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    OnDevice<VisionTransformer> tower(folder.part, compute);
    const Outputs got = encode(tower, pictures, workspace_for(tower, pictures));
    EXPECT_LT(error(got.hidden, want.hidden), allowed(compute));
    EXPECT_LT(error(got.pooled, want.pooled), allowed(compute));
    if (c.n_classes > 0) {
      EXPECT_LT(error(got.classes, want.classes), allowed(compute));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, DeviceVisionArchitectures,
    ::testing::Values(Architecture{"clip", "assets/golden/vision/models/clip", {}},
                      Architecture{"siglip", "assets/golden/vision/models/siglip", {}},
                      Architecture{"vit", "assets/golden/vision/models/vit", {}},
                      Architecture{"dinov2", "assets/golden/vision/models/dinov2", {}},
                      Architecture{"dinov2_larger", "assets/golden/vision/models/dinov2", 36},
                      Architecture{"open_clip", "assets/golden/open_clip/models/custom", {}}),
    [](const auto& model) { return std::string(model.param.name); });

// Patches of pictures, one behind the other, and where each begins.
struct Shapes {
  std::vector<PatchGrid> grids;
  std::vector<int64_t> starts = {0};
  std::vector<float> values;

  Shapes(const VisionTransformerConfig& c, std::vector<PatchGrid> of) : grids(std::move(of)) {
    for (const PatchGrid& grid : grids) starts.push_back(starts.back() + grid.count());
    for (int64_t i = 0; i < starts.back() * c.patch_values(); ++i)
      values.push_back(static_cast<float>(static_cast<double>(7919 * i % 255) / 127.5 - 1));
  }
  PatchedPictures view(const VisionTransformerConfig& c) {
    return {TensorView::contiguous(values.data(), DType::kF32, {starts.back(), c.patch_values()}), grids,
            starts};
  }
};

TEST(DeviceVisionShapes, GiveWhatTheCpuGivesInMemoryForAsManyPictures) {
  const Folder folder("assets/golden/vision/models/siglip2_naflex");
  const VisionTransformerConfig& c = folder.part.config;
  Loaded<VisionTransformer> on_cpu(folder.part, DType::kF32);
  Workspace memory(on_cpu.network.workspace_bytes(4, 2));
  const int64_t most = c.max_patches;
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    OnDevice<VisionTransformer> tower(folder.part, compute);
    const DeviceBuffer workspace = tower.workspace(tower.network.device_workspace_bytes(4));
    // The second pass of a shape is captured, further ones are launched.
    for (const std::vector<PatchGrid>& grids : {std::vector<PatchGrid>{{2, 3}, {1, most}, {3, 2}, {3, 2}},
                                                {{1, 1}},
                                                {{2, 3}},
                                                {{3, 2}},
                                                {{2, 3}}}) {
      Shapes shapes(c, grids);
      Outputs want(c, 4), got(c, 4);
      const VisionTransformerOutputs to_want{want.hidden.data(), want.pooled.data()},
          to_got{got.hidden.data(), got.pooled.data()};
      demand(
          on_cpu.network.forward_patches(shapes.view(c), to_want, memory.span(), on_cpu.threads.executor()));
      demand(tower.network.forward_patches_on(tower.passes, shapes.view(c), to_got, all_of(workspace)));
      for (auto* out : {&want, &got}) {
        out->hidden.resize(static_cast<size_t>(shapes.starts.back() * c.width));
        out->pooled.resize(grids.size() * static_cast<size_t>(c.pooled_width()));
      }
      EXPECT_LT(error(got.hidden, want.hidden), allowed(compute));
      EXPECT_LT(error(got.pooled, want.pooled), allowed(compute));
    }
  }
}

TEST(DeviceVisionShapes, OfTheOtherKindAreRefused) {
  const Folder naflex("assets/golden/vision/models/siglip2_naflex"), clip("assets/golden/vision/models/clip");
  OnDevice<VisionTransformer> of_shapes(naflex.part, DType::kF32), of_squares(clip.part, DType::kF32);
  Shapes shapes(naflex.part.config, {{1, 2}});
  std::vector<float> values = pictures_of(clip.part.config, 1);
  const PatchedPictures patched = shapes.view(naflex.part.config);
  const TensorView squares = view_of_pictures(values, clip.part.config);
  EXPECT_EQ(of_squares.network.forward_patches_on(of_squares.passes, patched, {}, {}).code(),
            StatusCode::kInvalidShape);
  EXPECT_EQ(of_shapes.network.forward_on(of_shapes.passes, squares, {}, {}).code(),
            StatusCode::kInvalidShape);
  of_shapes.network.unload();
  EXPECT_EQ(of_shapes.network.forward_patches_on(of_shapes.passes, patched, {}, {}).code(),
            StatusCode::kInvalidArgument);
}

// The second pass of a shape is captured, further ones are launched.
TEST(DeviceVisionPasses, ThatComeAgainReadTheirOwnPictures) {
  const Folder folder("assets/golden/vision/models/dinov2");
  OnDevice<VisionTransformer> tower(folder.part, DType::kF32);
  std::vector<float> values = pictures_of(folder.part.config, 2), others = values;
  for (float& value : others) value = -value;
  const TensorView some = view_of_pictures(values, folder.part.config),
                   other = view_of_pictures(others, folder.part.config);
  const DeviceBuffer workspace = workspace_for(tower, some);
  const Outputs first = encode(tower, some, workspace);
  tower.passes = DevicePasses(tower.stream);
  const Outputs second = encode(tower, other, workspace);
  ASSERT_NE(first.pooled, second.pooled);
  tower.passes = DevicePasses(tower.stream);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(encode(tower, some, workspace), first) << i;
    EXPECT_EQ(encode(tower, other, workspace), second) << i;
  }
}

TEST(DeviceVisionPasses, RefuseWhatTheyCannotDo) {
  const Folder folder("assets/golden/clip_vision/tower");
  OnDevice<VisionTransformer> tower(folder.part, DType::kF32);
  std::vector<float> values = pictures_of(folder.part.config, 1);
  const TensorView pictures = view_of_pictures(values, folder.part.config);
  const DeviceBuffer workspace = workspace_for(tower, pictures);
  Outputs out(folder.part.config, 1);
  VisionTransformer& network = tower.network;
  const auto code = [&](std::span<std::byte> memory, const StopRequest& stop = {}) {
    return network.forward_on(tower.passes, pictures, out.views(), memory, stop).code();
  };
  EXPECT_EQ(code(all_of(workspace).first(64)), StatusCode::kOutOfMemory);
  EXPECT_EQ(code(all_of(workspace), {[](void*) { return true; }, nullptr}), StatusCode::kCancelled);
  EXPECT_EQ(code(all_of(workspace)), StatusCode::kOk);
  // On the host its weights are not.
  EXPECT_EQ(network.forward(pictures, out.views(), {}, tower.threads.executor()).code(),
            StatusCode::kInvalidArgument);
  network.unload();
  EXPECT_EQ(code(all_of(workspace)), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft::testing
