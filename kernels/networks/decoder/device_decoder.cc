#include "kernels/networks/decoder/device_decoder.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/device/recent_passes.h"
#include "kernels/networks/decoder/device_pass.h"
#include "kernels/quant/dequantize.h"
#include "kernels/quant/weight_tiles.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

/// Rows of a pass that is worth a graph: with more, the host's calls are a small part of its time.
constexpr int64_t kMostGraphRows = 64;
constexpr size_t kMostGraphs = 16;

}  // namespace

struct DeviceDecoder::State {
  std::unique_ptr<Decoder::State> decoder;  // its weights are addresses of the device
  std::vector<int64_t> offsets;             // of its steps
  int64_t table_offset = -1;                // of the embeddings
  int64_t own_table_bytes = 0;              // 0: they are the output's matrix too, which a step uploads
  int64_t weights_bytes = 0;
  EmbeddingTable embedding;
  DeviceBuffer weights;
};

/// What decides the work that a pass queues: all else it reads on the device. Passes of the same shape are the same graph.
struct PassShape {
  int64_t rows = 0, depth = 0, k = 0;  // k: 0, and no ranking
  KvFormat format = KvFormat::kF16;
  std::vector<int32_t> logits_rows;
  bool operator==(const PassShape&) const = default;
};

struct DeviceDecoder::Scratch::State {
  DeviceStream stream;
  Limits limits;
  DeviceBuffer memory;
  DeviceWorkspace w;
  StagingRing staging;
  std::vector<std::byte> inputs;  // assembled here
  /// Over all of the above.
  RecentPasses<PassShape, std::optional<DeviceGraph>> graphs{kMostGraphs};
};

namespace {

/// Puts matrices on a device in the order in which its products read them.
class WeightUpload {
 public:
  explicit WeightUpload(const DeviceStream& stream) : stream_(stream) {}

  /// from: [n, k] as rows of blocks or elements, which stay until the stream has passed.
  Status matrix(WeightFormat format, const std::byte* from, int64_t n, int64_t k, std::byte* to) {
    const int64_t row_bytes = weights_bytes(format, k);
    if (!lies_in_tiles(format)) return stream_.copy_to_device(to, from, static_cast<uint64_t>(n * row_bytes));
    const int64_t most = std::max<int64_t>(kPieceBytes / row_bytes / kTileRows, 1) * kTileRows;
    const int64_t piece = std::min(most, n);
    if (piece_.size_bytes() < static_cast<uint64_t>(piece * row_bytes)) {
      auto memory =
          DeviceBuffer::allocate(stream_, static_cast<uint64_t>(piece * row_bytes), "weights on their way");
      if (!memory.ok()) return memory.status();
      piece_ = *std::move(memory);
    }
    for (int64_t row = 0; row < n; row += piece) {
      const int64_t rows = std::min(piece, n - row);
      Status done = stream_.copy_to_device(piece_.data(), from + row * row_bytes,
                                           static_cast<uint64_t>(rows * row_bytes));
      if (done.ok())
        done = stream_.device()->ops().tile_weights(
            {format, piece_.data(), to + row / kTileRows * tile_bytes(format, k), rows, k}, stream_);
      if (!done.ok()) return done;
    }
    return {};
  }

 private:
  static constexpr int64_t kPieceBytes = 32 << 20;
  const DeviceStream& stream_;
  DeviceBuffer piece_;
};

Status unsupported(const WeightFile& file, const WeightTensor& tensor, const char* why) {
  return Status(StatusCode::kUnsupported, why)
      .at(file.where(tensor))
      .got(block_layout(tensor.format).name)
      .hint("run it on the CPU");
}

}  // namespace

DeviceDecoder::DeviceDecoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
DeviceDecoder::DeviceDecoder(DeviceDecoder&&) noexcept = default;
DeviceDecoder& DeviceDecoder::operator=(DeviceDecoder&&) noexcept = default;
DeviceDecoder::~DeviceDecoder() = default;
DeviceDecoder::Scratch::Scratch(std::unique_ptr<State> state) : state_(std::move(state)) {}
DeviceDecoder::Scratch::Scratch(Scratch&&) noexcept = default;
DeviceDecoder::Scratch& DeviceDecoder::Scratch::operator=(Scratch&&) noexcept = default;
DeviceDecoder::Scratch::~Scratch() = default;

const DecoderConfig& DeviceDecoder::config() const { return state_->decoder->config; }
int64_t DeviceDecoder::weights_bytes() const { return state_->weights_bytes; }
KvLayout DeviceDecoder::kv_layout(KvFormat format) const {
  return {config().n_layers, config().n_kv_heads, config().head_dim, format};
}

Result<DeviceDecoder> DeviceDecoder::open(const WeightFile& file) {
  auto opened = open_state(file);
  if (!opened.ok()) return opened.status();
  auto state = std::make_unique<State>();
  state->decoder = *std::move(opened);
  const Decoder::State& decoder = *state->decoder;
  for (const PackStep& step : decoder.steps) {
    state->offsets.push_back(state->weights_bytes);
    state->weights_bytes += device_aligned(
        step.vector ? step.count * 4
                    : device_matrix_bytes(step.matrix->format, step.matrix->n, step.matrix->k));
    if (step.matrix && step.tensor == decoder.token_embedding && lies_as_multiplied(step))
      state->table_offset = state->offsets.back();
  }
  const WeightTensor& table = *decoder.token_embedding;
  if (!matmul_serves(table.format))
    return unsupported(file, table, "embeddings of this format are not read on devices");
  if (state->table_offset < 0) {
    state->table_offset = state->weights_bytes;
    state->own_table_bytes =
        device_matrix_bytes(table.format, decoder.config.vocabulary, decoder.config.width);
    state->weights_bytes += device_aligned(state->own_table_bytes);
  }
  state->embedding = {table.format, nullptr, decoder.config.vocabulary, decoder.config.width};
  for (const DecoderLayer& layer : decoder.layers) {
    if (!layer.qkv.present()) continue;
    const PackedMatrix& w = layer.qkv.w;
    const auto begins_at = [&](int64_t row) {
      return lies_in_tiles(w.format) ? row % kTileRows == 0
                                     : row * weft::weights_bytes(w.format, w.k) % 16 == 0;
    };
    if (!begins_at(decoder.config.query_width()) || !begins_at(decoder.config.kv_width()))
      return Status(StatusCode::kUnsupported,
                    "keys and values of a joint matrix do not begin at a tile of 16 rows or at 16 bytes")
          .at(file.path().string())
          .hint("run it on the CPU");
  }
  return DeviceDecoder(std::move(state));
}

Status DeviceDecoder::load(const DeviceStream& stream, DeviceBuffer given) {
  State& state = *state_;
  Decoder::State& decoder = *state.decoder;
  auto memory = DeviceBuffer::given_or_allocate(std::move(given), stream,
                                                static_cast<uint64_t>(state.weights_bytes), "weights");
  if (!memory.ok()) return memory.status();
  state.weights = *std::move(memory);
  WeightUpload upload(stream);
  for (size_t i = 0; i < decoder.steps.size(); ++i) {
    const PackStep& step = decoder.steps[i];
    std::byte* const there = state.weights.data() + state.offsets[i];
    std::vector<std::byte> made;  // where the file does not have it as the device wants it
    Status copied;
    if (step.vector) {
      made.resize(static_cast<size_t>(step.count) * 4);
      fill_vector(decoder, step, reinterpret_cast<float*>(made.data()));
      *step.vector = reinterpret_cast<const float*>(there);
      copied = stream.copy_to_device(there, made.data(), made.size());
    } else {
      if (!lies_as_multiplied(step)) made = rows_as_multiplied(decoder, step);
      copied = upload.matrix(step.matrix->format, made.empty() ? step.tensor->data : made.data(),
                             step.matrix->n, step.matrix->k, there);
      step.matrix->data = there;
    }
    if (Status passed = made.empty() ? Status() : stream.synchronize(); copied.ok())
      copied = std::move(passed);
    if (!copied.ok()) return copied;
  }
  if (state.own_table_bytes > 0) {
    const WeightTensor& table = *decoder.token_embedding;
    Status copied = upload.matrix(table.format, table.data, decoder.config.vocabulary, decoder.config.width,
                                  state.weights.data() + state.table_offset);
    if (!copied.ok()) return copied;
  }
  state.embedding.data = state.weights.data() + state.table_offset;
  if (Status status = stream.synchronize(); !status.ok()) return status;
  decoder.loaded = true;
  return {};
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
  auto staging = StagingRing::create(stream, static_cast<uint64_t>(2 * input_bytes));  // one step ahead
  if (!staging.ok()) return staging.status();
  std::unique_ptr<Scratch::State> state(new Scratch::State{.stream = stream,
                                                           .limits = limits,
                                                           .memory = *std::move(memory),
                                                           .w = {},
                                                           .staging = *std::move(staging),
                                                           .inputs = {}});
  state->w.place(state->memory.data(), config(), limits);
  state->inputs.resize(static_cast<size_t>(input_bytes));
  return Scratch(std::move(state));
}

Status DeviceDecoder::forward(const DecoderBatch& batch, const DeviceDecoderOutputs& outputs,
                              Scratch& scratch, const StopRequest& stop) const {
  Scratch::State& s = *scratch.state_;
  const DecoderConfig& c = config();
  const void* wanted = outputs.logits ? static_cast<const void*>(outputs.logits) : outputs.top;
  const Result<int64_t> n = check_batch(*state_->decoder, batch, wanted, outputs.hidden);
  if (!n.ok()) return n.status();
  const bool embeds =
      std::ranges::any_of(batch.chunks, [](const DecoderChunk& chunk) { return !chunk.embedded.empty(); });
  if (!batch.adapters.empty() || embeds)
    return Status(StatusCode::kUnsupported,
                  (embeds ? "embedded rows are not on " : "adapters (LoRA) are not on ") +
                      s.stream.device()->facts().name)
        .hint("run it on the CPU");
  int64_t page_entries = 0;
  for (const DecoderChunk& chunk : batch.chunks) {
    if (Status room = chunk.sequence->reserve(static_cast<int64_t>(chunk.tokens.size())); !room.ok()) {
      give_back(batch);
      return room;
    }
    page_entries += chunk.sequence->n_pages();
  }
  const auto logits_rows = static_cast<int64_t>(batch.logits_rows.size());
  if (*n > s.limits.tokens || logits_rows > s.limits.logits_rows || page_entries > s.limits.page_entries ||
      (outputs.top && outputs.k > s.limits.k)) {
    give_back(batch);
    return Status(StatusCode::kOutOfMemory, "a batch exceeds the limits of the decoder's scratch")
        .expected(std::to_string(s.limits.tokens) + " tokens, " + std::to_string(s.limits.logits_rows) +
                  " rows of logits, " + std::to_string(s.limits.page_entries) + " pages, top " +
                  std::to_string(s.limits.k))
        .got(std::to_string(*n) + ", " + std::to_string(logits_rows) + ", " + std::to_string(page_entries) +
             ", " + std::to_string(outputs.k));
  }
  DevicePass pass(*state_->decoder, state_->embedding, batch, s.stream, s.w, *n);
  const int64_t k = outputs.top ? outputs.k : 0;
  const auto run_pass = [&]() -> Status {
    const auto queue = [&] { return pass.tokens_to_logits(batch.logits_rows, k, stop); };
    if (*n > kMostGraphRows) return queue();
    const auto [graph, known] = s.graphs.find({*n,
                                               pass.depth(),
                                               k,
                                               batch.chunks.front().sequence->layout().format,
                                               {batch.logits_rows.begin(), batch.logits_rows.end()}});
    if (!known) return queue();
    if (!*graph) {
      auto captured = DeviceGraph::capture(s.stream, queue);
      if (!captured.ok()) return captured.status();
      graph->emplace(*std::move(captured));
    }
    return (*graph)->launch();
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
      Status copied = s.stream.copy_to_host(outputs.logits, s.w.logits,
                                            static_cast<uint64_t>(logits_rows * c.vocabulary) * 4);
      if (!copied.ok()) return copied;
    }
    if (!outputs.top || logits_rows == 0) return {};
    return s.stream.copy_to_host(outputs.top, s.w.top,
                                 static_cast<uint64_t>(logits_rows * outputs.k) * sizeof(RankedValue));
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
