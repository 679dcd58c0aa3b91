#include "kernels/cuda/vendor/cudnn_graph.h"

#include <array>

namespace weft {
namespace {

constexpr int64_t kAlignment = 16;  // bytes, of all operands
constexpr int kCandidates = 8;

/// Zeros behind the last pixel of a side, or none where the extents do not belong together.
std::optional<int64_t> padding_after(int64_t extent, int64_t padding_before, int64_t kernel, int64_t stride,
                                     int64_t out) {
  const int64_t after = std::max<int64_t>((out - 1) * stride + kernel - padding_before - extent, 0);
  if ((extent + padding_before + after - kernel) / stride + 1 != out) return std::nullopt;
  return after;
}

/// An image's or a kernel's, NHWC as it lies; nchw: its extents in cuDNN's order.
CudnnDescriptor tensor(CudnnDescriber& describe, CudnnOperand name, DType dtype,
                       std::array<int64_t, 4> nchw) {
  const auto [n, c, h, w] = nchw;
  const std::array<int64_t, 4> strides{h * w * c, 1, w * c, c};
  CudnnDescriptor made = describe.make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  describe.set(made, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE,
               dtype == DType::kF16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16);
  describe.set(made, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, std::span<const int64_t>(nchw));
  describe.set(made, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, std::span<const int64_t>(strides));
  describe.set(made, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, static_cast<int64_t>(name));
  describe.set(made, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kAlignment);
  describe.finalize(made);
  return made;
}

/// Whether an engine does what add_plan() promises.
bool serves(CudnnDescriber& describe, const CudnnDescriptor& configuration) {
  const CudnnDescriptor engine = describe.make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t into = engine.get();
  describe.get(configuration, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
               std::span(&into, 1));
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> numerical{};
  std::array<cudnnBackendBehaviorNote_t, CUDNN_BEHAVIOR_NOTE_TYPE_COUNT> behavior{};
  const int64_t numbers = describe.get(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                       std::span<cudnnBackendNumericalNote_t>(numerical));
  const int64_t behaves = describe.get(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                       std::span<cudnnBackendBehaviorNote_t>(behavior));
  const auto harmless = [](cudnnBackendNumericalNote_t note) {
    return note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE || note == CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP;
  };
  return describe.ok() && std::all_of(numerical.begin(), numerical.begin() + numbers, harmless) &&
         std::find(behavior.begin(), behavior.begin() + behaves, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) ==
             behavior.begin() + behaves;
}

/// What the heuristics name, the likely fastest first.
CudnnParts candidates(CudnnDescriber& describe, const CudnnDescriptor& graph) {
  const CudnnDescriptor heuristics = describe.make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  describe.set(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  describe.set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
  describe.finalize(heuristics);
  CudnnParts found;
  std::vector<cudnnBackendDescriptor_t> into;
  for (int i = 0; i < kCandidates; ++i) {
    found.push_back(describe.make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    into.push_back(found.back().get());
  }
  const int64_t count =
      describe.get(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::span(into));
  while (static_cast<int64_t>(found.size()) > count) found.pop_back();
  return found;
}

}  // namespace

std::optional<CudnnParts> convolution_graph(CudnnDescriber& describe, cudnnHandle_t handle,
                                            const ConvolutionCuda& c) {
  const auto below = padding_after(c.h, c.pad_top, c.kernel_h, c.stride, c.out_h),
             right = padding_after(c.w, c.pad_left, c.kernel_w, c.stride, c.out_w);
  if (!below || !right) return std::nullopt;
  const std::array<int64_t, 2> before{c.pad_top, c.pad_left}, after{*below, *right},
      strides{c.stride, c.stride}, dilations{1, 1};
  CudnnDescriptor x = tensor(describe, kCudnnX, c.dtype, {c.images, c.channels, c.h, c.w}),
                  w = tensor(describe, kCudnnWeights, c.dtype,
                             {c.out_channels, c.channels, c.kernel_h, c.kernel_w}),
                  y = tensor(describe, kCudnnSums, c.dtype, {c.images, c.out_channels, c.out_h, c.out_w}),
                  how = describe.make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR),
                  operation = describe.make(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR),
                  graph = describe.make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  const auto pair = [&](cudnnBackendAttributeName_t name, const std::array<int64_t, 2>& values) {
    describe.set(how, name, CUDNN_TYPE_INT64, std::span<const int64_t>(values));
  };
  describe.set(how, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  describe.set(how, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION);
  describe.set(how, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, int64_t{2});
  pair(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, before);
  pair(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, after);
  pair(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, strides);
  pair(CUDNN_ATTR_CONVOLUTION_DILATIONS, dilations);
  describe.finalize(how);
  describe.set(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
  describe.set(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
  describe.set(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
  describe.set(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, how);
  describe.set(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1.0f);
  describe.set(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 0.0f);
  describe.finalize(operation);
  if (handle) describe.set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
  describe.set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
  describe.finalize(graph);
  CudnnParts parts;
  for (CudnnDescriptor* part : {&x, &w, &y, &how, &operation, &graph}) parts.push_back(std::move(*part));
  return parts;
}

cudnnStatus_t add_plan(const Cudnn& dnn, cudnnHandle_t handle, CudnnParts& graph) {
  CudnnDescriber asking(dnn);
  CudnnParts configurations = candidates(asking, graph.back());
  cudnnStatus_t status = asking.ok() ? CUDNN_STATUS_NOT_SUPPORTED : asking.status();
  for (CudnnDescriptor& configuration : configurations) {
    // One that refuses the device or the shape is passed over.
    CudnnDescriber describe(dnn);
    const bool promises = serves(describe, configuration);
    if (is_fault(describe.status())) status = describe.status();
    if (!promises) continue;
    CudnnDescriptor plan = describe.make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    describe.set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle);
    describe.set(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    describe.finalize(plan);
    int64_t bytes = 0;
    describe.get(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, std::span(&bytes, 1));
    if (is_fault(describe.status())) status = describe.status();
    if (!describe.ok() || bytes > kLibraryWorkspaceBytes) continue;
    graph.push_back(std::move(configuration));
    graph.push_back(std::move(plan));
    return CUDNN_STATUS_SUCCESS;
  }
  return status;
}

}  // namespace weft
