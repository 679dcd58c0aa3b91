#include "plugins/vision/vision_model.h"

#include <chrono>
#include <cmath>
#include <utility>

#include "kernels/layers/model_weights.h"
#include "kernels/networks/clip_text/clip_text_checkpoint.h"
#include "kernels/networks/clip_vision/clip_vision_checkpoint.h"

namespace weft::vision {
namespace {

constexpr weft_parameter kParameters[] = {sdk::parameter(
    {.name = "precision",
     .type = "choice",
     .default_json = "\"auto\"",
     .choices = kPrecisions,
     .help = "What the networks compute in. auto: bf16 where the processor multiplies it, else f32."})};

// A tensor of one value.
Result<double> read_scalar(const WeightFile& file, const std::string& name) {
  const Result<const WeightTensor*> tensor = file.tensor(name);
  if (!tensor.ok()) return tensor.status();
  if ((*tensor)->count() != 1)
    return Status(StatusCode::kInvalidShape, "this tensor is to be one number").at(file.where(**tensor));
  const WeightSource source = WeightSource::all_of(file);
  float value = 0;
  source.read_stored(name, &value);
  return value;
}

}  // namespace

std::span<const weft_parameter> VisionModel::parameters() { return kParameters; }

Result<std::unique_ptr<VisionModel>> VisionModel::open(const sdk::ModelSource& source) {
  std::unique_ptr<VisionModel> model(new VisionModel(source.host(), std::string(source.path())));
  Result<WeightFile> file = WeightFile::open(model->path_);
  if (!file.ok()) return file.status();
  model->file_.emplace(*std::move(file));
  const DType compute = compute_type(source.parameters().get_text("precision"));
  if (Status status = model->open_pictures(compute); !status.ok()) return status;
  if (Status status = model->open_texts(compute); !status.ok()) return status;
  Result<std::string> key = note_model_files(source, model_files(*model->file_));
  if (!key.ok()) return key.status();
  model->weights_key_ = *std::move(key);
  return model;
}

Status VisionModel::open_pictures(DType compute) {
  const Result<ClipVisionConfig> config = read_clip_vision_config(file_->metadata());
  if (!config.ok()) return config.status();
  Result<ClipVision> network = ClipVision::open(clip_vision_source(*file_), *config, compute);
  if (!network.ok()) return network.status();
  network_.emplace(*std::move(network));
  const std::filesystem::path path = file_->folder() / "preprocessor_config.json";
  const Result<PictureProcessor> processor = PictureProcessor::read(path);
  if (!processor.ok()) return processor.status();
  processor_ = *processor;
  if (processor_.height != config->image_size || processor_.width != config->image_size)
    return Status(StatusCode::kCorruptData,
                  "the processor makes pictures of another size than the encoder reads")
        .at(path.string())
        .expected(std::to_string(config->image_size) + " x " + std::to_string(config->image_size))
        .got(std::to_string(processor_.width) + " x " + std::to_string(processor_.height));
  return {};
}

Status VisionModel::open_texts(DType compute) {
  WeightSource tensors = clip_text_source(*file_);
  if (tensors.tensors().empty()) return {};
  const Result<ClipTextConfig> config = read_clip_text_config(file_->metadata());
  if (!config.ok()) return config.status();
  Result<ClipText> network = ClipText::open(std::move(tensors), *config, compute);
  if (!network.ok()) return network.status();
  Result<Tokenizer> tokenizer = Tokenizer::from_weights(*file_);
  if (!tokenizer.ok()) return tokenizer.status();
  if (tokenizer->vocabulary_size() > config->vocabulary)
    return Status(StatusCode::kCorruptData, "the tokenizer has more tokens than the text encoder")
        .at(path_)
        .expected("at most " + std::to_string(config->vocabulary))
        .got(std::to_string(tokenizer->vocabulary_size()));
  const Result<double> scale = read_scalar(*file_, "logit_scale");
  if (!scale.ok()) return scale.status();
  texts_.emplace(TextTower{*std::move(network), *std::move(tokenizer), std::exp(*scale)});
  return {};
}

int64_t VisionModel::width() const {
  const ClipVisionConfig& config = network_->config();
  return config.projection_width > 0 ? config.projection_width : config.width;
}

Result<weft_model_estimate> VisionModel::estimate() const {
  int64_t resident = network_->packed_weights_bytes(), mapped = 0;
  if (texts_) {
    resident += texts_->network.packed_weights_bytes();
    mapped += texts_->network.mapped_bytes();
  }
  return sdk::model_estimate(static_cast<uint64_t>(resident), static_cast<uint64_t>(mapped));
}

Status VisionModel::load(weft_stream* /*stream*/) {
  const auto start = std::chrono::steady_clock::now();
  store_ = packed_weight_store(host_, weights_key_);
  Status loaded = network_->load(*store_, weights_key_ + ".vision", host_.executor());
  if (loaded.ok() && texts_)
    loaded = texts_->network.load(*store_, weights_key_ + ".vision_text", host_.executor());
  if (!loaded.ok()) return std::move(loaded).at(path_);
  file_->drop_all_pages();  // packed; rows of embeddings are read as they are wanted
  load_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {};
}

void VisionModel::evict() {
  network_->unload();
  if (texts_) texts_->network.unload();
  store_.reset();
}

}  // namespace weft::vision
