#include "kernels/networks/decoder/device_decoder.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/device/recent_passes.h"
#include "kernels/networks/decoder/device_pass.h"
#include "kernels/networks/decoder/device_weights.h"
#include "kernels/networks/decoder/lora_state.h"

namespace weft {
namespace {

/// Rows of a pass that is worth a graph: with more, the host's calls are a small part of its time.
constexpr int64_t kMostGraphRows = 64;
constexpr size_t kMostGraphs = 16;
/// Scratches whose graphs are kept when they go.
constexpr size_t kMostSpares = 4;

/// An adapter at a strength.
struct AdapterUse {
  const LoraAdapter::State* adapter = nullptr;
  float scale = 1;
  bool operator==(const AdapterUse&) const = default;
};

/// What decides the work that a pass queues: all else it reads on the device. Passes of the same shape are the same graph.
struct PassShape {
  int64_t rows = 0, depth = 0, k = 0;  // k: 0, and no ranking
  KvFormat format = KvFormat::kF16;
  std::vector<int32_t> logits_rows;
  std::vector<AdapterUse> adapters;
  bool operator==(const PassShape&) const = default;
};
using PassGraphs = RecentPasses<PassShape, std::optional<DeviceGraph>>;

/// Graphs of scratches that are gone: a scratch over the same memory with the same limits goes on with them, as one has it for
/// each item of a batch. Thread safety: any thread.
class SpareGraphs {
 public:
  using Limits = DeviceDecoder::Limits;
  /// Empty where there are none.
  PassGraphs take(const void* memory, const Limits& limits) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(
        spares_, [&](const Spare& spare) { return spare.memory == memory && spare.limits == limits; });
    if (found == spares_.end()) return PassGraphs(kMostGraphs);
    PassGraphs graphs = std::move(found->graphs);
    spares_.erase(found);
    return graphs;
  }
  void give(const void* memory, const Limits& limits, PassGraphs graphs) {
    const std::lock_guard lock(mutex_);
    if (spares_.size() == kMostSpares) spares_.erase(spares_.begin());
    spares_.push_back({memory, limits, std::move(graphs)});
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    spares_.clear();
  }

 private:
  struct Spare {
    const void* memory;
    Limits limits;
    PassGraphs graphs;
  };
  std::mutex mutex_;
  std::vector<Spare> spares_;  // the latest last
};

}  // namespace

struct DeviceDecoder::State {
  std::unique_ptr<Decoder::State> decoder;  // its weights are addresses of the device
  DeviceWeights weights;
  std::mutex offloaded_passes = {};  // one at a time: they share the slots of layers
  SpareGraphs spare_graphs = {};     // over weights
};

struct DeviceDecoder::Scratch::State {
  ~State() { spare_graphs.give(memory.data(), limits, std::move(graphs)); }

  DeviceStream stream;
  Limits limits;
  DeviceBuffer memory;
  DeviceWorkspace w;
  StagingRing staging;
  std::vector<std::byte> inputs, draws;  // assembled here
  SpareGraphs& spare_graphs;             // of the decoder
  PassGraphs graphs;                     // over w
};

DeviceDecoder::DeviceDecoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
DeviceDecoder::DeviceDecoder(DeviceDecoder&&) noexcept = default;
DeviceDecoder& DeviceDecoder::operator=(DeviceDecoder&&) noexcept = default;
DeviceDecoder::~DeviceDecoder() = default;
DeviceDecoder::Scratch::Scratch(std::unique_ptr<State> state) : state_(std::move(state)) {}
DeviceDecoder::Scratch::Scratch(Scratch&&) noexcept = default;
DeviceDecoder::Scratch& DeviceDecoder::Scratch::operator=(Scratch&&) noexcept = default;
DeviceDecoder::Scratch::~Scratch() = default;

const Decoder::State& DeviceDecoder::network() const { return *state_->decoder; }
const DecoderConfig& DeviceDecoder::config() const { return state_->decoder->config; }
int64_t DeviceDecoder::weights_bytes() const { return state_->weights.size_bytes(); }
int64_t DeviceDecoder::offloaded_bytes() const { return state_->weights.offloaded_bytes(); }
Status DeviceDecoder::offload(int64_t most_bytes) { return state_->weights.offload(most_bytes); }
KvLayout DeviceDecoder::kv_layout(KvFormat format) const {
  return {config().n_layers, config().n_kv_heads, config().head_dim, format};
}

Result<DeviceDecoder> DeviceDecoder::open(const WeightFile& file) {
  auto decoder = open_state(file);
  if (!decoder.ok()) return decoder.status();
  auto weights = DeviceWeights::plan(**decoder);
  if (!weights.ok()) return weights.status();
  return DeviceDecoder(std::unique_ptr<State>(new State{*std::move(decoder), *std::move(weights)}));
}

Status DeviceDecoder::load(const DeviceStream& stream, DeviceBuffer memory) {
  state_->spare_graphs.clear();
  return state_->weights.load(stream, std::move(memory));
}

void DeviceDecoder::unload() {
  state_->spare_graphs.clear();
  state_->weights.unload();
}

int64_t DeviceDecoder::scratch_bytes(const Limits& limits) const {
  return DeviceWorkspace().place(nullptr, config(), limits);
}

Result<DeviceDecoder::Scratch> DeviceDecoder::make_scratch(const DeviceStream& stream, const Limits& limits,
                                                           DeviceBuffer given) const {
  const int64_t input_bytes = DevicePassInputs().place(nullptr, config(), limits.tokens, limits.page_entries);
  auto memory = DeviceBuffer::given_or_allocate(
      std::move(given), stream, static_cast<uint64_t>(scratch_bytes(limits)), "decoder workspace");
  if (!memory.ok()) return memory.status();
  const int64_t draw_bytes = DeviceDraws::most_bytes(limits.draws, config().vocabulary);
  auto staging =
      StagingRing::create(stream, static_cast<uint64_t>(2 * (input_bytes + draw_bytes)));  // one step ahead
  if (!staging.ok()) return staging.status();
  PassGraphs graphs = state_->spare_graphs.take(memory->data(), limits);
  std::unique_ptr<Scratch::State> state(new Scratch::State{.stream = stream,
                                                           .limits = limits,
                                                           .memory = *std::move(memory),
                                                           .w = {},
                                                           .staging = *std::move(staging),
                                                           .inputs = {},
                                                           .draws = {},
                                                           .spare_graphs = state_->spare_graphs,
                                                           .graphs = std::move(graphs)});
  state->w.place(state->memory.data(), config(), limits);
  state->inputs.resize(static_cast<size_t>(input_bytes));
  return Scratch(std::move(state));
}

Status DeviceDecoder::forward(const DecoderBatch& batch, const DeviceDecoderOutputs& outputs,
                              Scratch& scratch, const StopRequest& stop) const {
  Scratch::State& s = *scratch.state_;
  const DecoderConfig& c = config();
  const void* wanted = outputs.logits ? static_cast<const void*>(outputs.logits)
                       : outputs.top  ? static_cast<const void*>(outputs.top)
                                      : outputs.draws;
  const Result<int64_t> n = check_batch(*state_->decoder, batch, wanted, outputs.hidden);
  if (!n.ok()) return n.status();
  const Result<int64_t> rank = total_rank(*state_->decoder, batch.adapters, s.stream.device()->facts().name);
  if (!rank.ok()) return rank.status();
  int64_t page_entries = 0;
  for (const DecoderChunk& chunk : batch.chunks) {
    if (Status room = chunk.sequence->reserve(static_cast<int64_t>(chunk.tokens.size())); !room.ok()) {
      give_back(batch);
      return room;
    }
    page_entries += chunk.sequence->n_pages();
  }
  const auto logits_rows = static_cast<int64_t>(batch.logits_rows.size());
  const int64_t draws = outputs.draws ? outputs.draws->count() : 0;
  if (*n > s.limits.tokens || logits_rows > s.limits.logits_rows || page_entries > s.limits.page_entries ||
      (outputs.top && outputs.k > s.limits.k) || draws > s.limits.draws || *rank > s.limits.total_rank) {
    give_back(batch);
    return Status(StatusCode::kOutOfMemory, "a batch exceeds the limits of the decoder's scratch")
        .expected(std::to_string(s.limits.tokens) + " tokens, " + std::to_string(s.limits.logits_rows) +
                  " rows of logits, " + std::to_string(s.limits.page_entries) + " pages, top " +
                  std::to_string(s.limits.k) + ", " + std::to_string(s.limits.draws) + " draws, rank " +
                  std::to_string(s.limits.total_rank))
        .got(std::to_string(*n) + ", " + std::to_string(logits_rows) + ", " + std::to_string(page_entries) +
             ", " + std::to_string(outputs.k) + ", " + std::to_string(draws) + ", " + std::to_string(*rank));
  }
  OffloadedLayers* const offloaded = state_->weights.offloaded();
  std::unique_lock alone(state_->offloaded_passes, std::defer_lock);
  if (offloaded) alone.lock();
  DevicePass pass(*state_->decoder, state_->weights.embedding(), offloaded, batch, s.stream, s.w, *n);
  const int64_t k = outputs.top ? outputs.k : 0;
  const auto run_pass = [&]() -> Status {
    const auto queue = [&] { return pass.tokens_to_logits(batch.logits_rows, k, stop); };
    // Layers arrive on another stream; rows that come embedded lie anywhere.
    if (*n > kMostGraphRows || offloaded || pass.embeds()) return queue();
    std::vector<AdapterUse> adapters;
    for (const LoraTerm& term : batch.adapters) adapters.push_back({&term.adapter->state(), term.scale});
    const auto [graph, known] = s.graphs.find({*n,
                                               pass.depth(),
                                               k,
                                               batch.chunks.front().sequence->layout().format,
                                               {batch.logits_rows.begin(), batch.logits_rows.end()},
                                               std::move(adapters)});
    if (!known) {
      Status first = queue();
      if (!first.ok()) s.graphs.forget_last();  // a graph is captured of what has run once
      return first;
    }
    if (!*graph) {
      auto captured = DeviceGraph::capture(s.stream, queue);
      if (!captured.ok()) return captured.status();
      graph->emplace(*std::move(captured));
    }
    return (*graph)->launch(s.stream);
  };
  // Before tokens are drawn, which changes the logits.
  const auto read_logits = [&]() -> Status {
    const auto read = [&](int64_t row, int64_t rows) {
      return s.stream.copy_to_host(outputs.logits + row * c.vocabulary, s.w.logits + row * c.vocabulary,
                                   static_cast<uint64_t>(rows * c.vocabulary) * 4);
    };
    if (draws == 0) return read(0, logits_rows);
    for (int64_t row = 0; row < logits_rows; ++row) {
      if (outputs.draws->draws(static_cast<int32_t>(row))) continue;
      if (Status copied = read(row, 1); !copied.ok()) return copied;
    }
    return {};
  };
  const auto draw = [&]() -> Status {
    s.draws.resize(static_cast<size_t>(outputs.draws->size_bytes()));
    outputs.draws->write(s.draws.data());
    if (Status copied = s.staging.copy_to_device(s.w.draws, s.draws); !copied.ok()) return copied;
    Status drawn =
        s.stream.device()->ops().sampling(outputs.draws->at(s.w.draws, s.w.logits, s.w.drawn), s.stream);
    if (!drawn.ok()) return drawn;
    return s.stream.copy_to_host(outputs.tokens, s.w.drawn, static_cast<uint64_t>(draws) * sizeof(int32_t));
  };
  const auto run = [&]() -> Status {
    const auto input_bytes = static_cast<size_t>(DevicePassInputs().place(nullptr, c, *n, page_entries));
    pass.fill_inputs(s.inputs.data(), page_entries);
    if (Status status = s.staging.copy_to_device(s.w.inputs, {s.inputs.data(), input_bytes}); !status.ok())
      return status;
    if (!batch.hidden_rows.empty()) {
      if (Status status = pass.tokens_to_hidden(stop); !status.ok()) return status;
      if (Status status = pass.choose(batch.hidden_rows); !status.ok()) return status;
      Status copied = s.stream.copy_to_host(outputs.hidden, s.w.chosen,
                                            batch.hidden_rows.size() * static_cast<size_t>(c.width) * 4);
      if (!copied.ok() || logits_rows == 0) return copied;
      if (Status status = pass.logits_of(batch.logits_rows, k); !status.ok()) return status;
    } else if (Status status = run_pass(); !status.ok()) {
      return status;
    }
    if (outputs.logits) {
      if (Status copied = read_logits(); !copied.ok()) return copied;
    }
    if (outputs.top && logits_rows > 0) {
      Status copied = s.stream.copy_to_host(
          outputs.top, s.w.top, static_cast<uint64_t>(logits_rows * outputs.k) * sizeof(RankedValue));
      if (!copied.ok()) return copied;
    }
    return draws > 0 ? draw() : Status();
  };
  Status done = run();
  const Status passed = s.stream.synchronize();  // even so: outputs and pages must not be written later
  if (done.ok()) done = passed;
  if (!done.ok()) {
    give_back(batch);
    return done;
  }
  for (const DecoderChunk& chunk : batch.chunks)
    chunk.sequence->commit(static_cast<int64_t>(chunk.tokens.size()));
  return {};
}

Result<KvCache> device_kv_cache(const KvLayout& layout, const DeviceBuffer& memory,
                                const DeviceStream& stream) {
  return KvCache::create(layout, {memory.data(), static_cast<size_t>(memory.size_bytes())},
                         [stream](std::byte* to, const std::byte* from, int64_t size_bytes) {
                           return stream.copy_within(to, from, static_cast<uint64_t>(size_bytes));
                         });
}

}  // namespace weft
