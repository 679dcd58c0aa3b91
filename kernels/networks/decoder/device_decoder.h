/// A decoder on a device: what decoder.h computes, as launches of the device's ops (kernels/device/ops.h).
///
/// Weights stay quantised, in tiles (weight_tiles.h) that are made when they are uploaded; activations are f32. Products of up to 16
/// rows take activations in 16 bits a run of 32 (5e-5); those of more go over tensor cores in f16 or bf16, with weights unpacked for
/// them; with weights in f32 all is f32. The bits of a row may depend on how many rows go together.
///
/// Ownership: a DeviceDecoder refers to the WeightFile until load() returns, and keeps its device and weights. Keys and values are
/// the caller's: a KvCache over the device's memory, see device_kv_cache(). Thread safety: after load() const members may be
/// called by several threads, each with its own Scratch and sequences.
///
///   Result<DeviceDecoder> decoder = DeviceDecoder::open(file);
///   Status loaded = decoder->load(stream);
///   Result<DeviceDecoder::Scratch> scratch = decoder->make_scratch(stream, {.tokens = 64, .page_entries = 64});
///   Status done = decoder->forward({.chunks = ..., .logits_rows = ...}, {.top = best, .k = 1}, *scratch);
#ifndef WEFT_KERNELS_NETWORKS_DECODER_DEVICE_DECODER_H
#define WEFT_KERNELS_NETWORKS_DECODER_DEVICE_DECODER_H

#include <cstdint>
#include <memory>

#include "kernels/device/device.h"
#include "kernels/networks/decoder/decoder.h"
#include "kernels/ops/sampling/device_draws.h"
#include "kernels/ops/top_k/top_k.h"

namespace weft {

/// Into the host's memory; complete when forward() returns.
struct DeviceDecoderOutputs {
  float* logits = nullptr;     // [logits_rows.size(), vocabulary], without the rows of `draws`; or null
  RankedValue* top = nullptr;  // [logits_rows.size(), k]: the largest logits, found on the device; or null
  int64_t k = 0;
  const DeviceDraws* draws = nullptr;  // of rows of the logits: their tokens are drawn on the device; or null
  int32_t* tokens = nullptr;           // [draws->count()]; -1 where no token can be chosen
  float* hidden = nullptr;             // [hidden_rows.size(), width]
};

class DeviceDecoder {
 public:
  /// Reads headers only. Errors: those of Decoder::open(), kUnsupported (a format of the embeddings, a row length of a joint
  /// query-key-value matrix that kernels cannot start within).
  static Result<DeviceDecoder> open(const WeightFile& file);
  DeviceDecoder(DeviceDecoder&&) noexcept;
  DeviceDecoder& operator=(DeviceDecoder&&) noexcept;
  ~DeviceDecoder();

  const DecoderConfig& config() const;
  /// Exact bytes that load() takes of the device's memory, and of the host's for layers that wait there.
  int64_t weights_bytes() const;
  int64_t offloaded_bytes() const;
  /// Before load(): lets as few of the last layers wait in the host's memory as `most_bytes` on the device demand; each pass then
  /// brings them over, two at a time, and calls of forward() go one after another. Errors: kOutOfMemory (the rest is more).
  Status offload(int64_t most_bytes);
  KvLayout kv_layout(KvFormat format) const;

  /// Uploads all weights and waits for them; may be called again, where no scratch is left. memory: weights_bytes(), or empty: they are allocated. Errors:
  /// kOutOfMemory, those of the device.
  Status load(const DeviceStream& stream, DeviceBuffer memory = {});
  /// Gives back what load() took, given memory aside. Precondition: no forward() is at work.
  void unload();

  /// Bounds of one forward(); page_entries: pages of the batch's sequences, shared ones counted for each; draws: of tokens; total_rank: of
  /// adapters.
  struct Limits {
    int64_t tokens = 0, logits_rows = 1, page_entries = 0, k = 1, draws = 0, total_rank = 0;
    bool operator==(const Limits&) const = default;
  };
  /// What lives only during a forward(): the device's memory, and pinned memory for the way to it. One forward() at a time. The
  /// decoder, which outlives it, keeps the graphs of its passes for the next one over the same memory, until unload(); the adapters of
  /// its batches live as long.
  class Scratch {
   public:
    Scratch(Scratch&&) noexcept;
    Scratch& operator=(Scratch&&) noexcept;
    ~Scratch();

   private:
    friend class DeviceDecoder;
    struct State;
    explicit Scratch(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
  };
  /// memory: scratch_bytes(), or empty: it is allocated.
  Result<Scratch> make_scratch(const DeviceStream& stream, const Limits& limits,
                               DeviceBuffer memory = {}) const;
  /// Bytes of the device's memory that make_scratch() takes.
  int64_t scratch_bytes(const Limits& limits) const;

  /// As Decoder::forward(), on the scratch's stream, which it waits for once at its end; embedded rows in the device's memory are read
  /// behind what is queued there. `stop` is asked between layers.
  /// Errors: as there; kUnsupported (an op that the device lacks), kOutOfMemory (more than the scratch's
  /// limits).
  Status forward(const DecoderBatch& batch, const DeviceDecoderOutputs& outputs, Scratch& scratch,
                 const StopRequest& stop = {}) const;

  struct State;
  /// For what is made to fit it.
  const Decoder::State& network() const;

 private:
  explicit DeviceDecoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A cache whose pages lie in `memory`, which outlives it; pages that sequences share are copied on the stream.
Result<KvCache> device_kv_cache(const KvLayout& layout, const DeviceBuffer& memory,
                                const DeviceStream& stream);

}  // namespace weft
#endif
