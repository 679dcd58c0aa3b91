// Nodes that go wrong, each in its way.
#include <weft/sdk/plugin.h>

#include <mutex>
#include <stdexcept>
#include <string>

#include "pipeline/run/testing/test_nodes.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft::testing {
namespace {

using sdk::Execution;
using sdk::node;
using sdk::parameter;
using sdk::Plan;
using sdk::Request;
using sdk::Specs;
using sdk::Value;

struct Fails : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    const Value x = request.input(0);
    const std::string key =
        std::string(request.parameters().get_text("key")) + std::string(x ? x.as_text() : "");
    const std::string only(request.parameters().get_text("only"));
    if (!only.empty() && (!x || x.as_text() != only))
      return request.set_output(0, request.host().make_text("fine"));
    if (Status status = request.emit_text(0, "try"); !status.ok()) return status;
    Observations& seen = observations();
    const std::lock_guard lock(seen.mutex);
    if (seen.failures[key]++ < request.parameters().get_int("times")) {
      const bool device = request.parameters().get_text("as") == "device";
      return Status(device ? StatusCode::kDeviceLost : StatusCode::kIoError, "made to fail")
          .hint("ask for fewer failures");
    }
    return {};
  }
};

struct Throws : Simple {
  using Simple::Simple;
  Status run(Request&, const Execution&) { throw std::runtime_error("a node that throws"); }
};

struct Silent : Simple {
  using Simple::Simple;
  Status run(Request&, const Execution&) { return {}; }
};

struct Twice : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    (void)request.set_output(0, request.host().make_int(1));
    (void)request.set_output(0, request.host().make_int(2));  // the refusal is ignored
    return {};
  }
};

struct Beyond : Simple {
  using Simple::Simple;
  Status prepare(const Specs&, const Plan& plan) {
    plan.set_output(0, sdk::bytes_spec(4));
    return {};
  }
  Status run(Request& request, const Execution&) {
    (void)request.set_output(0, request.host().make_text("five!"));
    return {};
  }
};

constexpr weft_parameter kFails[] = {
    parameter({.name = "times", .type = "int", .default_json = "1", .help = "How often."}),
    parameter({.name = "key", .type = "text", .default_json = "\"\"", .help = "Whose failures."}),
    parameter(
        {.name = "only", .type = "text", .default_json = "\"\"", .help = "Which input fails; empty: all."}),
    parameter(
        {.name = "as", .type = "text", .default_json = "\"io\"", .help = "io, or device: one is lost."})};

constexpr weft_node_type kNodes[] = {
    node<Fails>({.name = "test.fails",
                 .help = "A node.",
                 .inputs = kOptionalText,
                 .outputs = kTextOut,
                 .parameters = kFails}),
    node<Throws>({.name = "test.throws", .help = "A node.", .outputs = kIntOut}),
    node<Silent>({.name = "test.silent", .help = "A node.", .outputs = kIntOut}),
    node<Twice>({.name = "test.twice", .help = "A node.", .outputs = kIntOut}),
    node<Beyond>({.name = "test.beyond", .help = "A node.", .outputs = kTextOut}),
};

}  // namespace

std::span<const weft_node_type> failing_nodes() { return kNodes; }

}  // namespace weft::testing
