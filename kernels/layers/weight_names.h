/// What readers of checkpoints do with the names of tensors, part by part ("a.b" of "a.b.weight").
///
///   constexpr Rename kNames[] = {{"mlp.c_fc", "mlp.fc1"}};
///   renamed("mlp.c_fc.weight", kNames);                        // "mlp.fc1.weight"
#ifndef WEFT_KERNELS_LAYERS_WEIGHT_NAMES_H
#define WEFT_KERNELS_LAYERS_WEIGHT_NAMES_H

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace weft {

using Rename = std::pair<std::string_view, std::string_view>;

/// The name with its first parts replaced by the first rename that knows them; the name itself if none does.
inline std::string renamed(std::string_view name, std::span<const Rename> renames) {
  for (const auto& [from, to] : renames)
    if (name.starts_with(from) && (name.size() == from.size() || name[from.size()] == '.'))
      return std::string(to) + std::string(name.substr(from.size()));
  return std::string(name);
}
inline std::string renamed(std::string_view name, std::initializer_list<Rename> renames) {
  return renamed(name, std::span(renames.begin(), renames.size()));
}

/// Whether this is something that files of CLIP's text towers carry and that no network reads.
inline bool is_unread_of_clip(std::string_view name) {
  for (const std::string_view end : {"position_ids", "logit_scale", "attn_mask"})
    if (name.ends_with(end)) return true;
  return false;
}

}  // namespace weft
#endif
