#include "kernels/networks/diffusion_checkpoint/original_names.h"

#include <charconv>
#include <vector>

#include "kernels/layers/weight_names.h"

namespace weft {
namespace {

constexpr std::string_view kTransformerParts[] = {"norm", "proj_in", "transformer_blocks", "proj_out"};

bool is_transformer(std::string_view rest) {
  for (std::string_view part : kTransformerParts)
    if (rest.starts_with(part)) return true;
  return false;
}

std::string resnet_rest(std::string_view rest) {
  return renamed(rest, {{"in_layers.0", "norm1"},
                        {"in_layers.2", "conv1"},
                        {"emb_layers.1", "time_emb_proj"},
                        {"out_layers.0", "norm2"},
                        {"out_layers.3", "conv2"},
                        {"skip_connection", "conv_shortcut"}});
}

// Takes "<number>." from the front of `rest`; -1, and nothing taken, if there is none.
int64_t take_number(std::string_view& rest) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  const size_t used = static_cast<size_t>(end - rest.data());
  if (error != std::errc() || used >= rest.size() || rest[used] != '.' || value < 0) return -1;
  rest.remove_prefix(used + 1);
  return value;
}

bool take(std::string_view& rest, std::string_view front) {
  if (!rest.starts_with(front)) return false;
  rest.remove_prefix(front.size());
  return true;
}

std::string numbered(std::string_view front, int64_t i, std::string_view middle, int64_t j,
                     std::string_view back, std::string_view rest) {
  return std::string(front) + std::to_string(i) + std::string(middle) + (j >= 0 ? std::to_string(j) : "") +
         std::string(back) + std::string(rest);
}

// What follows "input_blocks." of a name; empty if it is not known.
std::string way_down(std::string_view rest, int64_t resnets) {
  const int64_t k = take_number(rest), part = take_number(rest);
  if (k == 0 && part == 0) return "conv_in." + std::string(rest);
  if (k < 1 || part < 0) return "";
  const int64_t level = (k - 1) / (resnets + 1), j = (k - 1) % (resnets + 1);
  if (j == resnets)
    return take(rest, "op.") ? numbered("down_blocks.", level, ".downsamplers.0.conv", -1, ".", rest) : "";
  if (part == 0) return numbered("down_blocks.", level, ".resnets.", j, ".", resnet_rest(rest));
  return part == 1 ? numbered("down_blocks.", level, ".attentions.", j, ".", rest) : "";
}

// What follows "output_blocks.".
std::string way_up(std::string_view rest, int64_t resnets) {
  const int64_t k = take_number(rest), part = take_number(rest);
  if (k < 0 || part < 0) return "";
  const int64_t block = k / (resnets + 1), j = k % (resnets + 1);
  if (part == 0) return numbered("up_blocks.", block, ".resnets.", j, ".", resnet_rest(rest));
  if (part == 1 && is_transformer(rest)) return numbered("up_blocks.", block, ".attentions.", j, ".", rest);
  return numbered("up_blocks.", block, ".upsamplers.0.", -1, "", rest);
}

std::string middle(std::string_view rest) {
  const int64_t part = take_number(rest);
  if (part == 1) return "mid_block.attentions.0." + std::string(rest);
  if (part == 0 || part == 2) return numbered("mid_block.resnets.", part / 2, ".", -1, "", resnet_rest(rest));
  return "";
}

// What follows "encoder." or "decoder.".
std::string vae_half(std::string_view half, std::string_view rest, int64_t levels) {
  const std::string front = std::string(half) + ".";
  const bool up = rest.starts_with("up.");
  if (take(rest, "down.") || take(rest, "up.")) {
    const int64_t level = take_number(rest);
    if (level < 0) return "";
    const std::string stage =
        front + (up ? "up_blocks." : "down_blocks.") + std::to_string(up ? levels - 1 - level : level) + ".";
    if (take(rest, "block.")) {
      const int64_t j = take_number(rest);
      return stage + "resnets." + std::to_string(j) + "." +
             renamed(rest, {{"nin_shortcut", "conv_shortcut"}});
    }
    return stage + renamed(rest, {{"downsample", "downsamplers.0"}, {"upsample", "upsamplers.0"}});
  }
  if (take(rest, "mid.attn_1."))
    return front + "mid_block.attentions.0." +
           renamed(rest, {{"norm", "group_norm"},
                          {"q", "to_q"},
                          {"k", "to_k"},
                          {"v", "to_v"},
                          {"proj_out", "to_out.0"}});
  if (take(rest, "mid.block_")) {
    const int64_t j = take_number(rest);
    return front + "mid_block.resnets." + std::to_string(j - 1) + "." + std::string(rest);
  }
  return front + renamed(rest, {{"norm_out", "conv_norm_out"}});
}

}  // namespace

std::string unet_name(std::string_view name, int64_t resnets, bool added) {
  std::string_view rest = name;
  std::string known;
  if (take(rest, "input_blocks.")) known = way_down(rest, resnets);
  else if (take(rest, "output_blocks.")) known = way_up(rest, resnets);
  else if (take(rest, "middle_block.")) known = middle(rest);
  else
    known = renamed(name, {{"time_embed.0", "time_embedding.linear_1"},
                           {"time_embed.2", "time_embedding.linear_2"},
                           {"label_emb.0.0", added ? "add_embedding.linear_1" : "class_embedding.linear_1"},
                           {"label_emb.0.2", added ? "add_embedding.linear_2" : "class_embedding.linear_2"},
                           {"out.0", "conv_norm_out"},
                           {"out.2", "conv_out"}});
  return known.empty() ? std::string(name) : known;
}

std::string control_name(std::string_view name, int64_t resnets, int64_t hints, bool added) {
  std::string_view rest = name;
  if (take(rest, "zero_convs.")) {
    const int64_t i = take_number(rest);
    return i >= 0 && take(rest, "0.") ? numbered("controlnet_down_blocks.", i, ".", -1, "", rest)
                                      : std::string(name);
  }
  if (take(rest, "middle_block_out.0.")) return "controlnet_mid_block." + std::string(rest);
  if (take(rest, "input_hint_block.")) {
    // Every second layer is an activation.
    const int64_t i = take_number(rest) / 2;
    const std::string front = "controlnet_cond_embedding.";
    if (i == 0) return front + "conv_in." + std::string(rest);
    if (i == hints - 1) return front + "conv_out." + std::string(rest);
    return front + numbered("blocks.", i - 1, ".", -1, "", rest);
  }
  return unet_name(name, resnets, added);
}

std::string vae_name(std::string_view name, int64_t levels) {
  std::string_view rest = name;
  std::string known;
  if (take(rest, "encoder.")) known = vae_half("encoder", rest, levels);
  else if (take(rest, "decoder.")) known = vae_half("decoder", rest, levels);
  return known.empty() ? std::string(name) : known;
}

}  // namespace weft
