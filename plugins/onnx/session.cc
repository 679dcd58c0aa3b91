#include "plugins/onnx/session.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <openvino/openvino.hpp>
#include <openvino/runtime/exception.hpp>
#include <utility>

#include "plugins/onnx/lent_cores.h"

namespace weft::onnx {
namespace {

constexpr std::chrono::milliseconds kCancelInterval{20};

/// By weft_dtype.
ov::element::Type element_type(weft_dtype dtype) {
  switch (dtype) {
    case WEFT_DTYPE_BOOL: return ov::element::boolean;
    case WEFT_DTYPE_U8: return ov::element::u8;
    case WEFT_DTYPE_I8: return ov::element::i8;
    case WEFT_DTYPE_I16: return ov::element::i16;
    case WEFT_DTYPE_I32: return ov::element::i32;
    case WEFT_DTYPE_I64: return ov::element::i64;
    case WEFT_DTYPE_F16: return ov::element::f16;
    case WEFT_DTYPE_BF16: return ov::element::bf16;
    case WEFT_DTYPE_F32: return ov::element::f32;
    case WEFT_DTYPE_F64: return ov::element::f64;
    default: return ov::element::dynamic;
  }
}

weft_dtype dtype_of(const ov::element::Type& type) {
  for (weft_dtype dtype = WEFT_DTYPE_BOOL; dtype <= WEFT_DTYPE_F64; ++dtype)
    if (element_type(dtype) == type) return dtype;
  return 0;
}

/// OpenVINO's messages begin with the places in its sources that they passed, one a line; the last lines say what is wrong.
std::string last_lines(const char* message) {
  std::string text(message);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  constexpr size_t kMost = 300;
  std::string kept;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    const bool is_place = line.starts_with("Exception from ") || line.starts_with("Check '") || line.empty();
    if (!is_place) kept += (kept.empty() ? "" : " ") + line;
  }
  if (kept.empty()) kept = text;
  return kept.size() > kMost ? kept.substr(0, kMost) + " ..." : kept;
}

/// Runs call() -> Status and makes of OpenVINO's exceptions an error with this code.
template <typename Call>
Status adapted(StatusCode code, const char* what, const std::string& path, Call&& call) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::kOutOfMemory, "out of memory").at(path);
  } catch (const std::exception& exception) {
    return Status(code, std::string(what) + ": " + last_lines(exception.what())).at(path);
  }
}

ov::Shape shape_of(const weft_tensor& tensor) { return ov::Shape(tensor.shape, tensor.shape + tensor.rank); }

}  // namespace

struct Session::State {
  explicit State(const sdk::Host& the_host) : host(the_host), threads(host.executor().max_threads()) {}

  Status read(const SessionPorts& ports, Precision precision);
  ov::InferRequest take_request();
  Status wait(ov::InferRequest& request, const std::function<bool()>& cancelled);

  sdk::Host host;
  uint32_t threads;
  std::string path;
  ov::Core core;  // outlives what it made
  ov::CompiledModel compiled;
  std::vector<ov::Output<const ov::Node>> inputs, outputs;
  std::mutex mutex;
  std::vector<ov::InferRequest> idle;
};

Status Session::State::read(const SessionPorts& ports, Precision precision) {
  std::shared_ptr<ov::Model> model;
  Status status = adapted(StatusCode::kCorruptData, "OpenVINO cannot read the model", path, [&] {
    model = core.read_model(path);
    return Status();
  });
  if (!status.ok()) return status;
  return adapted(StatusCode::kUnsupported, "OpenVINO cannot compile the model", path, [&] {
    const LentCores cores(host, threads);
    const auto numbers = precision == Precision::kBf16 ? ov::element::bf16 : ov::element::f32;
    compiled = core.compile_model(
        model, "CPU", ov::hint::inference_precision(numbers),
        ov::inference_num_threads(static_cast<int32_t>(threads)), ov::num_streams(1),
        ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY), ov::hint::enable_cpu_pinning(false));
    for (const std::string& name : ports.inputs) inputs.push_back(compiled.input(name));
    // OpenVINO takes a name that nothing makes for a further input, which nobody would fill.
    for (const ov::Output<const ov::Node>& input : compiled.inputs())
      if (std::find(inputs.begin(), inputs.end(), input) == inputs.end())
        return Status(StatusCode::kCorruptData,
                      "a node of the model reads '" + input.get_any_name() + "', which nothing makes")
            .at(path);
    for (const std::string& name : ports.outputs) outputs.push_back(compiled.output(name));
    return Status();
  });
}

ov::InferRequest Session::State::take_request() {
  {
    const std::lock_guard lock(mutex);
    if (!idle.empty()) {
      ov::InferRequest request = std::move(idle.back());
      idle.pop_back();
      return request;
    }
  }
  return compiled.create_infer_request();
}

Status Session::State::wait(ov::InferRequest& request, const std::function<bool()>& cancelled) {
  while (!request.wait_for(kCancelInterval)) {
    if (!cancelled()) continue;
    request.cancel();
    try {
      request.wait();
    } catch (const ov::Cancelled&) {
    }
    return {StatusCode::kCancelled, "cancelled"};
  }
  request.wait();  // throws what the run threw
  return {};
}

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::load(const sdk::Host& host, const std::string& path,
                                               const SessionPorts& ports, Precision precision) {
  auto state = std::make_unique<State>(host);
  state->path = path;
  if (Status status = state->read(ports, precision); !status.ok()) return status;
  return std::unique_ptr<Session>(new Session(std::move(state)));
}

Status Session::run(std::span<const weft_tensor> inputs, std::span<const size_t> wanted, const Take& take,
                    const std::function<bool()>& cancelled) {
  return adapted(StatusCode::kInternal, "OpenVINO cannot run the model", state_->path, [&]() -> Status {
    const LentCores cores(state_->host, state_->threads);
    ov::InferRequest request = state_->take_request();
    for (size_t i = 0; i < inputs.size(); ++i)  // shares the memory, which OpenVINO only reads
      request.set_tensor(state_->inputs[i],
                         ov::Tensor(element_type(inputs[i].dtype), shape_of(inputs[i]), inputs[i].data));
    request.start_async();
    Status status = state_->wait(request, cancelled);
    for (size_t i = 0; status.ok() && i < wanted.size(); ++i) {
      const ov::Tensor tensor = request.get_tensor(state_->outputs[wanted[i]]);
      const ov::Shape& shape = tensor.get_shape();
      const std::vector<int64_t> extents(shape.begin(), shape.end());
      if (extents.size() > WEFT_MAX_RANK)
        return Status(StatusCode::kUnsupported, "an output has too many dimensions").at(state_->path);
      const weft_dtype dtype = dtype_of(tensor.get_element_type());
      status = take(i, sdk::contiguous_tensor(const_cast<void*>(tensor.data()), dtype, extents));
    }
    const std::lock_guard lock(state_->mutex);
    state_->idle.push_back(std::move(request));
    return status;
  });
}

}  // namespace weft::onnx
