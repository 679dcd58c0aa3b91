#include "plugins/text/decoder_pass.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/device/pinned_buffer.h"
#include "kernels/networks/decoder/device_decoder.h"

namespace weft::text {
namespace {

int64_t row_bytes(const DecoderConfig& config, const PassLimits& limits) {
  return std::max(limits.logits_rows * config.vocabulary, limits.hidden_rows * config.width) *
         static_cast<int64_t>(sizeof(float));
}

uint64_t cache_bytes(const KvLayout& layout, const PassLimits& limits) {
  return static_cast<uint64_t>(limits.pages * layout.page_bytes());
}

DeviceDecoder::Limits device_limits(const LanguageModel& model, const PassLimits& limits) {
  return {.tokens = limits.tokens,
          .logits_rows = limits.logits_rows,
          .page_entries = limits.pages,
          .k = 1,
          .draws = limits.draws,
          .total_rank = model.adapter_rank()};
}

/// Its forward() waits for the device, so that nothing is at work on its memory when it goes.
class DevicePass final : public DecoderPass {
 public:
  DevicePass(const LanguageModel& model, DeviceDecoder::Scratch scratch, const PassLimits& limits,
             PinnedBuffer rows, sdk::Buffer cache_memory, KvCache cache)
      : DecoderPass(model.config(), std::move(cache_memory), std::move(cache)),
        decoder_(model.device_decoder()),
        adapters_(model.adapters()),
        draws_(limits.draws),
        rows_memory_(std::move(rows)),
        scratch_(std::move(scratch)) {
    rows_ = reinterpret_cast<float*>(rows_memory_.data());
  }

  bool draws_tokens() const override { return draws_ > 0; }
  Status forward(DecoderBatch batch, const PassOutputs& outputs, const StopRequest& stop) override {
    batch.adapters = adapters_;
    return decoder_.forward(batch,
                            {.logits = outputs.logits,
                             .top = outputs.largest,
                             .k = outputs.largest ? 1 : 0,
                             .draws = outputs.draws,
                             .tokens = outputs.tokens,
                             .hidden = outputs.hidden},
                            scratch_, stop);
  }

 private:
  const DeviceDecoder& decoder_;
  const std::span<const LoraTerm> adapters_;
  const int64_t draws_;
  PinnedBuffer rows_memory_;  // that the device writes into by itself
  DeviceDecoder::Scratch scratch_;
};

Result<std::unique_ptr<DecoderPass>> begin_on_device(const LanguageModel& model, const KvLayout& layout,
                                                     const PassLimits& limits, const sdk::Host& host,
                                                     const sdk::Execution& execution) {
  const ModelDevice& device = *model.device();
  const DeviceStream stream = device.stream(host, execution.stream());
  Result<sdk::Buffer> memory =
      host.allocate(cache_bytes(layout, limits), execution.stream(), "KV cache", device.id);
  if (!memory.ok()) return memory.status();
  Result<KvCache> cache =
      device_kv_cache(layout, DeviceBuffer::borrow(memory->data(), memory->size_bytes()), stream);
  if (!cache.ok()) return cache.status();
  Result<PinnedBuffer> rows =
      PinnedBuffer::allocate(device.compute, static_cast<uint64_t>(row_bytes(model.config(), limits)));
  if (!rows.ok()) return rows.status();
  // A text that is longer than the plan could know takes memory of its own.
  const DeviceDecoder& decoder = model.device_decoder();
  const DeviceDecoder::Limits bounds = device_limits(model, limits);
  const bool fits = static_cast<uint64_t>(decoder.scratch_bytes(bounds)) <= execution.workspace_bytes();
  Result<DeviceDecoder::Scratch> scratch = decoder.make_scratch(
      stream, bounds,
      fits ? DeviceBuffer::borrow(execution.workspace(), execution.workspace_bytes()) : DeviceBuffer());
  if (!scratch.ok()) return scratch.status();
  return std::unique_ptr<DecoderPass>(std::make_unique<DevicePass>(
      model, *std::move(scratch), limits, *std::move(rows), *std::move(memory), *std::move(cache)));
}

}  // namespace

int64_t CpuPass::workspace_bytes(const Decoder& decoder, int64_t adapter_rank, const PassLimits& limits) {
  const int64_t passing = decoder.workspace_bytes(limits.tokens, adapter_rank);
  return (passing + 63) / 64 * 64 + row_bytes(decoder.config(), limits);
}

CpuPass::CpuPass(const Decoder& decoder, std::span<const LoraTerm> adapters, KvCache cache,
                 const PassLimits& limits, std::span<std::byte> workspace, Executor executor,
                 sdk::Buffer cache_memory)
    : DecoderPass(decoder.config(), std::move(cache_memory), std::move(cache)),
      decoder_(decoder),
      adapters_(adapters),
      workspace_(
          workspace.first(workspace.size() - static_cast<size_t>(row_bytes(decoder.config(), limits)))),
      executor_(executor) {
  rows_ = reinterpret_cast<float*>(workspace.data() + workspace_.size());
}

Status CpuPass::forward(DecoderBatch batch, const PassOutputs& outputs, const StopRequest& stop) {
  batch.adapters = adapters_;
  const bool wants_rows = outputs.logits != nullptr || outputs.largest != nullptr;
  float* const logits = outputs.logits || !wants_rows ? outputs.logits : rows_;
  Status done =
      decoder_.forward(batch, {.logits = logits, .hidden = outputs.hidden}, workspace_, executor_, stop);
  if (!done.ok() || !outputs.largest) return done;
  const auto vocabulary = static_cast<size_t>(config_.vocabulary);
  executor_.parallel_for(static_cast<int64_t>(batch.logits_rows.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto row = static_cast<size_t>(begin); row < static_cast<size_t>(end); ++row) {
      RankedValue& largest = outputs.largest[row];
      // Without a number among them, none is the largest.
      if (top_k({logits + row * vocabulary, vocabulary}, {&largest, 1}) == 0) largest = {-INFINITY, -1};
    }
  });
  return {};
}

void plan_pass(const LanguageModel& model, const KvLayout& layout, const PassLimits& limits,
               const sdk::Plan& plan, const BesidePass& beside) {
  plan.set_state_bytes(cache_bytes(layout, limits) + static_cast<uint64_t>(beside.state_bytes));
  const ModelDevice* device = model.device();
  if (device != nullptr) plan.set_device(device->id);
  const int64_t of_pass = device != nullptr
                              ? model.device_decoder().scratch_bytes(device_limits(model, limits))
                              : CpuPass::workspace_bytes(model.decoder(), model.adapter_rank(), limits);
  plan.set_workspace_bytes(static_cast<uint64_t>(std::max(of_pass, beside.workspace_bytes)));
}

Result<std::unique_ptr<DecoderPass>> begin_pass(const LanguageModel& model, const KvLayout& layout,
                                                const PassLimits& limits, const sdk::Host& host,
                                                const sdk::Execution& execution) {
  if (model.device() != nullptr) return begin_on_device(model, layout, limits, host, execution);
  Result<sdk::Buffer> memory = host.allocate(cache_bytes(layout, limits), execution.stream(), "KV cache");
  if (!memory.ok()) return memory.status();
  Result<KvCache> cache =
      KvCache::create(layout, {static_cast<std::byte*>(memory->data()), memory->size_bytes()});
  if (!cache.ok()) return cache.status();
  return std::unique_ptr<DecoderPass>(std::make_unique<CpuPass>(
      model.decoder(), model.adapters(), *std::move(cache), limits,
      std::span(static_cast<std::byte*>(execution.workspace()), execution.workspace_bytes()), host.executor(),
      *std::move(memory)));
}

}  // namespace weft::text
