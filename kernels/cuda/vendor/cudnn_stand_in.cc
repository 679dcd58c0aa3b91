#include "kernels/cuda/vendor/cudnn_stand_in.h"

#include <array>
#include <cstring>
#include <map>
#include <set>

#include "kernels/ops/gemm/product_engine.h"
#include "kernels/testing/device_data.h"

namespace weft::testing {
namespace {

struct Descriptor {
  struct Attribute {
    cudnnBackendAttributeType_t type;
    int64_t count;
    std::vector<uint8_t> bytes;
  };
  cudnnBackendDescriptorType_t type;
  std::map<cudnnBackendAttributeName_t, Attribute> attributes;
  bool finalized = false;
  int engine = -1;                    // of an engine and its configuration
  const Descriptor* graph = nullptr;  // of a configuration

  template <typename T>
  std::vector<T> all(cudnnBackendAttributeName_t name) const {
    const auto found = attributes.find(name);
    if (found == attributes.end()) return {};
    std::vector<T> values(static_cast<size_t>(found->second.count));
    std::memcpy(values.data(), found->second.bytes.data(), found->second.bytes.size());
    return values;
  }
  template <typename T>
  T one(cudnnBackendAttributeName_t name) const {
    return all<T>(name).at(0);
  }
  const Descriptor& part(cudnnBackendAttributeName_t name) const { return *one<const Descriptor*>(name); }
};
Descriptor* of(cudnnBackendDescriptor_t descriptor) { return static_cast<Descriptor*>(descriptor); }

size_t bytes_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_DATA_TYPE:
    case CUDNN_TYPE_CONVOLUTION_MODE:
    case CUDNN_TYPE_HEUR_MODE:
    case CUDNN_TYPE_FLOAT: return 4;
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR: return 8;
    default: return 0;
  }
}

struct Rule {
  cudnnBackendAttributeName_t name;
  cudnnBackendAttributeType_t type;
  int64_t count;
};
/// What a descriptor must have when it is finalized; and nothing else.
const std::map<cudnnBackendDescriptorType_t, std::vector<Rule>> kRules = {
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR,
     {{CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1},
      {CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4},
      {CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4},
      {CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1},
      {CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1}}},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR,
     {{CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1},
      {CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1},
      {CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1},
      {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2},
      {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2},
      {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2},
      {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2}}},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     {{CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
      {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
      {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
      {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
      {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1},
      {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1}}},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR,
     {{CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1},
      {CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1}}},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
     {{CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
      {CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1}}},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR,
     {{CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1},
      {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1}}},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
     {{CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3},
      {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3},
      {CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1}}}};

cudnnStatus_t set(cudnnBackendDescriptor_t to, cudnnBackendAttributeName_t name,
                  cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  Descriptor& descriptor = *of(to);
  const size_t bytes = bytes_of(type) * static_cast<size_t>(count);
  if (descriptor.finalized || bytes == 0 || !values) return CUDNN_STATUS_BAD_PARAM;
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    const Descriptor* part = *static_cast<Descriptor* const*>(values);
    if (!part || !part->finalized) return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
  }
  const auto* first = static_cast<const uint8_t*>(values);
  descriptor.attributes[name] = {type, count, {first, first + bytes}};
  return CUDNN_STATUS_SUCCESS;
}

/// The rows or columns of an output, as cuDNN counts them.
int64_t outputs(const Descriptor& how, size_t side, int64_t extent, int64_t kernel) {
  return (extent + how.all<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS)[side] +
          how.all<int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS)[side] - kernel) /
             how.all<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES)[side] +
         1;
}

bool is_convolution(const Descriptor& operation) {
  const Descriptor& how = operation.part(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
  const auto extents = [&](cudnnBackendAttributeName_t name) {
    return operation.part(name).all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
  };
  const auto x = extents(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X),
             w = extents(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W),
             y = extents(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
  return how.one<cudnnDataType_t>(CUDNN_ATTR_CONVOLUTION_COMP_TYPE) == CUDNN_DATA_FLOAT &&
         how.one<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE) == CUDNN_CROSS_CORRELATION &&
         how.one<int64_t>(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS) == 2 &&
         how.all<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS) == std::vector<int64_t>{1, 1} && x[0] == y[0] &&
         x[1] == w[1] && w[0] == y[1] && outputs(how, 0, x[2], w[2]) == y[2] &&
         outputs(how, 1, x[3], w[3]) == y[3];
}

cudnnStatus_t finalize(cudnnBackendDescriptor_t made) {
  Descriptor& descriptor = *of(made);
  const auto rules = kRules.find(descriptor.type);
  if (rules == kRules.end() || rules->second.size() != descriptor.attributes.size())
    return CUDNN_STATUS_BAD_PARAM;
  for (const Rule& rule : rules->second) {
    const auto found = descriptor.attributes.find(rule.name);
    if (found == descriptor.attributes.end() || found->second.type != rule.type ||
        found->second.count != rule.count)
      return CUDNN_STATUS_BAD_PARAM;
  }
  if (descriptor.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR &&
      !is_convolution(descriptor))
    return CUDNN_STATUS_BAD_PARAM;
  if (descriptor.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
    const Descriptor& configuration = descriptor.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    const cudnnStatus_t planned = cudnn_stand_in().engines[static_cast<size_t>(configuration.engine)].planned;
    if (planned != CUDNN_STATUS_SUCCESS) return planned;
  }
  descriptor.finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

template <typename T>
cudnnStatus_t give(const std::vector<T>& values, int64_t room, int64_t* count, void* into) {
  *count = static_cast<int64_t>(values.size());
  for (int64_t i = 0; i < std::min(room, *count); ++i)
    static_cast<T*>(into)[i] = values[static_cast<size_t>(i)];
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t get(cudnnBackendDescriptor_t from, cudnnBackendAttributeName_t name,
                  cudnnBackendAttributeType_t, int64_t room, int64_t* count, void* into) {
  const Descriptor& descriptor = *of(from);
  CudnnStandIn& stand_in = cudnn_stand_in();
  if (!descriptor.finalized) return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
  const auto engine = [&](int index) -> const CudnnEngine& {
    return stand_in.engines[static_cast<size_t>(index)];
  };
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS) {
    ++stand_in.asked;
    *count = std::min(room, static_cast<int64_t>(stand_in.engines.size()));
    for (int i = 0; i < *count; ++i) {
      Descriptor& configuration = *static_cast<Descriptor**>(into)[i];
      configuration.engine = i, configuration.finalized = true;
      configuration.graph = &descriptor.part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    }
    return CUDNN_STATUS_SUCCESS;
  }
  if (name == CUDNN_ATTR_ENGINECFG_ENGINE) {
    Descriptor& made = **static_cast<Descriptor**>(into);
    made.engine = descriptor.engine, made.finalized = true;
    *count = 1;
    return CUDNN_STATUS_SUCCESS;
  }
  if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE)
    return give(engine(descriptor.engine).numerical, room, count, into);
  if (name == CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE)
    return give(engine(descriptor.engine).behavior, room, count, into);
  if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) {
    const int chosen = descriptor.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).engine;
    return give(std::vector<int64_t>{engine(chosen).workspace_bytes}, room, count, into);
  }
  return CUDNN_STATUS_BAD_PARAM;
}

/// A tensor's values by its own extents and strides.
class Values {
 public:
  Values(const Descriptor& tensor, void* data)
      : dtype_(tensor.one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_HALF ? DType::kF16
                                                                                           : DType::kBF16),
        extents(tensor.all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS)),
        strides_(tensor.all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES)),
        data_(static_cast<uint8_t*>(data)) {}
  float at(std::array<int64_t, 4> i) const {
    float value = 0;
    dequantize(format_of(dtype_), place(i), 1, &value);
    return value;
  }
  void put(std::array<int64_t, 4> i, float value) { quantize(format_of(dtype_), &value, 1, place(i)); }

 private:
  uint8_t* place(std::array<int64_t, 4> i) const {
    int64_t at = 0;
    for (size_t side = 0; side < 4; ++side) at += i[side] * strides_[side];
    return data_ + at * size_bytes(dtype_);
  }
  DType dtype_;

 public:
  const std::vector<int64_t> extents;

 private:
  std::vector<int64_t> strides_;
  uint8_t* data_;
};

/// y = alpha * cross-correlation(x, w), summed in double.
void convolve(const Descriptor& operation, const std::map<int64_t, void*>& pointers) {
  const auto values = [&](cudnnBackendAttributeName_t name) {
    const Descriptor& tensor = operation.part(name);
    return Values(tensor, pointers.at(tensor.one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID)));
  };
  const Values x = values(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X),
               w = values(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W);
  Values y = values(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
  const Descriptor& how = operation.part(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
  const auto before = how.all<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS),
             stride = how.all<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
  const float alpha = operation.one<float>(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA);
  const auto sum_at = [&](int64_t n, int64_t k, int64_t row, int64_t col) {
    double sum = 0;
    for (int64_t c = 0; c < w.extents[1]; ++c)
      for (int64_t r = 0; r < w.extents[2]; ++r)
        for (int64_t s = 0; s < w.extents[3]; ++s) {
          const int64_t h = row * stride[0] - before[0] + r, v = col * stride[1] - before[1] + s;
          if (h < 0 || h >= x.extents[2] || v < 0 || v >= x.extents[3]) continue;
          sum += static_cast<double>(x.at({n, c, h, v})) * w.at({k, c, r, s});
        }
    return sum;
  };
  for (int64_t n = 0; n < y.extents[0]; ++n)
    for (int64_t k = 0; k < y.extents[1]; ++k)
      for (int64_t row = 0; row < y.extents[2]; ++row)
        for (int64_t col = 0; col < y.extents[3]; ++col)
          y.put({n, k, row, col}, static_cast<float>(alpha * sum_at(n, k, row, col)));
}

cudnnStatus_t execute(cudnnHandle_t handle, cudnnBackendDescriptor_t made, cudnnBackendDescriptor_t pack) {
  CudnnStandIn& stand_in = cudnn_stand_in();
  const Descriptor &plan = *of(made), &operands = *of(pack);
  if (!handle || !plan.finalized || !operands.finalized) return CUDNN_STATUS_BAD_PARAM;
  const Descriptor& configuration = plan.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  if (reinterpret_cast<uintptr_t>(operands.one<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE)) %
          static_cast<uintptr_t>(kLibraryWorkspaceAlignment) !=
      0)
    return CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
  ++stand_in.executed;
  stand_in.last_engine = configuration.engine;
  if (!stand_in.computes) return CUDNN_STATUS_SUCCESS;
  const auto names = operands.all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto pointers = operands.all<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  std::map<int64_t, void*> by_name;
  for (size_t i = 0; i < names.size(); ++i) by_name[names[i]] = pointers[i];
  convolve(configuration.graph->part(CUDNN_ATTR_OPERATIONGRAPH_OPS), by_name);
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

CudnnStandIn& cudnn_stand_in() {
  static CudnnStandIn stand_in;
  return stand_in;
}

Result<Cudnn> load_cudnn_stand_in() {
  Cudnn dnn;
  dnn.version = "of the test";
  dnn.create = [](cudnnHandle_t* handle) {
    if (!cudnn_stand_in().gives_handle) return CUDNN_STATUS_NOT_INITIALIZED;
    ++cudnn_stand_in().open_handles;
    *handle = reinterpret_cast<cudnnHandle_t>(new int(0));
    return CUDNN_STATUS_SUCCESS;
  };
  dnn.destroy = [](cudnnHandle_t handle) {
    --cudnn_stand_in().open_handles;
    delete reinterpret_cast<int*>(handle);
    return CUDNN_STATUS_SUCCESS;
  };
  dnn.set_stream = [](cudnnHandle_t, cudaStream_t) { return CUDNN_STATUS_SUCCESS; };
  dnn.create_descriptor = [](cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* made) {
    ++cudnn_stand_in().open_descriptors;
    *made = new Descriptor{.type = type, .attributes = {}};
    return CUDNN_STATUS_SUCCESS;
  };
  dnn.destroy_descriptor = [](cudnnBackendDescriptor_t descriptor) {
    --cudnn_stand_in().open_descriptors;
    delete of(descriptor);
    return CUDNN_STATUS_SUCCESS;
  };
  dnn.set_attribute = set;
  dnn.get_attribute = get;
  dnn.finalize = finalize;
  dnn.execute = execute;
  return dnn;
}

}  // namespace weft::testing
