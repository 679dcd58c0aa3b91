// Which tensors a UNet has: names and channel counts as in diffusers' UNet2DConditionModel.
#include "kernels/networks/unet/unet_state.h"

namespace weft {
namespace {

class Planner {
 public:
  explicit Planner(UNet::State& state) : s_(state), c_(state.config), plan_(*state.plan) {}

  void down_to_the_middle() {
    embeddings();
    plan_.convolution("conv_in", c_.levels[0].channels, c_.in_channels, 3, BiasTensor::kRequired,
                      &s_.conv_in);
    way_down();
    if (c_.has_mid_block) middle();
  }

  void up_again() {
    way_up();
    plan_.group_norm("conv_norm_out", c_.levels[0].channels, c_.groups, c_.epsilon, &s_.norm_out);
    plan_.convolution("conv_out", c_.out_channels, c_.levels[0].channels, 3, BiasTensor::kRequired,
                      &s_.conv_out);
  }

 private:
  void mlp(const std::string& name, int64_t in, EmbeddingMlp* out) {
    const int64_t width = c_.time_width();
    plan_.dense({name + ".linear_1"}, width, in, BiasTensor::kRequired, &out->first);
    plan_.dense({name + ".linear_2"}, width, width, BiasTensor::kRequired, &out->second);
  }

  void embeddings() {
    mlp("time_embedding", c_.time_projection_width(), &s_.time_embedding);
    if (c_.guidance_width > 0)
      plan_.dense({"time_embedding.cond_proj"}, c_.time_projection_width(), c_.guidance_width,
                  BiasTensor::kNone, &s_.guidance_projection);
    switch (c_.class_embedding) {
      case ClassEmbedding::kNone: break;
      case ClassEmbedding::kTable:
        plan_.values("class_embedding.weight", {c_.n_classes, c_.time_width()}, &s_.class_table);
        break;
      case ClassEmbedding::kTimestep:
        mlp("class_embedding", c_.time_projection_width(), &s_.class_embedding);
        break;
      case ClassEmbedding::kProjection: mlp("class_embedding", c_.class_width, &s_.class_embedding); break;
    }
    if (c_.added_time_width > 0) mlp("add_embedding", c_.added_width, &s_.added_embedding);
  }

  void block(const std::string& name, size_t j, int64_t in, const UNetLevel& level,
             int64_t transformer_layers, UNetStage* stage) {
    plan_resnet(plan_, name + ".resnets." + std::to_string(j),
                {in, level.channels, c_.time_width(), c_.groups, c_.epsilon}, &stage->resnets[j]);
    if (transformer_layers > 0)
      plan_transformer(plan_, name + ".attentions." + std::to_string(j),
                       {level.channels, level.n_heads, transformer_layers, c_.context_width, c_.groups,
                        level.only_cross_attention},
                       &stage->transformers[j]);
  }

  static void size(UNetStage* stage, int64_t n_resnets, int64_t transformer_layers) {
    stage->resnets.resize(static_cast<size_t>(n_resnets));
    if (transformer_layers > 0) stage->transformers.resize(static_cast<size_t>(n_resnets));
  }

  void way_down() {
    s_.down.resize(c_.levels.size());
    int64_t channels = c_.levels[0].channels;
    for (size_t i = 0; i < c_.levels.size(); ++i) {
      const UNetLevel& level = c_.levels[i];
      UNetStage& stage = s_.down[i];
      const std::string name = "down_blocks." + std::to_string(i);
      size(&stage, level.n_resnets, level.down_transformer_layers);
      for (size_t j = 0; j < stage.resnets.size(); ++j) {
        block(name, j, channels, level, level.down_transformer_layers, &stage);
        channels = level.channels;
      }
      if (i + 1 < c_.levels.size())
        plan_.convolution(name + ".downsamplers.0.conv", channels, channels, 3, BiasTensor::kRequired,
                          &stage.resample);
    }
  }

  void middle() {
    const int64_t channels = c_.levels.back().channels;
    const ResnetShape shape = {channels, channels, c_.time_width(), c_.groups, c_.epsilon};
    plan_resnet(plan_, "mid_block.resnets.0", shape, &s_.mid_first);
    if (c_.mid_transformer_layers > 0)
      plan_transformer(
          plan_, "mid_block.attentions.0",
          {channels, c_.mid_heads, c_.mid_transformer_layers, c_.context_width, c_.groups, false},
          &s_.mid_transformer);
    plan_resnet(plan_, "mid_block.resnets.1", shape, &s_.mid_second);
  }

  void way_up() {
    const size_t n = c_.levels.size();
    s_.up.resize(n);
    int64_t channels = c_.levels.back().channels;
    for (size_t i = 0; i < n; ++i) {
      const size_t l = n - 1 - i;  // the level
      const UNetLevel& level = c_.levels[l];
      UNetStage& stage = s_.up[i];
      const std::string name = "up_blocks." + std::to_string(i);
      size(&stage, level.n_resnets + 1, level.up_transformer_layers);
      for (size_t j = 0; j < stage.resnets.size(); ++j) {
        // What the way down left there: the level's own, then what came from the level above.
        const bool last = j + 1 == stage.resnets.size();
        const int64_t skip = last ? c_.levels[l > 0 ? l - 1 : 0].channels : level.channels;
        block(name, j, channels + skip, level, level.up_transformer_layers, &stage);
        channels = level.channels;
      }
      if (i + 1 < n)
        plan_.convolution(name + ".upsamplers.0.conv", channels, channels, 3, BiasTensor::kRequired,
                          &stage.resample);
    }
  }

  UNet::State& s_;
  const UNetConfig& c_;
  WeightPlan& plan_;
};

}  // namespace

void plan_unet(UNet::State& state) {
  Planner planner(state);
  planner.down_to_the_middle();
  planner.up_again();
}

void plan_unet_way_down(UNet::State& state) { Planner(state).down_to_the_middle(); }

}  // namespace weft
