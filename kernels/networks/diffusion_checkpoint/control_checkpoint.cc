#include "kernels/networks/diffusion_checkpoint/control_checkpoint.h"

#include "kernels/networks/diffusion_checkpoint/original_names.h"
#include "kernels/networks/diffusion_checkpoint/shapes.h"

namespace weft {
namespace {

constexpr std::string_view kOriginalPrefix = "control_model.", kOriginalMark = "input_hint_block.0.weight",
                           kMark = "controlnet_cond_embedding.conv_in.weight";

// Where an original file's names begin; some tools have taken the prefix away.
std::string_view original_prefix(const WeightFile& file) {
  return file.find(std::string(kOriginalPrefix) + std::string(kOriginalMark)) ? kOriginalPrefix : "";
}

WeightSource original_source(const WeightFile& file) {
  const std::string_view prefix = original_prefix(file);
  const WeightSource whole = WeightSource::all_of(file, prefix);
  int64_t resnets = 1, hints = 0;
  while (resnets < 64 && !whole.contains("input_blocks." + std::to_string(resnets + 1) + ".0.op.weight"))
    ++resnets;
  while (whole.contains("input_hint_block." + std::to_string(2 * hints) + ".weight")) ++hints;
  const bool added = whole.contains("label_emb.0.0.weight");
  WeightSource source;
  for (const auto& [name, tensor] : whole.tensors())
    source.add(control_name(name, resnets, hints, added), tensor);
  return source;
}

ControlNetConfig shape_of(const WeightSource& source, const UntoldShapes& untold) {
  const std::string hint = "controlnet_cond_embedding.";
  ControlNetConfig c;
  c.unet = unet_shape(source, untold, source.contains("add_embedding.linear_1.weight"));
  c.unet.out_channels = c.unet.in_channels;
  c.picture_channels = tensor_extent(source, hint + "conv_in.weight", 1);
  c.hint_channels = {tensor_extent(source, hint + "conv_in.weight", 0)};
  // Blocks come in pairs, the second of which halves the picture.
  for (int64_t i = 1; source.contains(hint + "blocks." + std::to_string(i) + ".weight"); i += 2)
    c.hint_channels.push_back(tensor_extent(source, hint + "blocks." + std::to_string(i) + ".weight", 0));
  return c;
}

}  // namespace

Result<ControlCheckpoint> ControlCheckpoint::open(const std::filesystem::path& path,
                                                  const UntoldShapes& untold) {
  Result<WeightFile> opened = WeightFile::open(path);
  if (!opened.ok()) return opened.status();
  ControlCheckpoint checkpoint;
  checkpoint.file_ = std::make_unique<WeightFile>(*std::move(opened));
  const WeightFile& file = *checkpoint.file_;
  const std::string original(original_prefix(file));
  CheckpointPart<ControlNetConfig>& part = checkpoint.part_;
  const bool is_original = file.find(original + std::string(kOriginalMark)) != nullptr;
  if (is_original) part.source = original_source(file);
  else if (file.find(kMark) != nullptr) part.source = WeightSource::all_of(file);
  else
    return Status(StatusCode::kNotFound, "the file holds no control network")
        .at(path.string())
        .expected("a tensor '" + std::string(kMark) + "' or '" + std::string(kOriginalPrefix) +
                  std::string(kOriginalMark) + "'")
        .got("neither");
  if (!is_original && file.metadata().contains("block_out_channels")) {
    Result<ControlNetConfig> config = read_control_net_config(file.metadata());
    if (!config.ok()) return config.status();
    part.config = *std::move(config);
  } else {
    part.config = shape_of(part.source, untold);
  }
  for (const MappedFile& mapped : file.files()) part.files.push_back(mapped.path());
  return checkpoint;
}

}  // namespace weft
