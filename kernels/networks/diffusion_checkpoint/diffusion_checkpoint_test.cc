// What a checkpoint that does not fit is told.
#include <gtest/gtest.h>

#include <string>

#include "kernels/networks/diffusion_checkpoint/testing/diffusion_golden.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft::testing {
namespace {

TEST(DiffusionCheckpoint, ListsMissingMisshapenAndUnexpectedTensors) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd15")));
  UNetConfig config = checkpoint.unet().config;
  config.context_width = 31;
  config.levels[2].down_transformer_layers = 1;
  config.levels[0].up_transformer_layers = 0;
  const Result<UNet> unet = UNet::open(checkpoint.unet().source, config, DType::kF32);
  ASSERT_FALSE(unet.ok());
  EXPECT_EQ(unet.code(), StatusCode::kInvalidShape);
  const std::string message = to_string(unet.error());
  EXPECT_NE(message.find("'down_blocks.2.attentions.0.norm.weight' [16]"), std::string::npos) << message;
  EXPECT_NE(message.find("to_k.weight' is [8, 32], not [8, 31]"), std::string::npos) << message;
  EXPECT_NE(message.find("unexpected: 'up_blocks.2.attentions.0"), std::string::npos) << message;
  EXPECT_TRUE(message.starts_with("assets/golden/diffusion/sd15/unet: ")) << message;
}

TEST(DiffusionCheckpoint, SaysWhatASingleFileLacks) {
  const std::filesystem::path path = fresh_folder("diffusion_single_file") / "other.safetensors";
  write_file(path, safetensors_bytes(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1234"));
  const Result<DiffusionCheckpoint> checkpoint = DiffusionCheckpoint::open(path);
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(checkpoint.code(), StatusCode::kNotFound);
  EXPECT_EQ(checkpoint.error().message, "the file holds no UNet");
}

TEST(DiffusionCheckpoint, RefusesSwitchesThatAreNotThere) {
  Metadata metadata("config.json");
  ASSERT_TRUE(
      metadata
          .insert_owned("act_fn", MetadataType::kString, false, 1, std::string("\4\0\0\0\0\0\0\0gelu", 12))
          .ok());
  const Result<VaeConfig> config = read_vae_config(metadata);
  ASSERT_FALSE(config.ok());
}

}  // namespace
}  // namespace weft::testing
