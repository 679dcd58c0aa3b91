#include "kernels/networks/decoder/lora.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "kernels/networks/decoder/device_decoder.h"
#include "kernels/networks/decoder/device_workspace.h"
#include "kernels/networks/decoder/lora_file.h"
#include "kernels/networks/decoder/lora_state.h"
#include "kernels/quant/dequantize.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

/// Bytes of a pair on a device: A in the file's numbers, B in f32.
int64_t a_bytes(const LoraFilePair& pair) {
  return device_aligned(weights_bytes(pair.a->format, device_rank(pair.rank) * pair.linear->w.k));
}
int64_t b_bytes(const LoraFilePair& pair) {
  return device_aligned(pair.linear->w.n * device_rank(pair.rank) * 4);
}
int64_t bytes_on_device(const std::vector<LoraFilePair>& pairs) {
  int64_t bytes = 0;
  for (const LoraFilePair& pair : pairs) bytes += a_bytes(pair) + b_bytes(pair);
  return bytes;
}

/// B times alpha / rank, so that products add it as it is; its rows go on with zeros.
std::vector<float> scaled_b(const Decoder::State& model, const WeightFile& file, const LoraFilePair& pair) {
  const std::vector<std::byte> rows = b_rows(model, file, pair);
  const int64_t n = pair.linear->w.n, width = device_rank(pair.rank);
  std::vector<float> scaled(static_cast<size_t>(n * width));
  for (int64_t row = 0; row < n; ++row) {
    float* const to = scaled.data() + row * width;
    dequantize(pair.b->format, rows.data() + row * weights_bytes(pair.b->format, pair.rank), pair.rank, to);
    for (int64_t i = 0; i < pair.rank; ++i) to[i] *= pair.scale;
  }
  return scaled;
}

}  // namespace

LoraAdapter::LoraAdapter(std::unique_ptr<State> state) : state_(std::move(state)) {}
LoraAdapter::LoraAdapter(LoraAdapter&&) noexcept = default;
LoraAdapter& LoraAdapter::operator=(LoraAdapter&&) noexcept = default;
LoraAdapter::~LoraAdapter() = default;

Result<LoraAdapter> LoraAdapter::load(const Decoder& decoder, const WeightFile& file, Executor executor) {
  const Decoder::State& model = decoder.state();
  const auto pairs = read_lora(model, file);
  if (!pairs.ok()) return pairs.status();
  auto state = std::make_unique<State>();
  state->pairs.resize(model.linears.size());
  const auto packed = [&](const WeightTensor& tensor, int64_t n, int64_t k,
                          const std::byte* rows) -> Result<PackedMatrix> {
    const Result<int64_t> bytes = packed_size_bytes(tensor.format, n, k);
    if (!bytes.ok()) return bytes.status().at(file.where(tensor));
    const Result<const std::byte*> data = state->memory.get(tensor.name, *bytes, [&](std::byte* to) {
      return pack_matrix(tensor.format, n, k, rows, to, executor);
    });
    if (!data.ok()) return data.status();
    state->size_bytes += *bytes;
    return PackedMatrix{tensor.format, n, k, *data};
  };
  for (const LoraFilePair& pair : *pairs) {
    const auto a = packed(*pair.a, pair.rank, pair.linear->w.k, pair.a->data);
    if (!a.ok()) return a.status();
    const auto b = packed(*pair.b, pair.linear->w.n, pair.rank, b_rows(model, file, pair).data());
    if (!b.ok()) return b.status();
    state->pairs[static_cast<size_t>(pair.linear->index)] = {*a, *b, pair.scale};
    state->rank = std::max(state->rank, pair.rank);
  }
  return LoraAdapter(std::move(state));
}

Result<int64_t> LoraAdapter::device_bytes(const DeviceDecoder& decoder, const WeightFile& file) {
  const auto pairs = read_lora(decoder.network(), file);
  if (!pairs.ok()) return pairs.status();
  return bytes_on_device(*pairs);
}

Result<LoraAdapter> LoraAdapter::load(const DeviceDecoder& decoder, const WeightFile& file,
                                      const DeviceStream& stream, DeviceBuffer given) {
  const Decoder::State& model = decoder.network();
  const auto pairs = read_lora(model, file);
  if (!pairs.ok()) return pairs.status();
  auto state = std::make_unique<State>();
  state->pairs.resize(model.linears.size());
  state->device = stream.device()->facts().name;
  state->size_bytes = bytes_on_device(*pairs);
  auto memory = DeviceBuffer::given_or_allocate(std::move(given), stream,
                                                static_cast<uint64_t>(state->size_bytes), "adapter (LoRA)");
  if (!memory.ok()) return memory.status();
  state->device_memory = *std::move(memory);
  std::byte* at = state->device_memory.data();
  for (const LoraFilePair& pair : *pairs) {
    const int64_t rank = device_rank(pair.rank), k = pair.linear->w.k;
    std::vector<std::byte> a(static_cast<size_t>(weights_bytes(pair.a->format, rank * k)));
    std::copy_n(pair.a->data, weights_bytes(pair.a->format, pair.rank * k), a.data());
    const std::vector<float> b = scaled_b(model, file, pair);
    std::byte* const b_at = at + a_bytes(pair);
    Status copied = stream.copy_to_device(at, a.data(), a.size());
    if (copied.ok()) copied = stream.copy_to_device(b_at, b.data(), b.size() * 4);
    if (Status passed = stream.synchronize(); copied.ok()) copied = passed;  // before a and b go
    if (!copied.ok()) return copied;
    state->pairs[static_cast<size_t>(pair.linear->index)] = {
        {pair.a->format, rank, k, at}, {WeightFormat::kF32, pair.linear->w.n, rank, b_at}, 1};
    state->rank = std::max(state->rank, pair.rank);
    at = b_at + b_bytes(pair);
  }
  return LoraAdapter(std::move(state));
}

int64_t LoraAdapter::rank() const { return state_->rank; }
int64_t LoraAdapter::size_bytes() const { return state_->size_bytes; }

Result<int64_t> total_rank(const Decoder::State& model, std::span<const LoraTerm> adapters,
                           std::string_view device) {
  int64_t rank = 0;
  for (const LoraTerm& term : adapters) {
    if (!term.adapter || term.adapter->state().pairs.size() != model.linears.size())
      return Status(StatusCode::kInvalidArgument, "an adapter that was made for another model");
    if (const std::string& place = term.adapter->state().device; place != device)
      return Status(StatusCode::kInvalidArgument, "an adapter is not where the decoder computes")
          .expected(device.empty() ? "the CPU" : std::string(device))
          .got(place.empty() ? "the CPU" : place);
    rank += term.adapter->rank();
  }
  return rank;
}

}  // namespace weft
