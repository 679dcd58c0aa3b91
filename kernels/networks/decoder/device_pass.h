/// One pass of a decoder on a device: launches on a stream, in order, as forward.cc computes on the CPU. Private to the decoder.
///
/// Errors: those of the ops; kCancelled. Ownership: refers to all that it is made of.
#ifndef WEFT_KERNELS_NETWORKS_DECODER_DEVICE_PASS_H
#define WEFT_KERNELS_NETWORKS_DECODER_DEVICE_PASS_H

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/networks/decoder/device_workspace.h"
#include "kernels/networks/decoder/offloaded_layers.h"

namespace weft {

/// The input of products: rows, and the norm that comes before, where products do it themselves.
struct ProductInput {
  const float* x = nullptr;
  const Norm* norm = nullptr;
};

class DevicePass {
 public:
  /// offloaded: the layers that it brings over as it comes to them, or null.
  DevicePass(const Decoder::State& decoder, const EmbeddingTable& embedding, OffloadedLayers* offloaded,
             const DecoderBatch& batch, const DeviceStream& stream, const DeviceWorkspace& workspace,
             int64_t n)
      : s_(decoder),
        c_(s_.config),
        embedding_(embedding),
        offloaded_(offloaded),
        batch_(batch),
        stream_(stream),
        ops_(stream.device()->ops()),
        w_(workspace),
        n_(n) {}

  /// Fills the inputs on the host, with addresses of where they will be on the device.
  void fill_inputs(std::byte* host, int64_t page_entries);

  /// Of the longest sequence, rounded up so that it seldom changes: it decides among how many blocks a row's tokens are split.
  int64_t depth() const { return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(longest_))); }

  /// Whether rows come embedded: such a pass is queued as it is, since it reads them where they lie.
  bool embeds() const;
  Status embed();
  Status layer(int64_t i);

  /// The wanted rows of the residual stream, after the last norm, in w_.chosen.
  Status choose(std::span<const int32_t> rows);

  /// Everything from the tokens to the logits, and to the largest k of them: what a graph can hold.
  Status tokens_to_logits(std::span<const int32_t> logits_rows, int64_t k, const StopRequest& stop);
  Status logits_of(std::span<const int32_t> logits_rows, int64_t k);
  Status tokens_to_hidden(const StopRequest& stop);
  Status logits(int64_t rows);

 private:
  /// Rows that come embedded, the first of them row `first` of the batch, with their positions.
  Status embed_rows(const EmbeddedRows& rows, int64_t first);
  /// RMS norms of a few rows are done by the products themselves; the others into `y`, which is the input then. In parallel
  /// blocks always: the residual stream changes before the MLP reads it.
  Result<ProductInput> normed(const Norm& of, float* y);
  Status norm(const Norm& of, const float* x, float* y, int64_t rows, int64_t cols);

  /// y = rows [first, first + count) of the layer's matrix times x, for `m` rows, with what adapters add to them.
  Status product(const Linear& linear, int64_t first, int64_t count, const ProductInput& x, float* y,
                 const float* added, int64_t m);

  Status plain_product(const Linear& linear, int64_t first, int64_t count, const ProductInput& x, float* y,
                       const float* added, int64_t m);
  /// The adapters' part: y += scale * B (A x).
  Status add_low_rank(const Linear& linear, int64_t first, int64_t count, const ProductInput& x, float* y,
                      int64_t m);
  bool adapted(const Linear& linear) const;

  /// On tensor cores: x and W in 16 bits, so many rows of W at a time as there is room for.
  /// Where a matrix's row begins; in tiles, a row that is a multiple of kTileRows.
  static const std::byte* rows_from(const PackedMatrix& matrix, int64_t row);
  Status dense_product(const PackedMatrix& matrix, int64_t first, int64_t n, const float* x, float* y,
                       const float* bias, const float* added, int64_t m);

  static GemvCuda gemv(const Linear& linear, const ProductInput& x, int64_t m);
  Status queries_keys_values(const DecoderLayer& layer, const ProductInput& x);
  Status attention(const DecoderLayer& layer, int64_t i, const ProductInput& x);
  Status mlp(const DecoderLayer& layer, const ProductInput& x);

  /// hidden += W x, after the norm that some architectures put there.
  Status add_product(const Linear& linear, const float* x, const Norm& post);

  const Decoder::State& s_;
  const DecoderConfig& c_;
  const EmbeddingTable& embedding_;
  OffloadedLayers* const offloaded_;
  const DecoderBatch& batch_;
  const DeviceStream& stream_;
  const DeviceOps& ops_;
  const DeviceWorkspace& w_;
  const int64_t n_;
  DevicePassInputs in_;
  int64_t longest_ = 0;
};

}  // namespace weft
#endif
