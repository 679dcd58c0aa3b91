#include "kernels/networks/decoder/device_weights.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <utility>

#include "kernels/networks/decoder/device_workspace.h"
#include "kernels/quant/dequantize.h"
#include "kernels/quant/weight_tiles.h"
#include "modalities/weights/weight_file.h"

namespace weft {
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

  Status step(const Decoder::State& decoder, const PackStep& step, std::byte* to) {
    std::vector<std::byte> made;  // where the file does not have it as the device wants it
    Status copied;
    if (step.vector) {
      made.resize(static_cast<size_t>(step.count) * 4);
      fill_vector(decoder, step, reinterpret_cast<float*>(made.data()));
      *step.vector = reinterpret_cast<const float*>(to);
      copied = stream_.copy_to_device(to, made.data(), made.size());
    } else {
      if (!lies_as_multiplied(step)) made = rows_as_multiplied(decoder, step);
      copied = matrix(step.matrix->format, made.empty() ? step.tensor->data : made.data(), step.matrix->n,
                      step.matrix->k, to);
      step.matrix->data = to;
    }
    Status passed = made.empty() ? Status() : stream_.synchronize();
    return copied.ok() ? passed : copied;
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

/// The layer that a step fills a part of; -1: none.
int64_t layer_of(const Decoder::State& decoder, const PackStep& step) {
  const auto* part = step.matrix ? reinterpret_cast<const std::byte*>(step.matrix)
                                 : reinterpret_cast<const std::byte*>(step.vector);
  const auto* first = reinterpret_cast<const std::byte*>(decoder.layers.data());
  const auto* last = reinterpret_cast<const std::byte*>(decoder.layers.data() + decoder.layers.size());
  const std::less<const std::byte*> before;
  if (before(part, first) || !before(part, last)) return -1;
  return (part - first) / static_cast<int64_t>(sizeof(DecoderLayer));
}

}  // namespace

Result<DeviceWeights> DeviceWeights::plan(Decoder::State& decoder) {
  DeviceWeights weights(decoder);
  const WeightTensor& table = *decoder.token_embedding;
  if (!matmul_serves(table.format))
    return unsupported(*decoder.file, table, "embeddings of this format are not read on devices");
  const bool tied = std::ranges::any_of(decoder.steps, [&](const PackStep& step) {
    return step.matrix && step.tensor == decoder.token_embedding && lies_as_multiplied(step);
  });
  if (!tied)
    weights.own_table_bytes_ =
        device_matrix_bytes(table.format, decoder.config.vocabulary, decoder.config.width);
  for (const PackStep& step : decoder.steps) {
    const int64_t bytes = step.vector
                              ? step.count * 4
                              : device_matrix_bytes(step.matrix->format, step.matrix->n, step.matrix->k);
    weights.places_.push_back({layer_of(decoder, step), device_aligned(bytes), 0});
  }
  weights.embedding_ = {table.format, nullptr, decoder.config.vocabulary, decoder.config.width};
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
          .at(decoder.file->path().string())
          .hint("run it on the CPU");
  }
  weights.place(weights.n_layers());
  return weights;
}

void DeviceWeights::place(int64_t first_offloaded) {
  first_offloaded_ = first_offloaded;
  layer_bytes_.assign(static_cast<size_t>(n_offloaded()), 0);
  size_bytes_ = 0;
  for (size_t i = 0; i < places_.size(); ++i) {
    Place& place = places_[i];
    int64_t& end = place.layer >= first_offloaded
                       ? layer_bytes_[static_cast<size_t>(place.layer - first_offloaded)]
                       : size_bytes_;
    place.offset = end;
    end += place.bytes;
    const PackStep& step = decoder_->steps[i];
    if (step.matrix && step.tensor == decoder_->token_embedding && own_table_bytes_ == 0)
      table_offset_ = place.offset;
  }
  if (own_table_bytes_ > 0) {
    table_offset_ = size_bytes_;
    size_bytes_ += device_aligned(own_table_bytes_);
  }
  slots_offset_ = size_bytes_;
  if (!layer_bytes_.empty())
    size_bytes_ += std::min(n_offloaded(), OffloadedLayers::kSlots) * *std::ranges::max_element(layer_bytes_);
}

int64_t DeviceWeights::offloaded_bytes() const {
  return std::accumulate(layer_bytes_.begin(), layer_bytes_.end(), int64_t{0});
}

Status DeviceWeights::offload(int64_t most_bytes) {
  for (int64_t first = n_layers(); first >= 0; --first) {
    place(first);
    if (size_bytes_ <= most_bytes) return {};
  }
  const int64_t least = size_bytes_;
  place(n_layers());
  return Status(StatusCode::kOutOfMemory,
                "the weights do not fit, even with every layer in the host's memory")
      .at(decoder_->file->path().string())
      .expected("at most " + std::to_string(most_bytes) + " bytes on the device")
      .got(std::to_string(least));
}

Status DeviceWeights::load(const DeviceStream& stream, DeviceBuffer given) {
  auto memory = DeviceBuffer::given_or_allocate(std::move(given), stream, static_cast<uint64_t>(size_bytes_),
                                                "weights");
  if (!memory.ok()) return memory.status();
  unload();
  memory_ = *std::move(memory);
  if (n_offloaded() > 0) {
    auto layers =
        OffloadedLayers::create(stream, first_offloaded_, layer_bytes_, memory_.data() + slots_offset_);
    if (!layers.ok()) return layers.status();
    offloaded_.emplace(*std::move(layers));
  }
  WeightUpload upload(stream);
  const auto load_layer = [&](int64_t layer, std::byte* to) -> Status {
    for (size_t i = 0; i < places_.size(); ++i) {
      if ((places_[i].layer >= first_offloaded_ ? places_[i].layer : -1) != layer) continue;
      Status loaded = upload.step(*decoder_, decoder_->steps[i], to + places_[i].offset);
      if (!loaded.ok()) return loaded;
    }
    return {};
  };
  if (Status loaded = load_layer(-1, memory_.data()); !loaded.ok()) return loaded;
  for (int64_t layer = first_offloaded_; layer < n_layers(); ++layer) {
    Status loaded = load_layer(layer, offloaded_->slot(layer));
    if (loaded.ok()) loaded = offloaded_->keep(layer, stream);
    if (!loaded.ok()) return loaded;
  }
  if (own_table_bytes_ > 0) {
    const WeightTensor& table = *decoder_->token_embedding;
    Status copied = upload.matrix(table.format, table.data, decoder_->config.vocabulary,
                                  decoder_->config.width, memory_.data() + table_offset_);
    if (!copied.ok()) return copied;
  }
  embedding_.data = memory_.data() + table_offset_;
  if (Status status = stream.synchronize(); !status.ok()) return status;
  decoder_->loaded = true;
  return {};
}

void DeviceWeights::unload() {
  decoder_->loaded = false;
  offloaded_.reset();
  memory_ = {};
}

}  // namespace weft
