// Nodes that make values of others.
#include <weft/sdk/plugin.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "pipeline/run/testing/test_nodes.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft::testing {
namespace {

using sdk::Execution;
using sdk::node;
using sdk::NodeConfig;
using sdk::optional_port;
using sdk::parameter;
using sdk::Plan;
using sdk::port;
using sdk::Request;
using sdk::Specs;
using sdk::Value;

struct Noop : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    const Value x = request.input(0);
    return x ? request.set_output(0, x) : request.set_output(0, request.host().make_int(0));
  }
};

struct Int : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    return request.set_output(0, request.host().make_int(request.parameters().get_int("value")));
  }
};

struct Text : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    const Value text = request.input(0);
    std::string result(text ? text.as_text() : "");
    result += request.parameters().get_text("suffix");
    return request.set_output(0, request.host().make_text(result));
  }
};

struct Split : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    std::istringstream words{std::string(request.parameters().get_text("text"))};
    std::vector<Value> items;
    for (std::string word; words >> word;) items.push_back(*request.host().make_text(word));
    return request.set_output(0, request.host().make_list(items, "text"));
  }
};

struct Join : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    const Value items = request.input(0);
    std::string text;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) text += request.parameters().get_text("separator");
      text += items.item(i).as_text();
    }
    return request.set_output(0, request.host().make_text(text));
  }
};

struct Seeded : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    return request.set_output(0, request.host().make_int(request.parameters().get_int("seed")));
  }
};

/// The day of the run, in days.
struct Today {
  explicit Today(const NodeConfig& config) : days(config.today_seconds() / 86400) {}
  Status prepare(const Specs&, const Plan&) { return {}; }
  Status run(Request& request, const Execution&) {
    ++observations().pure_executions;
    return request.set_output(0, request.host().make_int(days));
  }
  int64_t days;
};

struct Compare : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    return request.set_output(
        0, request.host().make_bool(request.input(0).as_int() > request.parameters().get_int("than")));
  }
};

struct Maybe : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    if (!request.parameters().get_bool("set")) return {};
    return request.set_output(0, request.host().make_int(1));
  }
};

struct Merge : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    std::string text = std::string(request.input(0) ? "a" : "") + (request.input(1) ? "b" : "");
    return request.set_output(0, request.host().make_text(text.empty() ? "none" : text));
  }
};

struct Stream : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    const std::string text(request.parameters().get_text("text"));
    for (size_t i = 0; i < text.size(); i += 3) {
      if (Status status = request.emit_text(0, text.substr(i, 3)); !status.ok()) return status;
      request.progress(static_cast<int64_t>(i), static_cast<int64_t>(text.size()), "bytes");
    }
    return {};
  }
};

struct Pure : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    ++observations().pure_executions;
    const Value x = request.input(0);
    return request.set_output(
        0, request.host().make_int((x ? x.as_int() : 0) + request.parameters().get_int("add")));
  }
};

void note_address(const void* address) {
  const std::lock_guard lock(observations().mutex);
  observations().addresses.push_back(address);
}

struct MakeTensor : Simple {
  explicit MakeTensor(const NodeConfig& config) : Simple(config), n_(config.parameters().get_int("n")) {}
  Status prepare(const Specs&, const Plan& plan) {
    const int64_t shape[] = {n_};
    plan.set_output(0, sdk::tensor_spec(WEFT_DTYPE_F32, shape));
    return {};
  }
  Status run(Request& request, const Execution& execution) {
    const int64_t shape[] = {request.parameters().get_int("n")};
    auto tensor = request.host().allocate_tensor(WEFT_DTYPE_F32, shape, execution.stream(), "test");
    if (!tensor.ok()) return tensor.status();
    for (int64_t i = 0; i < shape[0]; ++i) tensor->data<float>()[i] = 1.0f;
    note_address(tensor->data<float>());
    return request.set_output(0, request.host().make_tensor(tensor->buffer, tensor->view));
  }

 private:
  int64_t n_;
};

/// Output "ones_4" is a tensor of four ones.
struct Ones {
  static Result<std::unique_ptr<Ones>> create(const NodeConfig& config) {
    auto node = std::make_unique<Ones>();
    for (size_t port = 0; port < config.n_outputs(); ++port) {
      const std::string name(config.output_name(port));
      if (!name.starts_with("ones_"))
        return Status(StatusCode::kInvalidArgument, "there is no output '" + name + "'")
            .expected("ones_4, say");
      node->counts_.push_back(std::stoll(name.substr(5)));
    }
    return node;
  }
  Status prepare(const Specs&, const Plan& plan) {
    for (size_t port = 0; port < counts_.size(); ++port)
      plan.set_output(port, sdk::tensor_spec(WEFT_DTYPE_F32, {&counts_[port], 1}));
    return {};
  }
  Status run(Request& request, const Execution& execution) {
    ++observations().pure_executions;
    for (size_t port = 0; port < counts_.size(); ++port) {
      auto tensor =
          request.host().allocate_tensor(WEFT_DTYPE_F32, {&counts_[port], 1}, execution.stream(), "ones");
      if (!tensor.ok()) return tensor.status();
      std::fill_n(tensor->data<float>(), counts_[port], 1.0f);
      Status set = request.set_output(port, request.host().make_tensor(tensor->buffer, tensor->view));
      if (!set.ok()) return set;
    }
    return {};
  }

 private:
  std::vector<int64_t> counts_;
};

struct Total : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    const Value input = request.input(0);
    const weft_tensor tensor = input.as_tensor();
    note_address(tensor.data);
    double sum = 0;
    for (int64_t i = 0; i < sdk::element_count(tensor); ++i) sum += static_cast<const float*>(tensor.data)[i];
    return request.set_output(0, request.host().make_float(sum));
  }
};

constexpr weft_port kOptionalInt[] = {optional_port("x", "int", "A number.")};
constexpr weft_port kInt[] = {port("x", "int", "A number.")};
constexpr weft_port kBoolOut[] = {port("yes", "bool", "Whether it is.")};
constexpr weft_port kOptionalTextPort[] = {optional_port("text", "text", "A text.")};
constexpr weft_port kItems[] = {port("items", "list<text>", "Texts.")};
constexpr weft_port kMaybeOut[] = {optional_port("y", "int", "A number, or nothing.")};
constexpr weft_port kTwoAny[] = {optional_port("a", "any", "Anything."),
                                 optional_port("b", "any", "Anything.")};
constexpr weft_port kPureIn[] = {optional_port("x", "int", "A number."),
                                 optional_port("t", "text", "A text.")};
constexpr weft_port kTensorPort[] = {port("t", "tensor", "A tensor.")};
constexpr weft_port kFloatOut[] = {port("y", "float", "A number.")};
constexpr weft_parameter kValue[] = {
    parameter({.name = "value", .type = "int", .default_json = "0", .help = "A number."})};
constexpr weft_parameter kSuffix[] = {parameter({.name = "suffix",
                                                 .type = "text",
                                                 .default_json = "\"\"",
                                                 .help = "Appended.",
                                                 .flags = WEFT_PARAMETER_PER_REQUEST})};
constexpr weft_parameter kText[] = {
    parameter({.name = "text", .type = "text", .default_json = "\"\"", .help = "A text."})};
constexpr weft_parameter kSeparator[] = {
    parameter({.name = "separator", .type = "text", .default_json = "\" \"", .help = "Between."})};
constexpr weft_parameter kSeed[] = {parameter({.name = "seed", .type = "seed", .help = "A seed."})};
constexpr weft_parameter kThan[] = {
    parameter({.name = "than", .type = "int", .default_json = "0", .help = "A bound."})};
constexpr weft_parameter kSet[] = {
    parameter({.name = "set", .type = "bool", .default_json = "false", .help = "Whether."})};
constexpr weft_parameter kAdd[] = {
    parameter({.name = "add", .type = "int", .default_json = "0", .help = "Added."})};
constexpr weft_parameter kN[] = {
    parameter({.name = "n", .type = "int", .default_json = "4", .help = "Elements."})};

constexpr weft_node_type kNodes[] = {
    node<Noop>({.name = "test.noop", .help = "A node.", .inputs = kOptionalInt, .outputs = kIntOut}),
    node<Int>({.name = "test.int", .help = "A node.", .outputs = kIntOut, .parameters = kValue}),
    node<Text>({.name = "test.text",
                .help = "A node.",
                .inputs = kOptionalTextPort,
                .outputs = kTextOut,
                .parameters = kSuffix}),
    node<Split>({.name = "test.split", .help = "A node.", .outputs = kItems, .parameters = kText}),
    node<Join>({.name = "test.join",
                .help = "A node.",
                .inputs = kItems,
                .outputs = kTextOut,
                .parameters = kSeparator}),
    node<Seeded>({.name = "test.seeded",
                  .help = "A node.",
                  .flags = WEFT_NODE_PURE,
                  .outputs = kIntOut,
                  .parameters = kSeed}),
    node<Today>({.name = "test.today", .help = "A node.", .flags = WEFT_NODE_PURE, .outputs = kIntOut}),
    node<Compare>({.name = "test.compare",
                   .help = "A node.",
                   .inputs = kInt,
                   .outputs = kBoolOut,
                   .parameters = kThan}),
    node<Maybe>({.name = "test.maybe", .help = "A node.", .outputs = kMaybeOut, .parameters = kSet}),
    node<Merge>({.name = "test.merge", .help = "A node.", .inputs = kTwoAny, .outputs = kTextOut}),
    node<Stream>({.name = "test.stream", .help = "A node.", .outputs = kTextOut, .parameters = kText}),
    node<Pure>({.name = "test.pure",
                .help = "A node.",
                .flags = WEFT_NODE_PURE,
                .inputs = kPureIn,
                .outputs = kIntOut,
                .parameters = kAdd}),
    node<MakeTensor>({.name = "test.tensor", .help = "A node.", .outputs = kTensorPort, .parameters = kN}),
    node<Ones>({.name = "test.ones", .help = "A node.", .flags = WEFT_NODE_PURE | WEFT_NODE_EXTRA_OUTPUTS}),
    node<Total>({.name = "test.total", .help = "A node.", .inputs = kTensorPort, .outputs = kFloatOut}),
};

}  // namespace

std::span<const weft_node_type> value_nodes() { return kNodes; }

}  // namespace weft::testing
