/// The model type "onnx.model": an ONNX file, and the files beside it that hold its tensors.
///
/// open() reads what the file says of itself and checks where its external data is, before OpenVINO sees either; load() has
/// OpenVINO compile it. Ports have the names of the model's inputs and outputs, with '_' for what a name in a pipeline cannot hold
/// ("input:0" is "input_0"); where that gives several of them one name, none has it, and each has a number behind it. Ownership: the
/// host's residency owns it; nodes borrow it. Thread safety: const members and session() of a loaded model may be used by several
/// nodes at once.
#ifndef WEFT_PLUGINS_ONNX_NETWORK_H
#define WEFT_PLUGINS_ONNX_NETWORK_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/weights/onnx_model.h"
#include "plugins/onnx/session.h"

namespace weft::onnx {

/// An input or output that is a tensor of a type that this host has, of at most WEFT_MAX_RANK dimensions.
struct NetworkPort {
  std::string name;         // in pipelines
  std::string tensor_name;  // in the model
  weft_dtype dtype = 0;
  std::vector<OnnxDimension> dimensions;
  bool has_rank = true;  // false: the file says nothing of the shape
};
/// "f32 [batch, 224, 224, 3]"; "f32 of any shape".
std::string to_string(const NetworkPort& port);
/// The index of the port of this name.
std::optional<size_t> find_port(std::span<const NetworkPort> ports, std::string_view name);
/// What to say of a name that find_port does not find; what: "input" or "output". Expected are the names that there are.
Status no_such_port(std::span<const NetworkPort> ports, const char* what, std::string_view name);

class Network {
 public:
  /// Parameters of the "models" entry.
  static std::span<const weft_parameter> parameters();

  static Result<std::unique_ptr<Network>> open(const sdk::ModelSource& source);
  Result<weft_model_estimate> estimate() const;
  Status load(weft_stream* stream);
  void evict();

  const std::string& path() const { return path_; }
  std::span<const NetworkPort> inputs() const { return inputs_; }
  std::span<const NetworkPort> outputs() const { return outputs_; }
  /// Precondition: loaded.
  Session& session() const { return *session_; }

 private:
  Network(sdk::Host host, std::string path) : host_(host), path_(std::move(path)) {}
  Status make_ports(const OnnxModel& model);

  sdk::Host host_;
  std::string path_;
  Precision precision_ = Precision::kF32;
  std::vector<NetworkPort> inputs_, outputs_;
  uint64_t resident_bytes_ = 0, mapped_bytes_ = 0;
  std::unique_ptr<Session> session_;
};

inline constexpr const char* kNetworkModels[] = {"onnx.model", nullptr};

}  // namespace weft::onnx
#endif
