#include "kernels/networks/diffusion_checkpoint/diffusion_lora.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/original_names.h"
#include "kernels/quant/dequantize.h"

namespace weft {
namespace {

enum class Half : uint8_t { kDown, kUp, kAlpha };

// What ends a tensor's name, and what it is then. The longest that fits counts.
constexpr std::pair<std::string_view, Half> kEnds[] = {
    {".lora_linear_layer.down.weight", Half::kDown},
    {".lora_linear_layer.up.weight", Half::kUp},
    {".lora_down.weight", Half::kDown},
    {".lora_up.weight", Half::kUp},
    {".lora.down.weight", Half::kDown},
    {".lora.up.weight", Half::kUp},
    {".lora_A.default.weight", Half::kDown},
    {".lora_B.default.weight", Half::kUp},
    {".lora_A.weight", Half::kDown},
    {".lora_B.weight", Half::kUp},
    {"_lora.down.weight", Half::kDown},
    {"_lora.up.weight", Half::kUp},
    {".alpha", Half::kAlpha},
};
constexpr std::string_view kOtherKinds[] = {
    ".dora_scale", ".lora_magnitude_vector", ".hada_", ".lokr_", ".lora_mid", ".oft_", ".diff", ".glora_",
    ".on_input"};

struct Pair {
  const WeightTensor* down = nullptr;
  const WeightTensor* up = nullptr;
  float alpha = 0;  // 0: none
};

// A network, and its layers by their names with underscores for dots.
struct Target {
  WeightSource* source = nullptr;
  float scale = 1;
  std::map<std::string, std::string> layers;  // "down_blocks_0_..." -> "down_blocks.0.....weight"
};

std::string underscored(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '.', '_');
  return text;
}

Target make_target(WeightSource* source, float scale) {
  Target target{source, scale, {}};
  if (!source) return target;
  constexpr std::string_view kWeight = ".weight", kText = "text_model.";
  for (const auto& [name, tensor] : source->tensors()) {
    if (!name.ends_with(kWeight)) continue;
    const std::string layer = name.substr(0, name.size() - kWeight.size());
    target.layers.emplace(underscored(layer), name);
    // Text encoders are named with and without this.
    target.layers.emplace(layer.starts_with(kText) ? underscored(layer.substr(kText.size()))
                                                   : underscored(std::string(kText) + layer),
                          name);
  }
  return target;
}

bool take(std::string_view& name, std::string_view front) {
  if (!name.starts_with(front)) return false;
  name.remove_prefix(front.size());
  return true;
}

bool take_digits(std::string_view& name, std::string* out) {
  size_t n = 0;
  while (n < name.size() && name[n] >= '0' && name[n] <= '9') ++n;
  if (n == 0 || n >= name.size() || name[n] != '_') return false;
  *out += std::string(name.substr(0, n)) + ".";
  name.remove_prefix(n + 1);
  return true;
}

// kohya's names over the original ones: "input_blocks_4_1_proj_in". resnets: of a level. The name itself if it is not one.
std::string without_original_names(std::string_view name, int64_t resnets) {
  std::string_view rest = name;
  std::string front;
  if (take(rest, "input_blocks_")) front = "input_blocks.";
  else if (take(rest, "output_blocks_")) front = "output_blocks.";
  else if (take(rest, "middle_block_")) front = "middle_block.";
  else {
    for (const auto& [from, to] :
         {std::pair<std::string_view, std::string_view>{"time_embed_0", "time_embedding_linear_1"},
          {"time_embed_2", "time_embedding_linear_2"},
          {"label_emb_0_0", "add_embedding_linear_1"},
          {"label_emb_0_2", "add_embedding_linear_2"},
          {"out_2", "conv_out"}})
      if (name == from) return std::string(to);
    return std::string(name);
  }
  if (!take_digits(rest, &front)) return std::string(name);
  if (!name.starts_with("middle_block_") && !take_digits(rest, &front)) return std::string(name);
  std::string inner(rest);
  for (const auto& [from, to] : {std::pair<std::string_view, std::string_view>{"in_layers_2", "in_layers.2"},
                                 {"emb_layers_1", "emb_layers.1"},
                                 {"out_layers_3", "out_layers.3"}})
    if (inner == from) inner = to;
  // The dot behind makes a whole name of it.
  std::string layer = underscored(unet_name(front + inner + ".", resnets, true));
  if (layer.ends_with("_")) layer.pop_back();
  return layer;
}

// "...attn1.processor.to_q" of old diffusers files is "...attn1.to_q", and to_out is to_out.0.
std::string without_processor(std::string name) {
  const size_t at = name.find(".processor.");
  if (at == std::string::npos) return name;
  name.erase(at, sizeof(".processor") - 1);
  if (name.ends_with(".to_out")) name += ".0";
  return name;
}

class Merger {
 public:
  Merger(const WeightFile& adapter, const LoraTargets& targets, float unet_scale, float text_scale)
      : adapter_(adapter),
        unet_(make_target(targets.unet, unet_scale)),
        text_(make_target(targets.text_encoder, text_scale)),
        text_2_(make_target(targets.text_encoder_2, text_scale)) {
    // Residual blocks of the first level on the way down.
    while (unet_.layers.contains("down_blocks_0_resnets_" + std::to_string(resnets_) + "_conv1")) ++resnets_;
  }

  Result<int64_t> run() {
    if (Status read = read_pairs(); !read.ok()) return read;
    std::vector<std::pair<std::pair<Target*, std::string>, LowRankDelta>> deltas;
    for (const auto& [key, pair] : pairs_) {
      if (!pair.down || !pair.up)
        return Status(StatusCode::kNotFound, "the adapter holds half a pair")
            .at(adapter_.path().string() + ", '" + key + "'")
            .expected(pair.down ? "the up matrix" : "the down matrix");
      std::string name;
      Target* target = find(key, &name);
      if (!target)
        return Status(StatusCode::kNotFound, "the networks have no layer of this name")
            .at(adapter_.path().string() + ", '" + key + "'")
            .hint("is the adapter for another kind of model?");
      Result<LowRankDelta> delta = check(*target, name, pair);
      if (!delta.ok()) return delta.status();
      deltas.push_back({{target, std::move(name)}, *delta});
    }
    if (deltas.empty())
      return Status(StatusCode::kUnsupported, "the file holds no low-rank adapter that Weft reads")
          .at(adapter_.path().string())
          .expected("pairs of lora_down and lora_up, or lora_A and lora_B");
    for (const auto& [place, delta] : deltas) place.first->source->add_delta(place.second, delta);
    return static_cast<int64_t>(deltas.size());
  }

 private:
  Status read_pairs() {
    for (const WeightTensor& tensor : adapter_.tensors()) {
      const std::string_view name = tensor.name;
      for (std::string_view other : kOtherKinds)
        if (name.find(other) != std::string_view::npos)
          return Status(StatusCode::kUnsupported, "the adapter is of a kind that Weft does not merge")
              .at(adapter_.where(tensor))
              .expected("low-rank pairs: lora_down and lora_up, or lora_A and lora_B");
      const auto end = std::find_if(std::begin(kEnds), std::end(kEnds),
                                    [&](const auto& e) { return name.ends_with(e.first); });
      if (end == std::end(kEnds))
        return Status(StatusCode::kUnsupported, "a tensor that is no part of a low-rank adapter")
            .at(adapter_.where(tensor));
      Pair& pair = pairs_[std::string(name.substr(0, name.size() - end->first.size()))];
      if (end->second == Half::kDown) pair.down = &tensor;
      else if (end->second == Half::kUp) pair.up = &tensor;
      else if (tensor.count() == 1) dequantize(tensor.format, tensor.data, 1, &pair.alpha);
    }
    return Status();
  }

  // The network and the tensor that a pair's key names.
  Target* find(std::string_view key, std::string* name) {
    std::string_view rest = key;
    take(rest, "base_model.model.");
    const auto look = [&](Target& target, const std::string& layer) -> Target* {
      const auto found = target.layers.find(layer);
      if (found == target.layers.end()) return nullptr;
      *name = found->second;
      return &target;
    };
    if (take(rest, "lora_unet_")) return look(unet_, without_original_names(rest, resnets_));
    if (take(rest, "unet.")) return look(unet_, underscored(without_processor(std::string(rest))));
    if (take(rest, "lora_te2_") || take(rest, "text_encoder_2.")) return look(text_2_, underscored(rest));
    if (take(rest, "lora_te1_") || take(rest, "lora_te_") || take(rest, "text_encoder."))
      return look(text_, underscored(rest));
    return look(unet_, underscored(without_processor(std::string(rest))));
  }

  Result<LowRankDelta> check(const Target& target, const std::string& name, const Pair& pair) {
    const std::vector<int64_t> shape = target.source->find(name)->shape();
    const SourceTensor up = {&adapter_, pair.up}, down = {&adapter_, pair.down};
    int64_t columns = 1;
    for (size_t i = 1; i < shape.size(); ++i) columns *= shape[i];
    const int64_t rank = pair.down->rank > 0 ? pair.down->extents[0] : 0;
    const bool fits = rank >= 1 && pair.up->rank >= 2 && pair.up->extents[0] == shape[0] &&
                      pair.up->count() == shape[0] * rank && pair.down->count() == rank * columns;
    if (!fits)
      return Status(StatusCode::kInvalidShape, "the adapter does not fit the layer '" + name + "'")
          .at(adapter_.where(*pair.down))
          .expected("[" + std::to_string(shape[0]) + ", rank] times [rank, " + std::to_string(columns) + "]")
          .got(shape_text(up.shape()) + " times " + shape_text(down.shape()));
    const float strength = pair.alpha != 0 ? pair.alpha / static_cast<float>(rank) : 1.0f;
    return LowRankDelta{up, down, strength * target.scale};
  }

  const WeightFile& adapter_;
  Target unet_, text_, text_2_;
  int64_t resnets_ = 0;
  std::map<std::string, Pair> pairs_;  // by what precedes ".lora_down" and the like
};

}  // namespace

Result<int64_t> merge_diffusion_lora(const WeightFile& adapter, const LoraTargets& targets, float unet_scale,
                                     float text_scale) {
  return Merger(adapter, targets, unet_scale, text_scale).run();
}

}  // namespace weft
