/// What an ONNX file says of itself: inputs, outputs, and the files beside it that hold its tensors. Nothing is computed.
///
/// The reader walks the protocol buffer once, in place, with bounded depth; every length is checked against the bytes at hand, so
/// that a file that ends early is refused here. It finds every reference to external data wherever the format allows a tensor:
/// initializers, sparse ones, attributes, subgraphs, functions, training graphs. Whatever computes the model opens those files by
/// name, so check_external_data() must have allowed them first.
/// Ownership: plain data; nothing of the bytes is kept. Thread safety: values.
///
///   Result<MappedFile> file = MappedFile::open(path);
///   Result<OnnxModel> model = read_onnx_model(file->bytes(), path);
///   if (Status allowed = check_external_data(*model, path); !allowed.ok()) return allowed;
///
/// Source: onnx/onnx, onnx.proto (IR version 12) and docs/ExternalData.md.
#ifndef WEFT_MODALITIES_WEIGHTS_ONNX_MODEL_H
#define WEFT_MODALITIES_WEIGHTS_ONNX_MODEL_H

#include <weft/abi/types.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace weft {

struct OnnxDimension {
  int64_t extent = -1;  // -1: known when the model runs
  std::string symbol;   // what the file calls such an extent: equal names, equal extents; may be empty
};

/// An input or output of the model.
struct OnnxPort {
  std::string name;
  int32_t element_type = 0;                              // TensorProto.DataType; 0: the file does not say
  std::string kind;                                      // empty for a tensor; else "sequence", "map" ...
  std::optional<std::vector<OnnxDimension>> dimensions;  // nothing: not even the rank is known
};

/// A part of another file that is a tensor's data.
struct OnnxExternalData {
  std::string tensor;
  std::string location;  // as the file has it
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  uint64_t file_offset = 0;  // of the reference, for messages
};

struct OnnxModel {
  int64_t ir_version = 0;
  std::string producer;                                        // "pytorch 2.4"; may be empty
  std::string name;                                            // of the graph; may be empty
  std::vector<std::pair<std::string, int64_t>> operator_sets;  // domain ("" is ONNX's own) and version
  std::vector<OnnxPort> inputs;                                // without those that initializers give a value
  std::vector<OnnxPort> outputs;
  std::vector<OnnxExternalData> external;
  uint64_t n_nodes = 0;        // of all graphs and functions
  uint64_t parameters = 0;     // elements of all tensors
  uint64_t weight_bytes = 0;   // of all tensors, as stored
  uint64_t widened_bytes = 0;  // the same with floating-point numbers of 16 bits as f32
  int32_t weight_type = 0;     // DataType that holds most of weight_bytes; 0 without tensors
};

/// "f32" for TensorProto.DataType 1; "type 99" for one that does not exist.
std::string onnx_type_name(int32_t element_type);
/// "f32" for WEFT_DTYPE_F32.
std::string onnx_type_name_of(weft_dtype dtype);
/// The same element as a tensor of this host; nothing where there is none (text, complex, u16, 4-bit numbers ...).
std::optional<weft_dtype> onnx_dtype(int32_t element_type);

/// `name` is the file's, for errors. Errors: kCorruptData with the offset; kUnsupported for a model without a graph of a version
/// that is read.
Result<OnnxModel> read_onnx_model(std::span<const std::byte> bytes, const std::string& name);

/// The files of external data, absolute, each once: regular files in the folder of `model_file` or in folders below it, reached
/// without links, and long enough. Errors: kPermissionDenied (an absolute location, "..", a link, a name with another meaning to a
/// library), kNotFound, kCorruptData (beyond the file's end), each with the tensor and the offset of the reference.
Result<std::vector<std::filesystem::path>> check_external_data(const OnnxModel& model,
                                                               const std::filesystem::path& model_file);

}  // namespace weft
#endif
