/// The weights of a decoder on a device: where each has its place, how they come there, and which layers wait in the host's memory
/// where the device has not enough. Private to the decoder.
///
/// Ownership: refers to the Decoder::State whose addresses it sets, and to its WeightFile until load() returns; owns memory that it was
/// not given. Thread safety: plan, offload and load on one thread; then what OffloadedLayers says.
#ifndef WEFT_KERNELS_NETWORKS_DECODER_DEVICE_WEIGHTS_H
#define WEFT_KERNELS_NETWORKS_DECODER_DEVICE_WEIGHTS_H

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/networks/decoder/decoder_state.h"
#include "kernels/networks/decoder/offloaded_layers.h"
#include "kernels/ops/embedding/embedding_cuda.h"

namespace weft {

class DeviceWeights {
 public:
  /// From headers only. Errors: kUnsupported (a format of the embeddings, a row length of a joint query-key-value matrix that kernels
  /// cannot start within).
  static Result<DeviceWeights> plan(Decoder::State& decoder);

  /// Exact bytes of the device's memory, and of the host's, that load() takes.
  int64_t size_bytes() const { return size_bytes_; }
  int64_t offloaded_bytes() const;
  /// Lets as few of the last layers wait in the host's memory as `most_bytes` of the device's demand. Before load(). Errors: kOutOfMemory
  /// (the rest, and room for two layers, is more).
  Status offload(int64_t most_bytes);

  /// Uploads everything and waits for it; may be called again. memory: size_bytes(), or empty: it is allocated.
  Status load(const DeviceStream& stream, DeviceBuffer memory);
  void unload();
  const EmbeddingTable& embedding() const { return embedding_; }
  /// Null where all layers stay on the device.
  OffloadedLayers* offloaded() { return offloaded_ ? &*offloaded_ : nullptr; }

 private:
  /// Of a step's tensor: from the begin of the memory, or of its layer where that is offloaded.
  struct Place {
    int64_t layer = -1;  // -1: of none
    int64_t bytes = 0, offset = 0;
  };
  explicit DeviceWeights(Decoder::State& decoder) : decoder_(&decoder) {}
  void place(int64_t first_offloaded);
  int64_t n_layers() const { return decoder_->config.n_layers; }
  int64_t n_offloaded() const { return n_layers() - first_offloaded_; }

  Decoder::State* decoder_;
  std::vector<Place> places_;         // of decoder's steps
  std::vector<int64_t> layer_bytes_;  // of the offloaded ones
  int64_t first_offloaded_ = 0, slots_offset_ = 0, size_bytes_ = 0;
  int64_t table_offset_ = -1;    // of the embeddings
  int64_t own_table_bytes_ = 0;  // 0: they are the output's matrix too, which a step uploads
  EmbeddingTable embedding_;
  DeviceBuffer memory_;
  std::optional<OffloadedLayers> offloaded_;
};

}  // namespace weft
#endif
