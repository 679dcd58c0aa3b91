/// Which files of a model folder hold weights and configuration, by the names that Hugging Face's libraries
/// use.
#ifndef WEFT_MODALITIES_WEIGHTS_HUGGING_FACE_FOLDER_H
#define WEFT_MODALITIES_WEIGHTS_HUGGING_FACE_FOLDER_H

#include <weft/sdk/status.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "modalities/weights/weight_file.h"

namespace weft {

struct ModelFolder {
  WeightContainer container = WeightContainer::kSafetensors;
  std::vector<std::filesystem::path> weights;     // shards, in the order of their names
  std::filesystem::path config;                   // empty if there is none
  std::map<std::string, std::string> weight_map;  // tensor -> shard, of a sharded model
};

/// Errors: kNotFound (no weights: lists what is looked for), kInvalidArgument (several GGUF models),
/// kCorruptData (an index that names files outside the folder). OpenCLIP's files count where there are no others, or the config.json
/// is not transformers'.
Result<ModelFolder> examine_model_folder(const std::filesystem::path& folder);

/// config.json beside a file, adapter_config.json for adapter_model.safetensors, open_clip_config.json for OpenCLIP's; empty if absent.
std::filesystem::path config_beside(const std::filesystem::path& weights);

/// Checks that every tensor of the index is in the shard that it names. Errors: kCorruptData.
Status check_weight_map(const std::map<std::string, std::string>& weight_map, const WeightFile& file);

}  // namespace weft
#endif
