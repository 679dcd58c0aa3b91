/// Pictures and texts to vectors, as many at once as a pass is long; what every node here begins with.
///
/// A vector depends on its picture or text alone, not on what else is in the pass.
/// Ownership: borrows everything for the length of a call. Thread safety: one thread; the executor's threads compute.
///
///   EncodingLimits limits = EncodingLimits::of(model, n_pictures);                                   // in prepare
///   plan.set_workspace_bytes(workspace_bytes(model, limits, n_threads));
///   Status status = encode_pictures(model, limits, jobs, workspace, executor);                       // in execute
///   Result<TextVectors> vectors = encode_texts(model, limits, texts, workspace, executor, cancelled);
#ifndef WEFT_PLUGINS_VISION_ENCODING_H
#define WEFT_PLUGINS_VISION_ENCODING_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

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
uint64_t workspace_bytes(const VisionModel& model, const EncodingLimits& limits, uint32_t n_threads);

/// The pictures of a request.
struct PictureJob {
  std::vector<Picture> pictures;  // each may be several
  float* pooled = nullptr;        // [count(), width], or null
  float* classes = nullptr;       // [count(), classes], or null
  float* patches = nullptr;       // [count(), rows, columns, hidden width], or null; of one grid then

  std::function<bool()> cancelled;                             // polled often, from the executor's threads
  std::function<void(int64_t done, int64_t all)> on_progress;  // may be empty

  Status status;  // set by encode_pictures(): kCancelled, or an error of this job alone

  int64_t count() const;
};

/// Errors: those that end all jobs. A job's own is in its status.
Status encode_pictures(const VisionModel& model, const EncodingLimits& limits,
                       std::span<PictureJob* const> jobs, std::span<std::byte> workspace, Executor executor);

struct TextVectors {
  std::vector<float> values;  // [texts, width]
  int64_t n_cut = 0;          // texts that were longer than the encoder reads, and lost their end
};
/// Precondition: the model has a text tower. Errors: kCancelled, those of the tokenizer.
Result<TextVectors> encode_texts(const VisionModel& model, const EncodingLimits& limits,
                                 std::span<const std::string> texts, std::span<std::byte> workspace,
                                 Executor executor, const std::function<bool()>& cancelled);

/// 0 for a vector without a direction.
double cosine(const float* a, const float* b, int64_t width);
/// To length 1, where it has one.
void normalize(float* vector, int64_t width);

}  // namespace weft::vision
#endif
