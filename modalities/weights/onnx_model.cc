#include "modalities/weights/onnx_model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <string_view>
#include <unordered_set>

#include "modalities/weights/protobuf_reader.h"

namespace weft {
namespace {

constexpr int kMostDepth = 32;          // of graphs within graphs
constexpr size_t kMostPorts = 4096;     // inputs or outputs
constexpr size_t kMostDimensions = 64;  // of a tensor
constexpr size_t kMostName = 4096;      // bytes

struct ElementType {
  const char* name;
  int bits;          // 0: not a number of fixed size
  weft_dtype dtype;  // 0: none here
};
// By TensorProto.DataType.
constexpr ElementType kElementTypes[] = {{"undefined", 0, 0},
                                         {"f32", 32, WEFT_DTYPE_F32},
                                         {"u8", 8, WEFT_DTYPE_U8},
                                         {"i8", 8, WEFT_DTYPE_I8},
                                         {"u16", 16, 0},
                                         {"i16", 16, WEFT_DTYPE_I16},
                                         {"i32", 32, WEFT_DTYPE_I32},
                                         {"i64", 64, WEFT_DTYPE_I64},
                                         {"text", 0, 0},
                                         {"bool", 8, WEFT_DTYPE_BOOL},
                                         {"f16", 16, WEFT_DTYPE_F16},
                                         {"f64", 64, WEFT_DTYPE_F64},
                                         {"u32", 32, 0},
                                         {"u64", 64, 0},
                                         {"complex64", 64, 0},
                                         {"complex128", 128, 0},
                                         {"bf16", 16, WEFT_DTYPE_BF16},
                                         {"f8e4m3fn", 8, 0},
                                         {"f8e4m3fnuz", 8, 0},
                                         {"f8e5m2", 8, 0},
                                         {"f8e5m2fnuz", 8, 0},
                                         {"u4", 4, 0},
                                         {"i4", 4, 0},
                                         {"f4e2m1", 4, 0},
                                         {"f8e8m0", 8, 0},
                                         {"u2", 2, 0},
                                         {"i2", 2, 0}};

const ElementType* find_type(int32_t type) {
  return type >= 0 && static_cast<size_t>(type) < std::size(kElementTypes) ? &kElementTypes[type] : nullptr;
}

/// Numbers of the messages' fields, as onnx.proto has them.
namespace model_field {
enum : uint32_t {
  kIrVersion = 1,
  kProducer = 2,
  kProducerVersion = 3,
  kGraph = 7,
  kOperatorSet = 8,
  kTraining = 20,
  kFunction = 25
};
}
namespace graph_field {
enum : uint32_t {
  kNode = 1,
  kName = 2,
  kInitializer = 5,
  kInput = 11,
  kOutput = 12,
  kSparseInitializer = 15
};
}
namespace attribute_field {
enum : uint32_t {
  kTensor = 5,
  kGraph = 6,
  kTensors = 10,
  kGraphs = 11,
  kSparseTensor = 22,
  kSparseTensors = 23
};
}
namespace tensor_field {
enum : uint32_t { kDims = 1, kDataType = 2, kName = 8, kExternalData = 13 };
}
namespace function_field {
enum : uint32_t { kNode = 7, kAttribute = 11 };
}

class OnnxReader {
 public:
  explicit OnnxReader(const std::string& name) : file_(name) {}

  Result<OnnxModel> read(std::string_view bytes) {
    if (Status status = read_model(bytes); !status.ok()) return status;
    if (!has_graph_ || model_.ir_version == 0)
      return Status(StatusCode::kCorruptData, "this is no ONNX model: it has no graph or no version")
          .at(file_)
          .hint("an .onnx file as torch.onnx.export or tf2onnx writes it");
    std::erase_if(model_.inputs, [&](const OnnxPort& port) { return initializers_.contains(port.name); });
    const auto most = std::max_element(bytes_by_type_.begin(), bytes_by_type_.end());
    if (*most > 0) model_.weight_type = static_cast<int32_t>(most - bytes_by_type_.begin());
    return std::move(model_);
  }

 private:
  Status corrupt(uint64_t offset, std::string message) const {
    return Status(StatusCode::kCorruptData, std::move(message))
        .at(file_ + ", offset " + std::to_string(offset));
  }
  Status damaged(const ProtobufReader& reader, const char* what) const {
    return corrupt(reader.offset(), std::string("the ONNX file is damaged or ends early, in ") + what);
  }

  /// Calls read(field, offset) -> Status for every field of a message.
  template <typename Read>
  Status each_field(std::string_view message, uint64_t base, const char* what, Read&& read) {
    ProtobufReader reader(message, base);
    for (ProtobufField field; reader.next(field);)
      if (Status status = read(field, reader.offset_of(field.content)); !status.ok()) return status;
    return reader.damaged() ? damaged(reader, what) : Status();
  }

  Status read_model(std::string_view bytes) {
    std::string producer_version;
    Status status = each_field(bytes, 0, "the model", [&](const ProtobufField& field, uint64_t at) -> Status {
      switch (field.number) {
        case model_field::kIrVersion: model_.ir_version = static_cast<int64_t>(field.integer); return {};
        case model_field::kProducer: model_.producer = text(field); return {};
        case model_field::kProducerVersion: producer_version = text(field); return {};
        case model_field::kOperatorSet: return read_operator_set(field.content, at);
        case model_field::kGraph:
          has_graph_ = has_graph_ || field.has_content;
          return read_graph(field.content, at, 0);
        case model_field::kTraining:  // two graphs, in fields 1 and 2
          return each_field(field.content, at, "a training graph",
                            [&](const ProtobufField& inner, uint64_t place) {
                              return inner.number <= 2 ? read_graph(inner.content, place, 1) : Status();
                            });
        case model_field::kFunction: return read_function(field.content, at);
        default: return {};
      }
    });
    if (!producer_version.empty()) model_.producer += " " + producer_version;
    return status;
  }

  Status read_operator_set(std::string_view message, uint64_t base) {
    std::pair<std::string, int64_t> set{"", 0};
    Status status = each_field(message, base, "an operator set", [&](const ProtobufField& field, uint64_t) {
      if (field.number == 1) set.first = text(field);
      if (field.number == 2) set.second = static_cast<int64_t>(field.integer);
      return Status();
    });
    if (model_.operator_sets.size() < kMostPorts) model_.operator_sets.push_back(std::move(set));
    return status;
  }

  /// depth: 0 for the model's own graph, whose inputs and outputs are the model's.
  Status read_graph(std::string_view message, uint64_t base, int depth) {
    if (depth > kMostDepth)
      return corrupt(base, "graphs within graphs are nested too deeply")
          .expected("at most " + std::to_string(kMostDepth) + " levels");
    return each_field(message, base, "a graph", [&](const ProtobufField& field, uint64_t at) -> Status {
      switch (field.number) {
        case graph_field::kNode: return read_node(field.content, at, depth);
        case graph_field::kName:
          if (depth == 0) model_.name = text(field);
          return {};
        case graph_field::kInitializer: return read_tensor(field.content, at, depth == 0);
        case graph_field::kSparseInitializer: return read_sparse_tensor(field.content, at);
        case graph_field::kInput: return depth == 0 ? read_port(field.content, at, model_.inputs) : Status();
        case graph_field::kOutput:
          return depth == 0 ? read_port(field.content, at, model_.outputs) : Status();
        default: return {};
      }
    });
  }

  Status read_node(std::string_view message, uint64_t base, int depth) {
    constexpr uint32_t kAttribute = 5;
    ++model_.n_nodes;
    return each_field(message, base, "a node", [&](const ProtobufField& field, uint64_t at) {
      return field.number == kAttribute ? read_attribute(field.content, at, depth) : Status();
    });
  }

  Status read_attribute(std::string_view message, uint64_t base, int depth) {
    return each_field(message, base, "an attribute", [&](const ProtobufField& field, uint64_t at) -> Status {
      switch (field.number) {
        case attribute_field::kTensor:
        case attribute_field::kTensors: return read_tensor(field.content, at, false);
        case attribute_field::kSparseTensor:
        case attribute_field::kSparseTensors: return read_sparse_tensor(field.content, at);
        case attribute_field::kGraph:
        case attribute_field::kGraphs: return read_graph(field.content, at, depth + 1);
        default: return {};
      }
    });
  }

  Status read_function(std::string_view message, uint64_t base) {
    return each_field(message, base, "a function", [&](const ProtobufField& field, uint64_t at) -> Status {
      if (field.number == function_field::kNode) return read_node(field.content, at, 1);
      if (field.number == function_field::kAttribute) return read_attribute(field.content, at, 1);
      return {};
    });
  }

  Status read_sparse_tensor(std::string_view message,
                            uint64_t base) {  // values and indices, in fields 1 and 2
    return each_field(message, base, "a sparse tensor", [&](const ProtobufField& field, uint64_t at) {
      return field.number <= 2 ? read_tensor(field.content, at, false) : Status();
    });
  }

  Status read_tensor(std::string_view message, uint64_t base, bool is_initializer) {
    std::string name;
    std::vector<uint64_t> dims;
    uint64_t type = 0;
    OnnxExternalData external;
    external.file_offset = base;
    Status status =
        each_field(message, base, "a tensor", [&](const ProtobufField& field, uint64_t at) -> Status {
          switch (field.number) {
            case tensor_field::kDims: return read_dims(field, at, dims);
            case tensor_field::kDataType: type = field.integer; return {};
            case tensor_field::kName: name = text(field); return {};
            // Whatever data_location says: protocol buffers that stand twice are merged, and a location that is there may be read.
            case tensor_field::kExternalData: return read_external(field.content, at, external);
            default: return {};
          }
        });
    if (!status.ok()) return status;
    count(dims, type);
    if (is_initializer) initializers_.insert(name);
    external.tensor = std::move(name);
    if (has_location_) model_.external.push_back(std::move(external));
    has_location_ = false;
    return {};
  }

  Status read_dims(const ProtobufField& field, uint64_t at, std::vector<uint64_t>& dims) {
    if (!field.has_content) dims.push_back(field.integer);
    ProtobufReader packed(field.content, at);
    for (uint64_t extent = 0; packed.next_packed(extent) && dims.size() <= kMostDimensions;)
      dims.push_back(extent);
    if (packed.damaged()) return damaged(packed, "a tensor's shape");
    if (dims.size() > kMostDimensions) return corrupt(at, "a tensor has too many dimensions");
    return {};
  }

  Status read_external(std::string_view message, uint64_t base, OnnxExternalData& external) {
    std::string key, value;
    Status status = each_field(message, base, "external data", [&](const ProtobufField& field, uint64_t) {
      if (field.number == 1) key = text(field);
      if (field.number == 2) value = text(field);
      return Status();
    });
    if (!status.ok()) return status;
    if (key == "location") {
      if (has_location_) return corrupt(base, "a tensor's external data has two places");
      external.location = value;
      has_location_ = true;
    }
    if (key != "offset" && key != "length") return {};
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size())
      return corrupt(base, "the " + key + " of external data is no number").got("'" + value + "'");
    if (key == "offset") external.offset = number;
    else external.length = number;
    return {};
  }

  Status read_port(std::string_view message, uint64_t base, std::vector<OnnxPort>& ports) {
    OnnxPort port;
    Status status = each_field(message, base, "an input or output",
                               [&](const ProtobufField& field, uint64_t at) -> Status {
                                 if (field.number == 1) port.name = text(field);
                                 if (field.number == 2) return read_type(field.content, at, port);
                                 return {};
                               });
    if (!status.ok()) return status;
    if (ports.size() == kMostPorts) return corrupt(base, "too many inputs or outputs");
    ports.push_back(std::move(port));
    return {};
  }

  Status read_type(std::string_view message, uint64_t base, OnnxPort& port) {
    return each_field(message, base, "a type", [&](const ProtobufField& field, uint64_t at) -> Status {
      switch (field.number) {
        case 1: return read_tensor_type(field.content, at, port);
        case 4: port.kind = "sequence"; return {};
        case 5: port.kind = "map"; return {};
        case 7: port.kind = "opaque value"; return {};
        case 8: port.kind = "sparse tensor"; return {};
        case 9: port.kind = "optional value"; return {};
        default: return {};
      }
    });
  }

  Status read_tensor_type(std::string_view message, uint64_t base, OnnxPort& port) {
    return each_field(message, base, "a type", [&](const ProtobufField& field, uint64_t at) -> Status {
      if (field.number == 1) port.element_type = static_cast<int32_t>(std::min<uint64_t>(field.integer, 255));
      if (field.number != 2) return {};
      if (!port.dimensions) port.dimensions.emplace();
      return each_field(field.content, at, "a shape", [&](const ProtobufField& inner, uint64_t place) {
        return inner.number == 1 ? read_dimension(inner.content, place, *port.dimensions) : Status();
      });
    });
  }

  Status read_dimension(std::string_view message, uint64_t base, std::vector<OnnxDimension>& dimensions) {
    OnnxDimension dimension;
    Status status = each_field(message, base, "a dimension", [&](const ProtobufField& field, uint64_t) {
      if (field.number == 1) dimension.extent = static_cast<int64_t>(field.integer);
      if (field.number == 2) dimension.symbol = text(field);
      return Status();
    });
    if (!status.ok()) return status;
    if (dimensions.size() == kMostDimensions) return corrupt(base, "a shape has too many dimensions");
    if (dimension.extent < 0) dimension.extent = -1;
    dimensions.push_back(std::move(dimension));
    return {};
  }

  static std::string text(const ProtobufField& field) {
    return std::string(field.content.substr(0, kMostName));
  }

  void count(const std::vector<uint64_t>& dims, uint64_t type) {
    uint64_t elements = 1;
    for (const uint64_t extent : dims) {
      if (__builtin_mul_overflow(elements, extent, &elements)) return;  // whoever loads it says so
    }
    const ElementType* known = type < bytes_by_type_.size() ? find_type(static_cast<int32_t>(type)) : nullptr;
    uint64_t bits = 0;
    if (known == nullptr || __builtin_mul_overflow(elements, static_cast<uint64_t>(known->bits), &bits))
      return;
    const uint64_t bytes = bits / 8;
    const bool is_half = known->dtype == WEFT_DTYPE_F16 || known->dtype == WEFT_DTYPE_BF16;
    add(model_.parameters, elements);
    add(model_.weight_bytes, bytes);
    add(model_.widened_bytes, is_half ? 2 * bytes : bytes);
    add(bytes_by_type_[type], bytes);
  }
  static void add(uint64_t& sum, uint64_t more) {
    if (__builtin_add_overflow(sum, more, &sum)) sum = std::numeric_limits<uint64_t>::max();
  }

  const std::string& file_;
  OnnxModel model_;
  bool has_graph_ = false;
  bool has_location_ = false;  // of the tensor that is being read
  std::unordered_set<std::string> initializers_;
  std::array<uint64_t, std::size(kElementTypes)> bytes_by_type_{};
};

}  // namespace

std::string onnx_type_name(int32_t element_type) {
  const ElementType* type = find_type(element_type);
  return type != nullptr ? type->name : "type " + std::to_string(element_type);
}

std::string onnx_type_name_of(weft_dtype dtype) {
  for (const ElementType& type : kElementTypes)
    if (type.dtype == dtype && dtype != 0) return type.name;
  return "dtype " + std::to_string(dtype);
}

std::optional<weft_dtype> onnx_dtype(int32_t element_type) {
  const ElementType* type = find_type(element_type);
  if (type == nullptr || type->dtype == 0) return std::nullopt;
  return type->dtype;
}

Result<OnnxModel> read_onnx_model(std::span<const std::byte> bytes, const std::string& name) {
  return OnnxReader(name).read({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace weft
