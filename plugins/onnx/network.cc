#include "plugins/onnx/network.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "modalities/weights/mapped_file.h"

namespace weft::onnx {
namespace {

constexpr const char* kPrecisions[] = {"f32", "bf16", nullptr};
constexpr weft_parameter kParameters[] = {
    sdk::parameter({.name = "precision",
                    .type = "choice",
                    .default_json = "\"f32\"",
                    .choices = kPrecisions,
                    .help = "What it is computed in, whatever its weights are stored in. bf16: where the "
                            "processor multiplies it, else f32."})};

// Bytes. Names in pipelines have at most 128, and there may be a number behind it.
constexpr size_t kMostPortName = 120;

/// The model's name of a tensor as a name of a port.
std::string port_name(const std::string& tensor) {
  std::string name;
  for (const char c : tensor) {
    const bool is_fine =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    name += is_fine ? c : '_';
  }
  if (name.empty() || name.front() == '-' || (name.front() >= '0' && name.front() <= '9'))
    name.insert(0, 1, '_');
  if (name.size() > kMostPortName) name.resize(kMostPortName);
  return name;
}

/// Numbers those that have one name: "a:0" and "a/0" become "a_0_1" and "a_0_2".
void make_unique(std::vector<NetworkPort>& ports) {
  std::map<std::string, int> uses, last;
  for (const NetworkPort& port : ports) ++uses[port.name];
  for (NetworkPort& port : ports) {
    if (uses[port.name] == 1) continue;
    std::string numbered;
    do numbered = port.name + "_" + std::to_string(++last[port.name]);
    while (uses.contains(numbered));
    port.name = numbered;
  }
}

Status make_port(const OnnxPort& port, const char* what, std::vector<NetworkPort>& ports) {
  const auto unsupported = [&](const std::string& expected, const std::string& got) {
    return Status(StatusCode::kUnsupported,
                  std::string("this model cannot be a node because of one of its ") + what + "s")
        .at(std::string(what) + " '" + port.name + "'")
        .expected(expected)
        .got(got);
  };
  if (!port.kind.empty()) return unsupported("a tensor", "a " + port.kind);
  const std::optional<weft_dtype> dtype = onnx_dtype(port.element_type);
  if (!dtype)
    return unsupported("elements of bool, u8, i8, i16, i32, i64, f16, bf16, f32 or f64",
                       onnx_type_name(port.element_type));
  NetworkPort made{port_name(port.name), port.name, *dtype, {}, port.dimensions.has_value()};
  if (port.dimensions) made.dimensions = *port.dimensions;
  if (made.dimensions.size() > WEFT_MAX_RANK)
    return unsupported("at most " + std::to_string(WEFT_MAX_RANK) + " dimensions",
                       std::to_string(made.dimensions.size()));
  ports.push_back(std::move(made));
  return {};
}

}  // namespace

std::string to_string(const NetworkPort& port) {
  std::string text = onnx_type_name_of(port.dtype);
  if (!port.has_rank) return text + " of any shape";
  text += " [";
  for (size_t i = 0; i < port.dimensions.size(); ++i) {
    const OnnxDimension& dimension = port.dimensions[i];
    text += i > 0 ? ", " : "";
    text += dimension.extent >= 0      ? std::to_string(dimension.extent)
            : dimension.symbol.empty() ? "any"
                                       : dimension.symbol;
  }
  return text + "]";
}

std::optional<size_t> find_port(std::span<const NetworkPort> ports, std::string_view name) {
  const auto found =
      std::find_if(ports.begin(), ports.end(), [&](const NetworkPort& port) { return port.name == name; });
  if (found == ports.end()) return std::nullopt;
  return static_cast<size_t>(found - ports.begin());
}

Status no_such_port(std::span<const NetworkPort> ports, const char* what, std::string_view name) {
  const std::string place = std::string(what) + " '" + std::string(name) + "'";
  std::string known, candidates;
  for (const NetworkPort& port : ports) {
    known += (known.empty() ? "" : ", ") + port.name;
    if (port_name(port.tensor_name) != name) continue;
    candidates += (candidates.empty() ? "" : ", ") + port.name + " for '" + port.tensor_name + "'";
  }
  if (!candidates.empty())
    return Status(StatusCode::kInvalidArgument,
                  std::string("several ") + what + "s of the model would have this name in a pipeline")
        .at(place)
        .expected(candidates);
  return Status(StatusCode::kInvalidArgument, std::string("the model has no such ") + what)
      .at(place)
      .expected(known.empty() ? "none" : known);
}

std::span<const weft_parameter> Network::parameters() { return kParameters; }

Status Network::make_ports(const OnnxModel& model) {
  for (const OnnxPort& port : model.inputs)
    if (Status status = make_port(port, "input", inputs_); !status.ok()) return status;
  for (const OnnxPort& port : model.outputs)
    if (Status status = make_port(port, "output", outputs_); !status.ok()) return status;
  if (outputs_.empty()) return {StatusCode::kCorruptData, "the model has no outputs"};
  make_unique(inputs_);
  make_unique(outputs_);
  return {};
}

Result<std::unique_ptr<Network>> Network::open(const sdk::ModelSource& source) {
  std::unique_ptr<Network> network(new Network(source.host(), std::string(source.path())));
  if (source.parameters().get_text("precision") == "bf16") network->precision_ = Precision::kBf16;
  const std::filesystem::path path(network->path_);
  const Result<MappedFile> file = MappedFile::open(path);
  if (!file.ok()) return file.status();
  const Result<OnnxModel> model = read_onnx_model(file->bytes(), network->path_);
  if (!model.ok()) return model.status();
  const Result<std::vector<std::filesystem::path>> beside = check_external_data(*model, path);
  if (!beside.ok()) return beside.status();
  network->mapped_bytes_ = file->bytes().size();
  for (const std::filesystem::path& data : *beside) {
    if (const Result<std::string> noted = source.add_file(data.string()); !noted.ok()) return noted.status();
    std::error_code error;
    if (const auto size = std::filesystem::file_size(data, error); !error) network->mapped_bytes_ += size;
  }
  network->resident_bytes_ = model->widened_bytes;
  if (Status status = network->make_ports(*model); !status.ok()) return std::move(status).at(network->path_);
  return network;
}

// OpenVINO keeps the weights in the layout that it computes with, as f32, beside the mapped file.
Result<weft_model_estimate> Network::estimate() const {
  return sdk::model_estimate(resident_bytes_, mapped_bytes_);
}

Status Network::load(weft_stream* /*stream*/) {
  SessionPorts ports;
  for (const NetworkPort& port : inputs_) ports.inputs.push_back(port.tensor_name);
  for (const NetworkPort& port : outputs_) ports.outputs.push_back(port.tensor_name);
  Result<std::unique_ptr<Session>> session = Session::load(host_, path_, ports, precision_);
  if (!session.ok()) return session.status();
  session_ = *std::move(session);
  return {};
}

void Network::evict() { session_.reset(); }

}  // namespace weft::onnx
