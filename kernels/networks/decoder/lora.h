/// Low-rank adapters (LoRA): y = W x + scale * alpha / rank * B (A x) for some of a decoder's linear layers.
///
/// Applied at run time, as an addition to each product, and never merged: merging into quantised weights would
/// round the sum again, and one set of packed weights serves every adapter at every strength. It costs
/// 2 * rank * (inputs + outputs) operations a token and layer. A and B keep the file's format; on a device B is in f32, times
/// alpha / rank, and the rank is filled up to a multiple of 4.
///
/// Files: GGUF as llama.cpp's convert_lora_to_gguf.py writes it ("blk.0.attn_q.weight.lora_a", adapter.lora.alpha),
/// and safetensors as PEFT writes them ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" with
/// adapter_config.json beside). Either kind fits a model from either container.
/// Source: Hu et al. 2021, arXiv:2106.09685.
///
/// Ownership: an adapter owns its memory, but what it was given, and keeps no reference to the file. Thread safety: immutable.
#ifndef WEFT_KERNELS_NETWORKS_DECODER_LORA_H
#define WEFT_KERNELS_NETWORKS_DECODER_LORA_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <memory>

namespace weft {

class Decoder;
class DeviceBuffer;
class DeviceDecoder;
class DeviceStream;
class WeightFile;

class LoraAdapter {
 public:
  /// Reads and packs an adapter for `decoder`. Errors, naming file and tensor: kUnsupported (a target that is no
  /// linear layer of this model, a format, DoRA or bias terms), kNotFound (a half of a pair, alpha),
  /// kInvalidShape, kInvalidArgument (no tensor at all, or made for another architecture).
  static Result<LoraAdapter> load(const Decoder& decoder, const WeightFile& file, Executor executor);
  /// The same on the stream's device, where `decoder` computes; waits for it. memory: device_bytes(), or empty: it is allocated. Errors: as
  /// above; kOutOfMemory, those of the device.
  static Result<LoraAdapter> load(const DeviceDecoder& decoder, const WeightFile& file,
                                  const DeviceStream& stream, DeviceBuffer memory);
  /// Exact bytes of the device's memory that this takes, from headers. Errors: those of load().
  static Result<int64_t> device_bytes(const DeviceDecoder& decoder, const WeightFile& file);

  LoraAdapter(LoraAdapter&&) noexcept;
  LoraAdapter& operator=(LoraAdapter&&) noexcept;
  ~LoraAdapter();

  /// The largest rank of its layers.
  int64_t rank() const;
  int64_t size_bytes() const;

  struct State;
  const State& state() const { return *state_; }

 private:
  explicit LoraAdapter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
