// Nodes that take their time, alone and in batches.
#include <weft/abi/draft/previews.h>
#include <weft/sdk/plugin.h>

#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

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

struct Sleep : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    Observations& seen = observations();
    const int running = ++seen.now_running;
    int most = seen.most_running.load();
    while (most < running && !seen.most_running.compare_exchange_weak(most, running)) {
    }
    Status status = sleep_polling(request, request.parameters().get_int("ms"));
    --seen.now_running;
    return status.ok() ? request.set_output(0, request.host().make_int(1)) : status;
  }
};

struct Stubborn : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(request.parameters().get_int("ms")));
    return request.set_output(0, request.host().make_int(1));
  }
};

/// Completes its requests on a thread of its own, the last one first, after execute has returned.
class Later {
 public:
  static constexpr uint32_t kBatch = 8;
  static weft_status create(const weft_host* host, const weft_node_config*, void** node, weft_error*) {
    *node = new Later(host);
    return WEFT_OK;
  }
  static weft_status prepare(void*, const weft_spec*, size_t, weft_node_plan* plan, weft_error*) {
    plan->max_batch = kBatch;
    return WEFT_OK;
  }
  static weft_status execute(void* self, weft_request* const* requests, size_t n, const weft_execution*,
                             weft_error*) {
    auto& node = *static_cast<Later*>(self);
    if (node.thread_.joinable()) node.thread_.join();
    std::vector<weft_request*> batch(requests, requests + n);
    node.thread_ = std::thread([host = node.host_, batch] {
      for (auto request = batch.rbegin(); request != batch.rend(); ++request) {
        uint64_t size = 0;
        const weft_value* x = host->requests->input(*request, 0);
        const void* text = x ? host->values->get_bytes(x, &size, nullptr) : nullptr;
        weft_value* value = nullptr;
        host->values->make_bytes(text ? text : "", size, "text", nullptr, &value);
        host->requests->set_output(*request, 0, value);
        host->values->release(value);
        host->requests->complete(*request, WEFT_OK, nullptr);
      }
    });
    return WEFT_OK;
  }
  static void destroy(void* self) { delete static_cast<Later*>(self); }
  static constexpr weft_node_api kApi = {sizeof(weft_node_api), 0, create, prepare, execute, destroy};

 private:
  explicit Later(const weft_host* host) : host_(host) {}
  ~Later() {
    if (thread_.joinable()) thread_.join();
  }
  const weft_host* host_;
  std::thread thread_;
};

struct Batch : Simple {
  using Simple::Simple;
  Status prepare(const Specs&, const Plan& plan) {
    plan.set_max_batch(4);
    return {};
  }
  Status execute(std::span<Request> requests, const Execution&) {
    {
      const std::lock_guard lock(observations().mutex);
      observations().batch_sizes.push_back(requests.size());
    }
    for (Request& request : requests) {
      Status status = request.set_output(
          0, request.host().make_text("<" + std::string(request.input(0).as_text()) + ">"));
      request.complete(status);
    }
    return {};
  }
};

/// Its text as what it is making, for whoever looks.
void show_text(const Request& request) {
  const auto* previews = request.host().extension<weft_previews_api>(WEFT_PREVIEWS_ID);
  if (!previews || previews->wanted(previews->self) == 0) return;
  const std::string_view text = request.input(0).as_text();
  previews->show(previews->self, request.get(), "image/png", text.data(), text.size());
}

/// Holds its requests until there are n, and takes what becomes ready meanwhile. After ten seconds it gives up. Then shows the
/// text of each, tells all that it has, and answers.
struct Meet : Simple {
  using Simple::Simple;
  Status prepare(const Specs&, const Plan& plan) {
    plan.set_max_batch(16);
    return {};
  }
  Status execute(std::span<Request> requests, const Execution& execution) {
    std::vector<Request*> here;
    for (Request& request : requests) here.push_back(&request);
    const auto wanted = static_cast<size_t>(here[0]->parameters().get_int("n"));
    for (int i = 0; here.size() < wanted; ++i) {
      if (i == 10'000) return Status(StatusCode::kTimedOut, "nobody else came");
      for (Request* request : execution.more(wanted - here.size())) here.push_back(request);
      std::erase_if(here, [](Request* request) {
        if (!request->cancelled()) return false;
        request->complete(Request::cancelled_status());
        return true;
      });
      if (here.empty()) return {};
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    {
      const std::lock_guard lock(observations().mutex);
      observations().batch_sizes.push_back(here.size());
    }
    for (const Request* request : here) show_text(*request);
    for (Request* request : here) request->progress(1, 1, "shown");
    for (Request* request : here) request->complete(request->set_output(0, request->input(0)));
    return {};
  }
};

constexpr weft_parameter kMs[] = {
    parameter({.name = "ms", .type = "int", .default_json = "1", .unit = "ms", .help = "How long."})};
constexpr weft_parameter kN[] = {
    parameter({.name = "n", .type = "int", .default_json = "4", .help = "Elements."})};

constexpr weft_node_type raw_node(const char* name, const weft_node_api& api,
                                  std::span<const weft_port> inputs, std::span<const weft_port> outputs) {
  return {
      sizeof(weft_node_type), 1,       0, 0,   name, "A node.", inputs.data(), inputs.size(), outputs.data(),
      outputs.size(),         nullptr, 0, &api};
}

constexpr weft_node_type kNodes[] = {
    node<Sleep>({.name = "test.sleep",
                 .help = "A node.",
                 .inputs = kOptionalAny,
                 .outputs = kIntOut,
                 .parameters = kMs}),
    node<Stubborn>({.name = "test.stubborn", .help = "A node.", .outputs = kIntOut, .parameters = kMs}),
    raw_node("test.later", Later::kApi, kOptionalText, kTextOut),
    node<Batch>({.name = "test.batch", .help = "A node.", .inputs = kTextPort, .outputs = kTextOut}),
    node<Meet>(
        {.name = "test.meet", .help = "A node.", .inputs = kTextPort, .outputs = kTextOut, .parameters = kN}),
};

}  // namespace

std::span<const weft_node_type> waiting_nodes() { return kNodes; }

}  // namespace weft::testing
