/// Pictures and texts to vectors, as many at once as a pass is long; what every node here begins with.
///
/// A vector depends on its picture or text alone, not on what else is in the pass; on a device its last bits may.
/// Ownership: borrows model and execution; keeps the host's memory of a node on a device, and the graphs of passes that come
/// again. Thread safety: one thread; the executor's threads compute, or the model's device.
///
///   EncodingLimits limits = EncodingLimits::of(model, n_pictures);                                   // in prepare
///   Encoder::plan(model, limits, host, plan);
///   Result<Encoder> encoder = Encoder::begin(model, limits, host, execution);                        // in execute
///   Status status = encoder->encode_pictures(jobs);
///   Result<TextVectors> vectors = encoder->encode_texts(texts, cancelled);
#ifndef WEFT_PLUGINS_VISION_ENCODING_H
#define WEFT_PLUGINS_VISION_ENCODING_H

#include <weft/sdk/plugin.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/layers/device_passes.h"
#include "modalities/image/picture_value.h"
#include "plugins/vision/vision_model.h"

namespace weft::vision {

/// What fits into a pass; it sizes the workspace and never changes results.
struct EncodingLimits {
  int64_t pictures = 1;
  int64_t texts = 1;

  /// For up to n pictures at a time; -1: not known.
  static EncodingLimits of(const VisionModel& model, int64_t n_pictures);
};

/// The pictures of a request.
struct PictureJob {
  std::vector<Picture> pictures;  // each may be several
  float* pooled = nullptr;        // [count(), width], or null
  float* classes = nullptr;       // [count(), classes], or null
  float* patches = nullptr;       // [count(), rows, columns, hidden width], or null; of one grid then

  std::function<bool()> cancelled;                             // polled often, from the executor's threads
  std::function<void(int64_t done, int64_t all)> on_progress;  // may be empty

  Status status;  // set by the encoder: kCancelled, or an error of this job alone

  int64_t count() const;
};

struct TextVectors {
  std::vector<float> values;  // [texts, width]
  int64_t n_cut = 0;          // texts that were longer than the encoder reads, and lost their end
};

class Encoder {
 public:
  /// Tells the plan of workspace and device.
  static void plan(const VisionModel& model, const EncodingLimits& limits, const sdk::Host& host,
                   const sdk::Plan& plan);
  /// execution: of a node that planned with these limits. Errors: kOutOfMemory.
  static Result<Encoder> begin(const VisionModel& model, const EncodingLimits& limits, const sdk::Host& host,
                               const sdk::Execution& execution);

  /// Errors: those that end all jobs. A job's own is in its status.
  Status encode_pictures(std::span<PictureJob* const> jobs);
  /// Precondition: the model has a text tower. Errors: kCancelled, those of the tokenizer and the network.
  Result<TextVectors> encode_texts(std::span<const std::string> texts,
                                   const std::function<bool()>& cancelled);

 private:
  class Pass;
  Encoder(const VisionModel& model, const EncodingLimits& limits, Executor executor)
      : model_(&model), limits_(limits), executor_(executor) {}
  Status encode(const ClipTextInputs& inputs, const ClipTextOutputs& outputs, const StopRequest& stop);

  const VisionModel* model_;
  EncodingLimits limits_;
  Executor executor_;
  sdk::Buffer host_memory_;        // on a device
  std::span<std::byte> pictures_;  // what the network reads and writes, in the host's memory
  std::span<std::byte> workspace_, text_workspace_;
  SparePasses::Lease passes_;  // on a device
};

/// 0 for a vector without a direction.
double cosine(const float* a, const float* b, int64_t width);
/// To length 1, where it has one.
void normalize(float* vector, int64_t width);

}  // namespace weft::vision
#endif
