/// The model type "vision.encoder": an image encoder with its preprocessing, and the text encoder that was trained with it where
/// there is one, from a Hugging Face folder or one of OpenCLIP's. Which architecture it is, the files tell.
///
/// open() maps the files and reads headers, vocabulary and preprocessing; load() packs the weights, or maps them from the
/// host's cache; on a device they are uploaded. Ownership: the host's residency owns it; nodes borrow it. Thread safety:
/// const members of a loaded model may be used by several nodes at once.
#ifndef WEFT_PLUGINS_VISION_VISION_MODEL_H
#define WEFT_PLUGINS_VISION_VISION_MODEL_H

#include <weft/sdk/plugin.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/layers/model_device.h"
#include "kernels/layers/packed_weight_store.h"
#include "kernels/networks/vision_transformer/vision_transformer.h"
#include "modalities/image/processor/picture_processor.h"
#include "modalities/weights/weight_file.h"
#include "plugins/vision/text_tower.h"

namespace weft::vision {

class VisionModel {
 public:
  /// Parameters of the "models" entry.
  static std::span<const weft_parameter> parameters();

  static Result<std::unique_ptr<VisionModel>> open(const sdk::ModelSource& source);
  Result<weft_model_estimate> estimate() const;
  Status load(weft_stream* stream);
  void evict();

  const std::string& path() const { return path_; }
  const PictureProcessor& processor() const { return processor_; }
  const VisionTransformer& network() const { return *network_; }
  /// Null: on the CPU.
  const ModelDevice* device() const { return device_ ? &*device_ : nullptr; }
  /// Null: it knows pictures alone.
  const TextTower* texts() const { return texts_ ? &*texts_ : nullptr; }
  /// The patches of such a picture.
  PatchGrid grid_of(const ImageShape& picture) const;
  /// Of a picture's vector, and of a text's.
  int64_t width() const { return network_->config().pooled_width(); }
  /// Names of a classifier's classes; empty: it is none.
  const std::vector<std::string>& classes() const { return classes_; }
  /// What its weights are known by; empty where that is not known.
  const std::string& weights_key() const { return weights_key_; }
  /// How long the last load() took.
  double load_seconds() const { return load_seconds_; }

 private:
  VisionModel(sdk::Host host, std::string path) : host_(host), path_(std::move(path)) {}
  Status open_pictures(DType compute);
  Status read_classes();
  /// What the weights take where they are loaded.
  int64_t weights_bytes() const;
  Status load_on_cpu();
  Status load_on_device(weft_stream* stream);

  sdk::Host host_;
  std::string path_;
  std::string weights_key_;  // of what the packed weights depend on; empty where that is not known
  std::optional<WeightFile> file_;
  std::optional<ModelDevice> device_;
  PictureProcessor processor_;
  std::optional<VisionTransformer> network_;
  std::optional<TextTower> texts_;
  std::vector<std::string> classes_;
  std::unique_ptr<PackedWeightStore> store_;  // of the loaded weights
  sdk::Buffer device_weights_;                // likewise
  double load_seconds_ = 0;
};

inline constexpr const char* kVisionModels[] = {"vision.encoder", nullptr};
inline constexpr weft_parameter kModelParameter = sdk::parameter(
    {.name = "model", .type = "model", .choices = kVisionModels, .help = "The encoder of pictures."});

}  // namespace weft::vision
#endif
