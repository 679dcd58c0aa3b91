/// Pictures for a language model with a vision tower: preprocessing, tower and projector, and what stands for a picture in the text that
/// the tokenizer reads.
///
/// open() reads headers; the model loads the network. Ownership: a PictureReader is part of its LanguageModel; rows belong to who holds
/// them. Thread safety: const members by several threads, each with a workspace of its own; EncodedPictures by one.
///
///   Result<EncodedPictures> encoded = EncodedPictures::begin(reader, device, host, execution);   // in execute
///   Result<std::shared_ptr<const PictureRows>> rows = encoded->of(picture, 0, cancelled);
#ifndef WEFT_PLUGINS_TEXT_PICTURE_READER_H
#define WEFT_PLUGINS_TEXT_PICTURE_READER_H

#include <weft/sdk/plugin.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/layers/model_device.h"
#include "kernels/networks/vision_language/picture_embedder.h"
#include "modalities/image/picture_value.h"
#include "modalities/image/processor/picture_processor.h"
#include "modalities/text/tokenizer/tokenizer.h"
#include "modalities/weights/weight_file.h"

namespace weft::text {

struct PictureReader {
  PictureProcessor processor;
  PictureEmbedder network;
  std::string mark;  // what the chat template writes where a picture is: "<image>", "<start_of_image>"
  std::string
      in_place;  // what the tokenizer reads in its place: image tokens, and what the model expects around them

  /// None if the model has no vision tower. Errors: those of the network and of the processor, kCorruptData where the two disagree or the
  /// tokenizer has no such tokens.
  static Result<std::optional<PictureReader>> open(const WeightFile& file, const Tokenizer& tokenizer,
                                                   int64_t text_width, DType compute);

  TokenId image_token() const { return network.config().image_token; }
  /// Tokens that a picture takes, at most.
  int64_t tokens_of_picture() const;
  /// Of EncodedPictures: the CPU's memory, or the device's.
  int64_t workspace_bytes(uint32_t n_threads) const;
  int64_t device_workspace_bytes() const { return network.device_workspace_bytes(); }
};

/// One picture as the decoder reads it, in the memory of the model's device.
struct PictureRows {
  Picture picture;  // keeps the pixels that it was made of
  int64_t index;    // of the picture's batch
  sdk::Buffer memory;
  const float* rows() const { return static_cast<const float*>(memory.data()); }
};

/// The pictures of one execute: each is encoded once, as long as anybody holds its rows, so that equal pixels are rows at one place.
class EncodedPictures {
 public:
  /// device: the model's; null: the CPU. execution: of a node that planned the reader's workspace, which is used within of() alone.
  /// Errors: kOutOfMemory.
  static Result<EncodedPictures> begin(const PictureReader& reader, const ModelDevice* device,
                                       const sdk::Host& host, const sdk::Execution& execution);

  /// Errors: kCancelled, kOutOfMemory.
  Result<std::shared_ptr<const PictureRows>> of(const Picture& picture, int64_t index,
                                                const std::function<bool()>& cancelled);

 private:
  EncodedPictures(const PictureReader& reader, const sdk::Host& host, const sdk::Execution& execution)
      : reader_(reader),
        host_(host),
        stream_(execution.stream()),
        workspace_(static_cast<std::byte*>(execution.workspace()), execution.workspace_bytes()) {}
  Status encode(float* rows, const StopRequest& stop);

  const PictureReader& reader_;
  sdk::Host host_;
  weft_stream* stream_;
  weft_device device_{WEFT_DEVICE_CPU, 0};
  sdk::Buffer host_memory_;      // on a device
  std::span<std::byte> pixels_;  // what the network reads, in the host's memory
  std::span<std::byte> workspace_;
  SparePasses::Lease passes_;  // on a device
  std::vector<std::weak_ptr<const PictureRows>> encoded_;
};

}  // namespace weft::text
#endif
