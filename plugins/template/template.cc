// The plugin to start from: two nodes in one file. Copy it with `weft new-plugin NAME`, rename, and replace the bodies.
//
// A node is a class with two functions:
//   prepare  says, before anything runs, how large the outputs can get; the host plans memory from it;
//   run      reads the inputs of one request and sets its outputs.
// The arrays below each class are the descriptor: what the host shows, checks and completes in pipeline files.
// Build it, then ask `weft check` whether the host can trust it.
#include <weft/sdk/plugin.h>

#include <algorithm>
#include <string>

namespace {

using namespace weft::sdk;
using weft::Result;
using weft::Status;
using weft::StatusCode;

// ---- template.shout: text in, text out -------------------------------------------------------------------------------

class Shout {
 public:
  explicit Shout(const NodeConfig&) {}

  // Each input byte gives at most one output byte, plus the marks (at most 9, see kShoutParameters).
  Status prepare(Specs inputs, Plan plan) {
    const int64_t input_bytes = inputs[0].max_bytes;
    plan.set_output(0, bytes_spec(input_bytes == WEFT_UNBOUNDED ? WEFT_UNBOUNDED : input_bytes + 9));
    return {};
  }

  Status run(Request& request, const Execution&) {
    std::string text(request.input(0).as_text());
    for (char& c : text) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    text.append(static_cast<size_t>(request.parameters().get_int("marks")), '!');
    return request.set_output(0, request.host().make_text(text));
  }
};

constexpr weft_port kShoutInputs[] = {port("text", "text", "What to shout.")};
constexpr weft_port kShoutOutputs[] = {port("text", "text", "The text with A to Z in upper case.")};
constexpr weft_parameter kShoutParameters[] = {parameter({.name = "marks",
                                                          .type = "int",
                                                          .default_json = "1",
                                                          .minimum = 0,
                                                          .maximum = 9,
                                                          .help = "How many exclamation marks follow.",
                                                          .flags = WEFT_PARAMETER_PER_REQUEST})};

// ---- template.scale: tensor in, tensor out ---------------------------------------------------------------------------

class Scale {
 public:
  // Parameters that are the same for every request can be read once.
  explicit Scale(const NodeConfig& config) : factor_(config.parameters().get_float("factor")) {}

  // The output has the shape of the input.
  Status prepare(Specs inputs, Plan plan) {
    plan.set_output(0, inputs[0]);
    return {};
  }

  Status run(Request& request, const Execution& execution) {
    const Value input = request.input(0);  // holds the memory that `x` points into
    const weft_tensor x = input.as_tensor();
    if (x.dtype != WEFT_DTYPE_F32 || !is_contiguous(x)) {
      return Status(StatusCode::kUnsupported, "this node takes contiguous f32 tensors").at("port 'tensor'");
    }
    const std::span<const int64_t> shape(x.shape, static_cast<size_t>(x.rank));
    Result<NewTensor> y = request.host().allocate_tensor(WEFT_DTYPE_F32, shape, execution.stream(), "scale");
    if (!y.ok()) return y.status();

    const float* from = static_cast<const float*>(x.data);
    float* to = y->data<float>();
    constexpr int64_t kBlock = 1'000'000;  // a few milliseconds of work between two looks at cancelled()
    for (int64_t begin = 0, count = element_count(x); begin < count; begin += kBlock) {
      if (request.cancelled()) return Request::cancelled_status();
      const int64_t end = std::min(count, begin + kBlock);
      for (int64_t i = begin; i < end; ++i) to[i] = static_cast<float>(from[i] * factor_);
    }
    return request.set_output(0, request.host().make_tensor(y->buffer, y->view));
  }

 private:
  double factor_;
};

constexpr weft_port kScaleInputs[] = {port("tensor", "tensor", "Any shape, f32.")};
constexpr weft_port kScaleOutputs[] = {
    port("tensor", "tensor", "Each element times the factor; the input's shape.")};
constexpr weft_parameter kScaleParameters[] = {
    parameter({.name = "factor", .type = "float", .default_json = "2.0", .help = "What to multiply with."})};

// ---- the plugin ------------------------------------------------------------------------------------------------------

constexpr weft_node_type kNodes[] = {node<Shout>({.name = "template.shout",
                                                  .help = "Makes a text loud.",
                                                  .flags = WEFT_NODE_PURE,
                                                  .inputs = kShoutInputs,
                                                  .outputs = kShoutOutputs,
                                                  .parameters = kShoutParameters}),
                                     node<Scale>({.name = "template.scale",
                                                  .help = "Multiplies a tensor by a number.",
                                                  .flags = WEFT_NODE_PURE,
                                                  .inputs = kScaleInputs,
                                                  .outputs = kScaleOutputs,
                                                  .parameters = kScaleParameters})};

constexpr weft_plugin kPlugin = plugin({.name = "template",
                                        .version = "0.1.0",
                                        .license = "Apache-2.0",
                                        .help = "The plugin to start from.",
                                        .nodes = kNodes});

}  // namespace

// The one symbol that the library exports.
extern "C" const weft_plugin* weft_plugin_entry(uint32_t /*host_abi_version*/) { return &kPlugin; }
