#include "plugins/vision/vision_model.h"

#include <weft/sdk/device.h>
#include <weft/sdk/measure.h>

#include <utility>

#include "kernels/layers/model_weights.h"
#include "kernels/networks/open_clip/open_clip_config.h"
#include "kernels/networks/vision_transformer/vision_transformer_checkpoint.h"
#include "modalities/weights/metadata_reader.h"

namespace weft::vision {
namespace {

constexpr weft_parameter kParameters[] = {
    kDeviceParameter,
    sdk::parameter({.name = "precision",
                    .type = "choice",
                    .default_json = "\"auto\"",
                    .choices = kPrecisions,
                    .help = "What the networks compute in. auto: bf16 on devices and where the processor "
                            "multiplies it faster than f32."})};

}  // namespace

std::span<const weft_parameter> VisionModel::parameters() { return kParameters; }

Result<std::unique_ptr<VisionModel>> VisionModel::open(const sdk::ModelSource& source) {
  std::unique_ptr<VisionModel> model(new VisionModel(source.host(), std::string(source.path())));
  Result<WeightFile> file = WeightFile::open(model->path_);
  if (!file.ok()) return file.status();
  model->file_.emplace(*std::move(file));
  Result<std::optional<ModelDevice>> device = ModelDevice::open(source.parameters());
  if (!device.ok()) return device.status();
  model->device_ = *std::move(device);
  const DType compute = compute_type(source.parameters().get_text("precision"),
                                     model->device_ ? ComputePlace::kDevice : ComputePlace::kHost);
  if (Status status = model->open_pictures(compute); !status.ok()) return status;
  if (Status status = model->read_classes(); !status.ok()) return status;
  Result<std::optional<TextTower>> texts = TextTower::open(*model->file_, compute);
  if (!texts.ok()) return texts.status();
  model->texts_ = *std::move(texts);
  if (model->texts_ && model->texts_->network.config().projection_width != model->width())
    return Status(StatusCode::kCorruptData, "the vectors of pictures and of texts have different widths")
        .at(model->path_)
        .expected(std::to_string(model->width()))
        .got(std::to_string(model->texts_->network.config().projection_width));
  Result<std::string> key = note_model_files(source, model_files(*model->file_));
  if (!key.ok()) return key.status();
  model->weights_key_ = *std::move(key);
  return model;
}

Status VisionModel::open_pictures(DType compute) {
  // A folder of another kind is refused as such, before what else it lacks.
  const Result<VisionTransformerConfig> known = read_vision_transformer_config(file_->metadata());
  if (!known.ok()) return known.status();
  const std::filesystem::path path = file_->folder() / "preprocessor_config.json";
  const Result<PictureProcessor> processor =
      is_open_clip(file_->metadata()) ? PictureProcessor::of_open_clip(file_->metadata(), known->image_size)
                                      : PictureProcessor::read(path);
  if (!processor.ok()) return processor.status();
  processor_ = *processor;
  Result<VisionTransformerConfig> config =
      read_vision_transformer_config(file_->metadata(), processor_.height);
  if (!config.ok()) return config.status();
  const bool keeps = processor_.fit == PictureProcessor::Fit::kPatches;
  const auto kind = [](bool keeps_shapes) {
    return keeps_shapes ? "pictures that keep their shapes" : "pictures of one size";
  };
  if (keeps != config->keeps_shapes())
    return Status(StatusCode::kCorruptData, "the processor makes other pictures than the encoder reads")
        .at(path.string())
        .expected(kind(!keeps))
        .got(kind(keeps));
  if (keeps && processor_.patch_size != config->patch_size)
    return Status(StatusCode::kCorruptData, "the processor makes other patches than the encoder reads")
        .at(path.string())
        .expected(std::to_string(config->patch_size) + " pixels a side")
        .got(std::to_string(processor_.patch_size));
  if (keeps) config->max_patches = processor_.max_patches;
  else if (processor_.height != config->image_size || processor_.width != config->image_size)
    return Status(StatusCode::kCorruptData,
                  "the processor makes pictures of another size than the encoder reads")
        .at(path.string())
        .expected(std::to_string(config->image_size) + " x " + std::to_string(config->image_size))
        .got(std::to_string(processor_.width) + " x " + std::to_string(processor_.height));
  Result<VisionTransformer> network =
      VisionTransformer::open(vision_transformer_source(*file_), *config, compute);
  if (!network.ok()) return network.status();
  network_.emplace(*std::move(network));
  return {};
}

Status VisionModel::read_classes() {
  if (network_->config().classifier == ClassifierInput::kNone) return {};
  MetadataReader reader(file_->metadata());
  for (int64_t i = 0; i < network_->config().n_classes; ++i)
    classes_.push_back(reader.text_or("id2label." + std::to_string(i), "LABEL_" + std::to_string(i)));
  return reader.status();
}

PatchGrid VisionModel::grid_of(const ImageShape& picture) const {
  const VisionTransformerConfig& c = network_->config();
  if (!c.keeps_shapes()) return {c.patches_a_side(), c.patches_a_side()};
  const PictureProcessor::Size size = processor_.result_size(picture);
  return {size.height / c.patch_size, size.width / c.patch_size};
}

Result<weft_model_estimate> VisionModel::estimate() const {
  const int64_t mapped = texts_ ? texts_->network.mapped_bytes() : 0;
  return sdk::model_estimate(static_cast<uint64_t>(weights_bytes()), static_cast<uint64_t>(mapped),
                             device_ ? device_->id : sdk::kCpu);
}

int64_t VisionModel::weights_bytes() const {
  const auto of = [this](const auto& network) {
    return device_ ? network.device_weights_bytes() : network.packed_weights_bytes();
  };
  return of(*network_) + (texts_ ? of(texts_->network) : 0);
}

Status VisionModel::load(weft_stream* stream) {
  const sdk::Stopwatch watch;
  Status loaded = device_ ? load_on_device(stream) : load_on_cpu();
  if (!loaded.ok()) return std::move(loaded).at(path_);
  file_->drop_all_pages();  // packed or uploaded; rows of embeddings are read as they are wanted
  load_seconds_ = watch.seconds();
  return {};
}

// One buffer of the host's, whose parts are the networks'.
Status VisionModel::load_on_device(weft_stream* stream) {
  Result<sdk::Buffer> memory =
      host_.allocate(static_cast<uint64_t>(weights_bytes()), stream, "weights", device_->id);
  if (!memory.ok()) return memory.status();
  const DeviceStream own = device_->stream(host_, stream);
  auto* at = static_cast<std::byte*>(memory->data());
  const auto load = [&](auto& network) {
    const auto bytes = static_cast<uint64_t>(network.device_weights_bytes());
    DeviceBuffer part = DeviceBuffer::borrow(at, bytes);
    at += bytes;
    return network.load_on(own, host_.executor(), {}, std::move(part));
  };
  Status loaded = load(*network_);
  if (loaded.ok() && texts_) loaded = load(texts_->network);
  if (loaded.ok()) device_weights_ = *std::move(memory);
  return loaded;
}

Status VisionModel::load_on_cpu() {
  store_ = packed_weight_store(host_, weights_key_);
  Status loaded = network_->load(*store_, weights_key_ + ".vision", host_.executor());
  if (loaded.ok() && texts_)
    loaded = texts_->network.load(*store_, weights_key_ + ".vision_text", host_.executor());
  return loaded;
}

void VisionModel::evict() {
  network_->unload();
  if (texts_) texts_->network.unload();
  if (device_) device_->spare->clear();
  store_.reset();
  device_weights_ = {};
}

}  // namespace weft::vision
