/// The forward pass of a language model with the memory of one execute: KV cache, workspace and outputs, on the CPU or on the
/// model's device.
///
/// A node tells its plan what a pass will need, and makes the pass in execute. Ownership: borrows the model, which is loaded, and
/// the execution's workspace and stream; sequences of its cache go before it. Thread safety: one thread; the CPU's pass uses the
/// executor's threads.
///
///   plan_pass(model, kv_layout, limits, plan);  // in prepare
///   Result<std::unique_ptr<DecoderPass>> pass = begin_pass(model, kv_layout, limits, host, execution);  // in execute
///   Status done = (*pass)->forward({.chunks = chunks, .logits_rows = rows}, {.logits = (*pass)->rows()}, stop);
#ifndef WEFT_PLUGINS_TEXT_DECODER_PASS_H
#define WEFT_PLUGINS_TEXT_DECODER_PASS_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/networks/decoder/decoder.h"
#include "kernels/ops/sampling/device_draws.h"
#include "kernels/ops/top_k/top_k.h"
#include "plugins/text/language_model.h"

namespace weft::text {

/// Bounds of a pass; they size memory and never change results.
struct PassLimits {
  int64_t tokens = 0;                        // of one batch
  int64_t logits_rows = 1, hidden_rows = 0;  // of one batch
  int64_t pages = 0;  // of the cache, and of a batch's sequences, shared ones counted for each
  int64_t draws = 0;  // of tokens, where the logits are
};

/// Into the host's memory; complete when forward() returns.
struct PassOutputs {
  /// [logits_rows.size(), vocabulary], without the rows of `draws`; or null where none are wanted.
  float* logits = nullptr;
  RankedValue* largest = nullptr;  // [logits_rows.size()] as top_k() of each row's logits gives it, or null
  const DeviceDraws* draws = nullptr;  // of rows of the logits, where draws_tokens(); or null
  int32_t* tokens = nullptr;           // [draws->count()]; -1 where no token can be chosen
  float* hidden = nullptr;             // [hidden_rows.size(), width]
};

class DecoderPass {
 public:
  virtual ~DecoderPass() = default;
  const DecoderConfig& config() const { return config_; }
  KvCache& cache() { return cache_; }
  /// The host's memory for the logits or hidden states of a batch; forward() may write there whatever is asked of it.
  float* rows() const { return rows_; }
  /// Whether forward() draws tokens where the logits are, so that these need not be read.
  virtual bool draws_tokens() const { return false; }
  /// As Decoder::forward(), with the model's adapters.
  virtual Status forward(DecoderBatch batch, const PassOutputs& outputs, const StopRequest& stop) = 0;

 protected:
  DecoderPass(const DecoderConfig& config, sdk::Buffer cache_memory, KvCache cache)
      : config_(config), cache_memory_(std::move(cache_memory)), cache_(std::move(cache)) {}
  const DecoderConfig& config_;
  sdk::Buffer cache_memory_;
  KvCache cache_;
  float* rows_ = nullptr;
};

class CpuPass final : public DecoderPass {
 public:
  static int64_t workspace_bytes(const Decoder& decoder, int64_t adapter_rank, const PassLimits& limits);
  /// workspace: workspace_bytes(), aligned to 64. cache_memory: what the cache lies in, if it has none of its own.
  CpuPass(const Decoder& decoder, std::span<const LoraTerm> adapters, KvCache cache, const PassLimits& limits,
          std::span<std::byte> workspace, Executor executor, sdk::Buffer cache_memory = {});
  Status forward(DecoderBatch batch, const PassOutputs& outputs, const StopRequest& stop) override;

 private:
  const Decoder& decoder_;
  std::span<const LoraTerm> adapters_;
  std::span<std::byte> workspace_;
  Executor executor_;
};

/// What a node needs beside its pass: state_bytes for the length of an execute; workspace_bytes never while a pass computes, so that
/// both are in one place.
struct BesidePass {
  int64_t workspace_bytes = 0, state_bytes = 0;
};
/// Tells the plan of workspace, cache and device.
void plan_pass(const LanguageModel& model, const KvLayout& layout, const PassLimits& limits,
               const sdk::Plan& plan, const BesidePass& beside = {});
/// limits: those of plan_pass(), or fewer pages. Errors: kOutOfMemory, those of a lost device.
Result<std::unique_ptr<DecoderPass>> begin_pass(const LanguageModel& model, const KvLayout& layout,
                                                const PassLimits& limits, const sdk::Host& host,
                                                const sdk::Execution& execution);

/// The choices of parameter "kv_type", and the format that one of them means.
inline constexpr const char* kKvTypes[] = {"f16", "bf16", "q8_0", "f32", nullptr};
inline KvFormat kv_format(std::string_view name) {
  return name == "bf16"   ? KvFormat::kBF16
         : name == "q8_0" ? KvFormat::kQ8_0
         : name == "f32"  ? KvFormat::kF32
                          : KvFormat::kF16;
}

}  // namespace weft::text
#endif
