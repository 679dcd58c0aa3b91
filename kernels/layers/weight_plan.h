/// From named tensors to packed layers: presence, shapes and places first, bytes later.
///
/// A network describes itself by calling dense(), convolution(), norm() and so on for each of its layers. The plan looks
/// the tensors up, checks their shapes, and decides where their packed form lies. check() then says at once everything
/// that is missing, misshapen or unexpected; load() packs into one entry of a store and points the layers at it.
/// Ownership: refers to the source and to the layers, which outlive it and do not move.
///
///   WeightPlan plan(source, DType::kBF16);
///   plan.convolution("conv_in", 320, 4, 3, &conv_in);
///   if (Status fits = plan.check("UNet"); !fits.ok()) return fits;
///   plan.load(store, "sha256-of-the-file.unet", executor);
#ifndef WEFT_KERNELS_LAYERS_WEIGHT_PLAN_H
#define WEFT_KERNELS_LAYERS_WEIGHT_PLAN_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/layers/packed_weight_store.h"
#include "kernels/layers/stop_request.h"
#include "kernels/layers/weight_source.h"
#include "kernels/ops/convolution/convolution.h"
#include "kernels/ops/embedding/embedding.h"
#include "kernels/ops/gemm/gemm.h"
#include "kernels/ops/gemm/quantized_gemm.h"
#include "kernels/ops/matmul/matmul.h"
#include "kernels/ops/norm/norm.h"

namespace weft {

/// y = W x + bias. Block-quantised weights stay so: as many parts, one below the other, as the file has matrices; then w has
/// a shape and no data, but on a device, where they are unpacked.
struct DenseLayer {
  GemmWeights w;
  PackedMatrix parts[kMostQuantizedParts];
  int n_parts = 0;
  const float* bias = nullptr;  // [n] or null
  bool present() const { return w.shape.n > 0; }
  bool is_quantized() const { return n_parts > 0; }
};

struct ConvolutionLayer {
  ConvolutionWeights w;
  const float* bias = nullptr;  // [out_channels] or null
  bool present() const { return w.shape.out_channels > 0; }
};

/// A table of which rows are read: from its file, or from the device that has the weights.
struct TableLayer {
  const SourceTensor* in_file = nullptr;
  EmbeddingTable on_device;
};

struct GroupNormLayer {
  const float* weight = nullptr;
  const float* bias = nullptr;
  int64_t groups = 32;
  float epsilon = 1e-5f;
};

/// On a device matrices lie as [n, k] and kernels as [out, height, width, in], in the type that the network computes in; k and in are
/// filled up with zeros to so many elements: whole 16 bytes.
constexpr int64_t device_depth(DType dtype, int64_t k) {
  const int64_t piece = 16 / size_bytes(dtype);
  return (k + piece - 1) / piece * piece;
}

enum class BiasTensor : uint8_t { kNone, kRequired };

class WeightPlan {
 public:
  /// compute: what products are computed and weights are stored in, kF32 or kBF16.
  WeightPlan(const WeightSource& source, DType compute) : source_(source), compute_(compute) {}

  /// The rows of several [n_each, k] matrices, names without ".weight", one below the other. A matrix may also come as
  /// a 1x1 convolution's [n_each, k, 1, 1]. Matrices that are block-quantised in their file stay so, if all of them are and
  /// no adapter is merged into any.
  void dense(std::initializer_list<std::string> names, int64_t n_each, int64_t k, BiasTensor bias,
             DenseLayer* out, GemmPairing pairing = GemmPairing::kNone);
  /// [out_channels, in_channels, kernel, kernel]; a 1x1 kernel may come as a matrix. upsample: kNearest2x if the layer's
  /// inputs are always upsampled (see ConvolutionShape).
  void convolution(const std::string& name, int64_t out_channels, int64_t in_channels, int64_t kernel,
                   BiasTensor bias, ConvolutionLayer* out, Upsample upsample = Upsample::kNone);
  /// 1x1 convolutions of the same input, the outputs of one after the other's, with biases.
  void stacked_convolution(std::initializer_list<std::string> names, int64_t out_each, int64_t in_channels,
                           ConvolutionLayer* out);
  /// Weight and bias of [channels] each.
  void group_norm(const std::string& name, int64_t channels, int64_t groups, float epsilon,
                  GroupNormLayer* out);
  void layer_norm(const std::string& name, int64_t width, float epsilon, Norm* out);
  /// Values of the given shape, as f32.
  void values(const std::string& name, std::vector<int64_t> shape, const float** out);
  /// Checks a tensor that is read from the file itself.
  void mapped(const std::string& name, std::vector<int64_t> shape, const SourceTensor** out);
  /// The same of a table whose rows are looked up on a device, where load_on() puts it.
  void table(const std::string& name, int64_t rows, int64_t width, TableLayer* out);
  /// A tensor that may be there and is not read.
  void ignore(const std::string& name) { used_.insert(name); }

  /// Whether all that was asked for is there, in the right shapes, and nothing else. Errors: kInvalidShape, kNotFound
  /// or kUnsupported, by the worst of what was found; the message lists tensors by name with both shapes.
  Status check(std::string_view network) const;

  int64_t packed_bytes() const { return packed_bytes_; }
  int64_t parameters() const { return parameters_; }

  /// Packs everything into one entry of `store`, or finds it there. source_key: identifies the tensors' content and the
  /// network. stop: asked between two tensors. Errors: the store's, kOutOfMemory, kCancelled. Precondition: check() is ok.
  Status load(PackedWeightStore& store, std::string_view source_key, Executor executor,
              const StopRequest& stop = {}) const;

  /// Exact bytes of load_on()'s memory.
  int64_t device_bytes() const;
  /// The same weights in a device's memory, which the layers refer to from now on; waits for them. Rows of values and their gates
  /// alternate there, and block-quantised matrices are unpacked. memory: device_bytes(), or empty: it is allocated. Errors:
  /// kOutOfMemory, kCancelled, those of the device.
  Result<DeviceBuffer> load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop = {},
                               DeviceBuffer memory = {}) const;

 private:
  struct Step {
    std::vector<std::string> names;
    int64_t offset = 0;
    GemmWeights* dense = nullptr;  // one of these is set
    DenseLayer* quantized = nullptr;
    ConvolutionWeights* convolution = nullptr;
    const float** values = nullptr;
    int64_t count = 0;    // elements of each named tensor
    bool paired = false;  // values and their gates
  };

  // nullptr, with a note, if it is missing or of another shape.
  const SourceTensor* require(const std::string& name, const std::vector<int64_t>& shape);
  void biases(std::initializer_list<std::string> names, int64_t n_each, const float** out,
              GemmPairing pairing = GemmPairing::kNone);
  void place(Step step, int64_t bytes);
  bool stays_quantized(const std::vector<std::string>& names, int64_t k) const;
  void quantized(Step step, int64_t n_each, int64_t k, DenseLayer* out);
  Status fill(const Step& step, std::byte* destination, Executor executor) const;
  static int64_t part_bytes(const PackedMatrix& part);
  Status fill_parts(const Step& step, std::byte* destination, Executor executor) const;
  struct DeviceShape;
  static DeviceShape device_shape(const Step& step);
  /// Whether a device reads the table's rows as the file has them.
  bool reads_as_it_is(const std::string& name, const TableLayer& table) const;
  Status load_table_on(const DeviceStream& stream, const std::string& name, TableLayer& table, std::byte* at,
                       Executor executor) const;
  Status fill_for_device(const Step& step, std::byte* destination, Executor executor) const;

  const WeightSource& source_;
  DType compute_;
  std::vector<Step> steps_;
  std::vector<std::pair<std::string, TableLayer*>> tables_;  // read from their files, on the host
  std::set<std::string, std::less<>> used_;
  std::vector<std::string> missing_, misshapen_, unreadable_;
  int64_t packed_bytes_ = 0;
  int64_t parameters_ = 0;
  bool has_quantized_ = false;
};

}  // namespace weft
#endif
