// Single files with the original implementation's names: the kind and all shapes are found from the tensors.
#include "kernels/layers/weight_names.h"
#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"
#include "kernels/networks/diffusion_checkpoint/original_names.h"
#include "kernels/networks/diffusion_checkpoint/shapes.h"
#include "kernels/networks/open_clip/open_clip_tensors.h"

namespace weft {
namespace {

constexpr std::string_view kUnet = "model.diffusion_model.", kVae = "first_stage_model.";
// Where text towers lie: transformers' CLIP, or OpenCLIP.
constexpr std::string_view kSd1Text = "cond_stage_model.transformer.", kSd2Text = "cond_stage_model.model.",
                           kSdxlFirst = "conditioner.embedders.0.transformer.",
                           kSdxlSecond = "conditioner.embedders.1.model.",
                           kRefiner = "conditioner.embedders.0.model.";
constexpr std::string_view kOpenClipMark = "transformer.resblocks.0.ln_1.weight";

bool holds(const WeightFile& file, std::string_view prefix) {
  for (const WeightTensor& tensor : file.tensors())
    if (tensor.name.starts_with(prefix)) return true;
  return false;
}

VaeConfig vae_shape(const WeightSource& s, const UntoldShapes& untold, bool xl) {
  VaeConfig c;
  c.groups = untold.groups;
  c.has_encoder = s.contains("encoder.conv_in.weight");
  c.has_decoder = s.contains("decoder.conv_in.weight");
  c.image_channels = tensor_extent(s, "decoder.conv_out.weight", 0);
  c.latent_channels = tensor_extent(s, "decoder.conv_in.weight", 1);
  const int64_t n = count_numbered(s, "decoder.up_blocks.", ".resnets.0.conv1.weight");
  for (int64_t i = n - 1; i >= 0; --i)
    c.channels.push_back(
        tensor_extent(s, "decoder.up_blocks." + std::to_string(i) + ".resnets.0.conv1.weight", 0));
  c.n_resnets = count_numbered(s, "decoder.up_blocks.0.resnets.", ".conv1.weight") - 1;
  c.mid_attention = s.contains("decoder.mid_block.attentions.0.to_q.weight");
  c.quant_convolution = s.contains("quant_conv.weight");
  c.post_quant_convolution = s.contains("post_quant_conv.weight");
  c.scaling_factor = xl ? 0.13025f : 0.18215f;
  return c;
}

ClipTextConfig text_shape(const WeightSource& s, const UntoldShapes& untold, Activation activation) {
  ClipTextConfig c;
  c.vocabulary = tensor_extent(s, "text_model.embeddings.token_embedding.weight", 0);
  c.width = tensor_extent(s, "text_model.embeddings.token_embedding.weight", 1);
  c.n_positions = tensor_extent(s, "text_model.embeddings.position_embedding.weight", 0);
  c.n_layers = count_numbered(s, "text_model.encoder.layers.", ".layer_norm1.weight");
  c.mlp_width = tensor_extent(s, "text_model.encoder.layers.0.mlp.fc1.weight", 0);
  c.n_heads = c.width / untold.text_head_dim;
  c.projection_width = tensor_extent(s, "text_projection.weight", 0);
  c.activation = activation;
  c.end_token = static_cast<int32_t>(c.vocabulary - 1);  // the last of CLIP's vocabulary
  return c;
}

WeightSource clip_source(const WeightFile& file, std::string_view prefix) {
  WeightSource source;
  for (const WeightTensor& tensor : file.tensors()) {
    if (!tensor.name.starts_with(prefix) || is_unread_of_clip(tensor.name)) continue;
    const std::string name = tensor.name.substr(prefix.size());
    source.add(name.starts_with("text_") ? name : "text_model." + name, {&file, &tensor});
  }
  return source;
}

// The number of residual blocks of a level: a downsampling follows them.
int64_t resnets_of(const WeightFile& file) {
  for (int64_t k = 1; k < 64; ++k)
    if (file.find(std::string(kUnet) + "input_blocks." + std::to_string(k) + ".0.op.weight")) return k - 1;
  return 2;  // a single level
}

}  // namespace

Status DiffusionCheckpoint::read_single_file(const std::filesystem::path& path, const UntoldShapes& untold) {
  Result<WeightFile> opened = WeightFile::open(path);
  if (!opened.ok()) return opened.status();
  files_.push_back(std::make_unique<WeightFile>(std::move(*opened)));
  const WeightFile& file = *files_.back();
  const auto missing = [&](const char* part, std::string expected) {
    return Status(StatusCode::kNotFound, std::string("the file holds no ") + part)
        .at(path.string())
        .expected(std::move(expected))
        .hint(
            "a Stable Diffusion checkpoint is one file with UNet, VAE and text encoders, or a diffusers "
            "folder");
  };
  if (!holds(file, kUnet)) return missing("UNet", "tensors named " + std::string(kUnet) + "...");
  if (!holds(file, kVae)) return missing("VAE", "tensors named " + std::string(kVae) + "...");
  const auto text = [&](WeightSource source, Activation activation) {
    const ClipTextConfig config = text_shape(source, untold, activation);
    text_encoders_.push_back({config, std::move(source), {path}});
    tokenizers_.emplace_back();
  };
  if (holds(file, std::string(kSdxlSecond) + std::string(kOpenClipMark)) && holds(file, kSdxlFirst)) {
    kind_ = DiffusionKind::kSdxl;
    text(clip_source(file, kSdxlFirst), Activation::kQuickGelu);
    text(open_clip_text_source(file, kSdxlSecond), Activation::kGelu);
  } else if (holds(file, std::string(kRefiner) + std::string(kOpenClipMark))) {
    kind_ = DiffusionKind::kSdxlRefiner;
    text(open_clip_text_source(file, kRefiner), Activation::kGelu);
  } else if (holds(file, std::string(kSd2Text) + std::string(kOpenClipMark))) {
    kind_ = DiffusionKind::kSd2;
    // The last layer is never computed: the model reads the penultimate one's output.
    const WeightSource whole = open_clip_text_source(file, kSd2Text);
    text(open_clip_text_source(
             file, kSd2Text, count_numbered(whole, "text_model.encoder.layers.", ".layer_norm1.weight") - 1),
         Activation::kGelu);
  } else if (holds(file, kSd1Text)) {
    kind_ = DiffusionKind::kSd1;
    text(clip_source(file, kSd1Text), Activation::kQuickGelu);
  } else {
    return missing("text encoder that is known", "tensors named " + std::string(kSd1Text) + "..., " +
                                                     std::string(kSd2Text) + "... or " +
                                                     std::string(kSdxlSecond) + "...");
  }

  const bool xl = kind_ == DiffusionKind::kSdxl || kind_ == DiffusionKind::kSdxlRefiner;
  zeros_for_empty_prompt_ = kind_ == DiffusionKind::kSdxl;
  marked_v_prediction_ = file.find("v_pred") != nullptr;
  const int64_t resnets = resnets_of(file);
  int64_t levels = 0;
  while (file.find(std::string(kVae) + "decoder.up." + std::to_string(levels) + ".block.0.conv1.weight"))
    ++levels;
  for (const WeightTensor& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    if (name.starts_with(kUnet))
      unet_.source.add(unet_name(name.substr(kUnet.size()), resnets, xl), {&file, &tensor});
    else if (name.starts_with(kVae) && !name.starts_with(std::string(kVae) + "loss"))
      vae_.source.add(vae_name(name.substr(kVae.size()), levels), {&file, &tensor});
  }
  unet_.config = unet_shape(unet_.source, untold, xl);
  vae_.config = vae_shape(vae_.source, untold, xl);
  for (const MappedFile& mapped : file.files()) {
    unet_.files.push_back(mapped.path());
    vae_.files.push_back(mapped.path());
  }
  return Status();
}

}  // namespace weft
