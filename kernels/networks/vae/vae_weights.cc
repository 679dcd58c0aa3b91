// Which tensors an autoencoder has: names and channel counts as in diffusers' AutoencoderKL.
#include "kernels/networks/vae/vae_state.h"

namespace weft {
namespace {

constexpr float kEpsilon = 1e-6f;

class Planner {
 public:
  explicit Planner(Vae::State& state) : s_(state), c_(state.config), plan_(*state.plan) {}

  void run() {
    if (c_.has_encoder) encoder(s_.encoder);
    if (c_.has_decoder) decoder(s_.decoder);
  }

 private:
  void convolution(const std::string& name, int64_t out, int64_t in, int64_t kernel, ConvolutionLayer* layer,
                   Upsample upsample = Upsample::kNone) {
    plan_.convolution(name, out, in, kernel, BiasTensor::kRequired, layer, upsample);
  }

  void resnet_at(const std::string& name, int64_t in, int64_t out, ResnetBlock* block) {
    plan_resnet(plan_, name, {in, out, 0, c_.groups, kEpsilon}, block);
  }

  void middle(const std::string& name, VaeMiddle* m) {
    const int64_t channels = c_.channels.back();
    resnet_at(name + ".resnets.0", channels, channels, &m->first);
    resnet_at(name + ".resnets.1", channels, channels, &m->second);
    if (!c_.mid_attention) return;
    const std::string attention = name + ".attentions.0";
    // Checkpoints from before diffusers 0.15 have other names.
    const bool old = s_.source.contains(attention + ".query.weight");
    plan_.group_norm(attention + ".group_norm", channels, c_.groups, kEpsilon, &m->attention.norm);
    plan_.stacked_convolution({attention + (old ? ".query" : ".to_q"), attention + (old ? ".key" : ".to_k"),
                               attention + (old ? ".value" : ".to_v")},
                              channels, channels, &m->attention.qkv);
    plan_.dense({attention + (old ? ".proj_attn" : ".to_out.0")}, channels, channels, BiasTensor::kRequired,
                &m->attention.out);
  }

  void encoder(VaeHalf& e) {
    convolution("encoder.conv_in", c_.channels[0], c_.image_channels, 3, &e.conv_in);
    e.stages.resize(c_.channels.size());
    int64_t channels = c_.channels[0];
    for (size_t i = 0; i < c_.channels.size(); ++i) {
      const std::string name = "encoder.down_blocks." + std::to_string(i);
      e.stages[i].resnets.resize(static_cast<size_t>(c_.n_resnets));
      for (size_t j = 0; j < e.stages[i].resnets.size(); ++j) {
        resnet_at(name + ".resnets." + std::to_string(j), channels, c_.channels[i], &e.stages[i].resnets[j]);
        channels = c_.channels[i];
      }
      if (i + 1 < c_.channels.size())
        convolution(name + ".downsamplers.0.conv", channels, channels, 3, &e.stages[i].resample);
    }
    middle("encoder.mid_block", &e.middle);
    plan_.group_norm("encoder.conv_norm_out", channels, c_.groups, kEpsilon, &e.norm_out);
    convolution("encoder.conv_out", 2 * c_.latent_channels, channels, 3, &e.conv_out);
    if (c_.quant_convolution)
      convolution("quant_conv", 2 * c_.latent_channels, 2 * c_.latent_channels, 1, &e.quant);
  }

  void decoder(VaeHalf& d) {
    if (c_.post_quant_convolution)
      convolution("post_quant_conv", c_.latent_channels, c_.latent_channels, 1, &d.quant);
    int64_t channels = c_.channels.back();
    convolution("decoder.conv_in", channels, c_.latent_channels, 3, &d.conv_in);
    middle("decoder.mid_block", &d.middle);
    const size_t n = c_.channels.size();
    d.stages.resize(n);
    for (size_t i = 0; i < n; ++i) {
      const std::string name = "decoder.up_blocks." + std::to_string(i);
      d.stages[i].resnets.resize(static_cast<size_t>(c_.n_resnets + 1));
      for (size_t j = 0; j < d.stages[i].resnets.size(); ++j) {
        resnet_at(name + ".resnets." + std::to_string(j), channels, c_.channels[n - 1 - i],
                  &d.stages[i].resnets[j]);
        channels = c_.channels[n - 1 - i];
      }
      if (i + 1 < n) {
        convolution(name + ".upsamplers.0.conv", channels, channels, 3, &d.stages[i].resample,
                    Upsample::kNearest2x);
      }
    }
    plan_.group_norm("decoder.conv_norm_out", channels, c_.groups, kEpsilon, &d.norm_out);
    convolution("decoder.conv_out", c_.image_channels, channels, 3, &d.conv_out);
  }

  Vae::State& s_;
  const VaeConfig& c_;
  WeightPlan& plan_;
};

}  // namespace

void plan_vae(Vae::State& state) { Planner(state).run(); }

}  // namespace weft
