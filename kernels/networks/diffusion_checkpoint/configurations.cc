// Configurations of networks from their config.json files.
#include <algorithm>
#include <set>

#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"

namespace weft {
namespace {

// Reads keys and keeps the first error.
class Reader {
 public:
  explicit Reader(const Metadata& metadata) : m_(metadata) {}

  Status status() const { return status_; }
  bool has(std::string_view key) const { return m_.contains(key); }

  int64_t integer(std::string_view key, int64_t fallback) {
    return keep(m_.integer_or(key, fallback), fallback);
  }
  int64_t integer(std::string_view key) { return keep(m_.integer(key), int64_t{0}); }
  double number(std::string_view key, double fallback) { return keep(m_.number_or(key, fallback), fallback); }
  bool boolean(std::string_view key, bool fallback) { return keep(m_.boolean_or(key, fallback), fallback); }
  std::string text(std::string_view key, std::string_view fallback) {
    return std::string(keep(m_.string_or(key, fallback), fallback));
  }
  std::vector<int64_t> integers(std::string_view key) {
    return keep(m_.integers(key), std::vector<int64_t>());
  }
  std::vector<std::string> texts(std::string_view key) {
    const std::vector<std::string_view> views = keep(m_.strings(key), std::vector<std::string_view>());
    return {views.begin(), views.end()};
  }
  // One number for all levels, or one each.
  std::vector<int64_t> each(std::string_view key, size_t n, int64_t fallback) {
    if (!has(key)) return std::vector<int64_t>(n, fallback);
    if (!m_.entries().find(key)->second.is_array) return std::vector<int64_t>(n, integer(key));
    std::vector<int64_t> values = keep(m_.integers(key), std::vector<int64_t>());
    if (values.size() != n && status_.ok())
      fail(Status(StatusCode::kCorruptData, "a list has another length than the network has levels")
               .expected(std::to_string(n) + " values")
               .got(std::to_string(values.size())),
           key);
    values.resize(n);
    return values;
  }

  // Refuses a switch that the network here does not have.
  void demand_text(std::string_view key, std::string_view only) {
    const std::string got = text(key, only);
    if (got != only) refuse(key, "'" + std::string(only) + "'", "'" + got + "'");
  }
  void demand_false(std::string_view key) {
    if (boolean(key, false)) refuse(key, "false", "true");
  }
  void demand_number(std::string_view key, double only) {
    const double got = number(key, only);
    if (got != only) refuse(key, std::to_string(only), std::to_string(got));
  }
  void refuse(std::string_view key, std::string expected, std::string got) {
    fail(Status(StatusCode::kUnsupported, "the network here has no such switch")
             .expected(std::move(expected))
             .got(std::move(got)),
         key);
  }
  void fail(Status status, std::string_view key) {
    if (status_.ok()) status_ = std::move(status).at(m_.source() + ", key '" + std::string(key) + "'");
  }

 private:
  template <typename T, typename U>
  T keep(Result<T> result, U fallback) {
    if (result.ok()) return std::move(*result);
    if (status_.ok()) status_ = result.status();
    return T(fallback);
  }

  const Metadata& m_;
  Status status_;
};

void read_levels(Reader& r, UNetConfig& c) {
  const std::vector<int64_t> channels = r.integers("block_out_channels");
  // Control networks have no way up.
  const std::vector<std::string> down = r.texts("down_block_types"),
                                 up = r.has("up_block_types")
                                          ? r.texts("up_block_types")
                                          : std::vector<std::string>(down.size(), "UpBlock2D");
  const size_t n = channels.size();
  if (!r.status().ok()) return;
  if (n == 0 || down.size() != n || up.size() != n)
    return r.fail(
        Status(StatusCode::kCorruptData, "a UNet needs a block on the way down and up for each level")
            .expected(std::to_string(n) + " each")
            .got(std::to_string(down.size()) + " and " + std::to_string(up.size())),
        "down_block_types");
  // attention_head_dim is, by an old mistake that all published files keep, the number of heads.
  const bool heads_given = r.has("num_attention_heads");
  const std::vector<int64_t> heads = r.each(heads_given ? "num_attention_heads" : "attention_head_dim", n, 8);
  const std::vector<int64_t> resnets = r.each("layers_per_block", n, 2);
  const std::vector<int64_t> layers = r.each("transformer_layers_per_block", n, 1);
  const std::vector<int64_t> only_cross = r.each("only_cross_attention", n, 0);
  for (size_t i = 0; i < n; ++i) {
    UNetLevel level = {channels[i], resnets[i], 0, 0, heads[i], only_cross[i] != 0};
    if (down[i] == "CrossAttnDownBlock2D") level.down_transformer_layers = layers[i];
    else if (down[i] != "DownBlock2D")
      r.refuse("down_block_types", "CrossAttnDownBlock2D or DownBlock2D", down[i]);
    const std::string& way_up = up[n - 1 - i];
    if (way_up == "CrossAttnUpBlock2D") level.up_transformer_layers = layers[i];
    else if (way_up != "UpBlock2D") r.refuse("up_block_types", "CrossAttnUpBlock2D or UpBlock2D", way_up);
    c.levels.push_back(level);
  }
  const std::string middle = r.text("mid_block_type", "UNetMidBlock2DCrossAttn");
  if (middle != "UNetMidBlock2DCrossAttn" && middle != "UNetMidBlock2D")
    r.refuse("mid_block_type", "UNetMidBlock2DCrossAttn", middle);
  c.mid_transformer_layers = middle == "UNetMidBlock2D" ? 0 : layers.back();
  c.mid_heads = heads.back();
}

void read_embeddings(Reader& r, UNetConfig& c) {
  c.flip_sin_to_cos = r.boolean("flip_sin_to_cos", true);
  c.frequency_shift = static_cast<float>(r.number("freq_shift", 0));
  c.guidance_width = r.integer("time_cond_proj_dim", 0);
  const std::string kind = r.text("class_embed_type", "");
  if (kind == "timestep") {
    c.class_embedding = ClassEmbedding::kTimestep;
  } else if (kind == "projection") {
    c.class_embedding = ClassEmbedding::kProjection;
    c.class_width = r.integer("projection_class_embeddings_input_dim");
  } else if (!kind.empty()) {
    r.refuse("class_embed_type", "timestep or projection", kind);
  } else if (r.has("num_class_embeds")) {
    c.class_embedding = ClassEmbedding::kTable;
    c.n_classes = r.integer("num_class_embeds");
  }
  const std::string added = r.text("addition_embed_type", "");
  if (added == "text_time") {
    c.added_time_width = r.integer("addition_time_embed_dim");
    c.added_width = r.integer("projection_class_embeddings_input_dim");
  } else if (!added.empty()) {
    r.refuse("addition_embed_type", "text_time", added);
  }
}

}  // namespace

Result<UNetConfig> read_unet_config(const Metadata& metadata) {
  Reader r(metadata);
  UNetConfig c;
  c.in_channels = r.integer("in_channels", 4);
  c.out_channels = r.integer("out_channels", 4);
  c.context_width = r.integer("cross_attention_dim", 1280);
  c.groups = r.integer("norm_num_groups", 32);
  c.epsilon = static_cast<float>(r.number("norm_eps", 1e-5));
  read_levels(r, c);
  read_embeddings(r, c);
  for (const char* key : {"act_fn"}) r.demand_text(key, "silu");
  r.demand_text("resnet_time_scale_shift", "default");
  r.demand_text("time_embedding_type", "positional");
  r.demand_text("attention_type", "default");
  for (const char* key : {"center_input_sample", "dual_cross_attention", "resnet_skip_time_act",
                          "class_embeddings_concat", "mid_block_only_cross_attention"})
    r.demand_false(key);
  for (const char* key : {"conv_in_kernel", "conv_out_kernel"}) r.demand_number(key, 3);
  for (const char* key : {"downsample_padding", "mid_block_scale_factor", "resnet_out_scale_factor"})
    r.demand_number(key, 1);
  for (const char* key :
       {"encoder_hid_dim", "time_embedding_dim", "time_embedding_act_fn", "timestep_post_act",
        "cross_attention_norm", "reverse_transformer_layers_per_block"})
    if (r.has(key)) r.refuse(key, "null", "a value");
  if (!r.status().ok()) return r.status();
  return c;
}

Result<ControlNetConfig> read_control_net_config(const Metadata& metadata) {
  Reader r(metadata);
  ControlNetConfig c;
  if (r.has("conditioning_embedding_out_channels"))
    c.hint_channels = r.integers("conditioning_embedding_out_channels");
  c.picture_channels = r.integer("conditioning_channels", 3);
  r.demand_text("controlnet_conditioning_channel_order", "rgb");
  r.demand_false("global_pool_conditions");
  if (!r.status().ok()) return r.status();
  Result<UNetConfig> unet = read_unet_config(metadata);
  if (!unet.ok()) return unet.status();
  c.unet = *std::move(unet);
  return c;
}

Result<VaeConfig> read_vae_config(const Metadata& metadata) {
  Reader r(metadata);
  VaeConfig c;
  c.image_channels = r.integer("in_channels", 3);
  c.latent_channels = r.integer("latent_channels", 4);
  c.channels = r.integers("block_out_channels");
  c.n_resnets = r.integer("layers_per_block", 1);
  c.groups = r.integer("norm_num_groups", 32);
  c.mid_attention = r.boolean("mid_block_add_attention", true);
  c.quant_convolution = r.boolean("use_quant_conv", true);
  c.post_quant_convolution = r.boolean("use_post_quant_conv", true);
  c.scaling_factor = static_cast<float>(r.number("scaling_factor", 0.18215));
  c.shift_factor = static_cast<float>(r.number("shift_factor", 0));
  r.demand_text("act_fn", "silu");
  for (const std::string& kind : r.texts("down_block_types"))
    if (kind != "DownEncoderBlock2D") r.refuse("down_block_types", "DownEncoderBlock2D", kind);
  for (const std::string& kind : r.texts("up_block_types"))
    if (kind != "UpDecoderBlock2D") r.refuse("up_block_types", "UpDecoderBlock2D", kind);
  if (r.integer("out_channels", 3) != c.image_channels)
    r.refuse("out_channels", "as in_channels", "another number");
  if (!r.status().ok()) return r.status();
  return c;
}

Result<TaesdConfig> read_taesd_config(const Metadata& metadata) {
  Reader r(metadata);
  TaesdConfig c;
  c.image_channels = r.integer("in_channels", 3);
  c.latent_channels = r.integer("latent_channels", 4);
  if (r.has("num_encoder_blocks")) c.encoder_blocks = r.integers("num_encoder_blocks");
  if (r.has("num_decoder_blocks")) c.decoder_blocks = r.integers("num_decoder_blocks");
  for (const char* key : {"encoder_block_out_channels", "decoder_block_out_channels"}) {
    for (int64_t channels : r.has(key) ? r.integers(key) : std::vector<int64_t>{64}) {
      if (key == std::string_view("encoder_block_out_channels")) c.channels = channels;
      if (channels != c.channels) r.refuse(key, "one number of channels", std::to_string(channels));
    }
  }
  r.demand_text("act_fn", "relu");
  r.demand_text("upsample_fn", "nearest");
  r.demand_number("upsampling_scaling_factor", 2);
  r.demand_number("scaling_factor", 1);
  if (r.integer("out_channels", 3) != c.image_channels)
    r.refuse("out_channels", "as in_channels", "another number");
  if (!r.status().ok()) return r.status();
  return c;
}

}  // namespace weft
