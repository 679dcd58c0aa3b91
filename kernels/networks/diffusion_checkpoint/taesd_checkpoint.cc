#include "kernels/networks/diffusion_checkpoint/taesd_checkpoint.h"

#include <charconv>

#include "kernels/networks/diffusion_checkpoint/shapes.h"

namespace weft {
namespace {

constexpr std::string_view kMark = "decoder.layers.0.weight", kOriginalMark = "1.weight";

// The original's layers have a clamp in front, which diffusers does not count: "3.conv.0.weight" is layer 2.
WeightSource original_source(const WeightFile& file) {
  const WeightSource whole = WeightSource::all_of(file);
  WeightSource source;
  for (const auto& [name, tensor] : whole.tensors()) {
    int64_t layer = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
    const bool numbered = error == std::errc() && layer > 0;
    source.add(
        numbered ? "decoder.layers." + std::to_string(layer - 1) + std::string(end, name.data() + name.size())
                 : name,
        tensor);
  }
  return source;
}

// Blocks of a level end with an upsampling, which has no weights, and a convolution.
TaesdConfig decoder_shape(const WeightSource& source) {
  const std::string layers = "decoder.layers.";
  TaesdConfig c;
  c.encoder_blocks.clear();
  c.decoder_blocks.clear();
  c.channels = tensor_extent(source, layers + "0.weight", 0);
  c.latent_channels = tensor_extent(source, layers + "0.weight", 1);
  int64_t at = 2, blocks = 0;
  while (c.decoder_blocks.size() < 8) {
    if (source.contains(layers + std::to_string(at) + ".conv.0.weight")) {
      ++at, ++blocks;
      continue;
    }
    c.decoder_blocks.push_back(blocks);
    blocks = 0;
    const std::string last = layers + std::to_string(at) + ".weight";
    if (source.contains(last)) {
      c.image_channels = tensor_extent(source, last, 0);
      break;
    }
    at += 2;
  }
  return c;
}

}  // namespace

Result<TaesdCheckpoint> TaesdCheckpoint::open(const std::filesystem::path& path) {
  Result<WeightFile> opened = WeightFile::open(path);
  if (!opened.ok()) return opened.status();
  TaesdCheckpoint checkpoint;
  checkpoint.file_ = std::make_unique<WeightFile>(*std::move(opened));
  const WeightFile& file = *checkpoint.file_;
  CheckpointPart<TaesdConfig>& part = checkpoint.part_;
  if (file.find(kMark) != nullptr) {
    part.source = WeightSource::all_of(file);
    Result<TaesdConfig> config = read_taesd_config(file.metadata());
    if (!config.ok()) return config.status();
    part.config = *std::move(config);
  } else if (file.find(kOriginalMark) != nullptr) {
    part.source = original_source(file);
    part.config = decoder_shape(part.source);
  } else {
    return Status(StatusCode::kNotFound, "the file holds no tiny autoencoder")
        .at(path.string())
        .expected("a tensor '" + std::string(kMark) + "' or '" + std::string(kOriginalMark) + "'")
        .got("neither");
  }
  for (const MappedFile& mapped : file.files()) part.files.push_back(mapped.path());
  return checkpoint;
}

}  // namespace weft
