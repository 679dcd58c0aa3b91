#include "pipeline/run/testing/test_plugin.h"

#include <weft/abi/draft/previews.h>
#include <weft/sdk/plugin.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "pipeline/loader/descriptor_reader.h"

namespace weft::testing {
namespace {

using sdk::Execution;
using sdk::NodeConfig;
using sdk::Plan;
using sdk::Request;
using sdk::Specs;
using sdk::Value;

/// Unbounded outputs, batches of one.
struct Simple {
  explicit Simple(const NodeConfig&) {}
  Status prepare(const Specs&, const Plan&) { return {}; }
};

/// Sleeps in steps of a millisecond; kCancelled as soon as the request is.
Status sleep_polling(Request& request, int64_t ms) {
  for (int64_t i = 0; i < ms; ++i) {
    if (request.cancelled()) return Request::cancelled_status();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return {};
}

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

struct Write : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    auto file = request.begin_output(std::string(request.parameters().get_text("path")));
    if (!file.ok()) return file.status();
    const std::string_view text = request.input(0).as_text();
    std::FILE* stream = std::fopen(file->temporary().c_str(), "wb");
    if (!stream) return Status(StatusCode::kIoError, "the temporary cannot be opened").at(file->temporary());
    const bool whole = std::fwrite(text.data(), 1, text.size(), stream) == text.size();
    if (std::fclose(stream) != 0 || !whole) {
      return Status(StatusCode::kIoError, "the temporary cannot be written").at(file->temporary());
    }
    const std::string then(request.parameters().get_text("then"));
    if (then == "fail") return Status(StatusCode::kIoError, "made to fail");
    if (then == "wait") {
      Status status = sleep_polling(request, 10'000);
      if (!status.ok()) return status;
    }
    if (then == "leave") return request.set_output(0, request.host().make_path("nowhere"));
    auto path = file->commit();
    if (!path.ok()) return path.status();
    return request.set_output(0, request.host().make_path(*path));
  }
};

struct Read : Simple {
  using Simple::Simple;
  Status run(Request& request, const Execution&) {
    auto path = request.resolve_input(std::string(request.parameters().get_text("path")));
    if (!path.ok()) return path.status();
    std::ifstream stream(*path, std::ios::binary);
    return request.set_output(
        0, request.host().make_text(std::string{std::istreambuf_iterator<char>(stream), {}}));
  }
};

/// Fills its workspace with a pattern of its own: two nodes that share bytes at one time would see it.
class Scratch {
 public:
  explicit Scratch(const NodeConfig& config) : bytes_(config.parameters().get_int("bytes")) {
    for (const char c : std::string_view(config.name()))
      pattern_ = static_cast<unsigned char>(pattern_ * 31 + c);
  }
  Status prepare(const Specs&, const Plan& plan) const {
    plan.set_workspace_bytes(static_cast<uint64_t>(bytes_));
    return {};
  }
  Status run(Request& request, const Execution& execution) const {
    auto* bytes = static_cast<unsigned char*>(execution.workspace());
    if (execution.workspace_bytes() != static_cast<uint64_t>(bytes_) ||
        reinterpret_cast<uintptr_t>(bytes) % 64 != 0) {
      return Status(StatusCode::kInternal, "not the workspace that was asked for");
    }
    std::memset(bytes, pattern_, static_cast<size_t>(bytes_));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    for (int64_t i = 0; i < bytes_; ++i) {
      if (bytes[i] != pattern_) return Status(StatusCode::kInternal, "another node wrote into the workspace");
    }
    return request.set_output(0, request.host().make_int(bytes_));
  }

 private:
  int64_t bytes_;
  unsigned char pattern_ = 7;
};

/// A model whose only weight is the number in its file, plus that in a second file beside it if "plus" names one.
class Number {
 public:
  static weft_status open(const weft_host* host, const weft_model_source* source, void** model,
                          weft_error* error) {
    return sdk::barrier(error, [&]() -> Status {
      auto number = std::make_unique<Number>();
      std::ifstream(source->path) >> number->value;
      const sdk::ModelSource from(host, source);
      if (const std::string plus(from.parameters().get_text("plus")); !plus.empty()) {
        const std::string path = std::filesystem::path(source->path).replace_filename(plus);
        auto hash = from.add_file(path);
        if (!hash.ok()) return hash.status();
        int64_t more = 0;
        std::ifstream(path) >> more;
        number->value += more;
      }
      *model = number.release();
      return {};
    });
  }
  static weft_status estimate(void*, weft_model_estimate* out, weft_error*) {
    out->resident_bytes = 1000;
    return WEFT_OK;
  }
  static weft_status load(void* model, weft_stream*, weft_error*) {
    static_cast<Number*>(model)->loaded = 1;
    ++observations().models_loaded;
    return WEFT_OK;
  }
  static void evict(void* model) { static_cast<Number*>(model)->loaded = 0; }
  static void close(void* model) { delete static_cast<Number*>(model); }
  int64_t value = 0;
  int32_t loaded = 0;
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

struct ModelNode {
  explicit ModelNode(const NodeConfig& config) : number(config.model<Number>("model")) {}
  Status prepare(const Specs&, const Plan&) { return {}; }
  Status run(Request& request, const Execution&) {
    if (!number || !number->loaded) return Status(StatusCode::kInternal, "the model is not loaded");
    return request.set_output(0, request.host().make_int(number->value));
  }
  Number* number = nullptr;
};

using sdk::node;
using sdk::optional_port;
using sdk::parameter;
using sdk::port;

constexpr weft_port kIntOut[] = {port("y", "int", "A number.")};
constexpr weft_port kTextOut[] = {port("text", "text", "A text.")};
constexpr weft_port kOptionalInt[] = {optional_port("x", "int", "A number.")};
constexpr weft_port kOptionalAny[] = {optional_port("x", "any", "Anything.")};
constexpr weft_port kOptionalText[] = {optional_port("x", "text", "A text.")};
constexpr weft_port kInt[] = {port("x", "int", "A number.")};
constexpr weft_port kBoolOut[] = {port("yes", "bool", "Whether it is.")};
constexpr weft_port kTextPort[] = {port("text", "text", "A text.")};
constexpr weft_port kOptionalTextPort[] = {optional_port("text", "text", "A text.")};
constexpr weft_port kItems[] = {port("items", "list<text>", "Texts.")};
constexpr weft_port kMaybeOut[] = {optional_port("y", "int", "A number, or nothing.")};
constexpr weft_port kTwoAny[] = {optional_port("a", "any", "Anything."),
                                 optional_port("b", "any", "Anything.")};
constexpr weft_port kPureIn[] = {optional_port("x", "int", "A number."),
                                 optional_port("t", "text", "A text.")};
constexpr weft_port kTensorPort[] = {port("t", "tensor", "A tensor.")};
constexpr weft_port kFloatOut[] = {port("y", "float", "A number.")};
constexpr weft_port kPathOut[] = {port("path", "path", "A path.")};

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
constexpr weft_parameter kFails[] = {
    parameter({.name = "times", .type = "int", .default_json = "1", .help = "How often."}),
    parameter({.name = "key", .type = "text", .default_json = "\"\"", .help = "Whose failures."}),
    parameter(
        {.name = "only", .type = "text", .default_json = "\"\"", .help = "Which input fails; empty: all."}),
    parameter(
        {.name = "as", .type = "text", .default_json = "\"io\"", .help = "io, or device: one is lost."})};
constexpr weft_parameter kMs[] = {
    parameter({.name = "ms", .type = "int", .default_json = "1", .unit = "ms", .help = "How long."})};
constexpr weft_parameter kAdd[] = {
    parameter({.name = "add", .type = "int", .default_json = "0", .help = "Added."})};
constexpr weft_parameter kN[] = {
    parameter({.name = "n", .type = "int", .default_json = "4", .help = "Elements."})};
constexpr weft_parameter kWrite[] = {
    parameter({.name = "path", .type = "text", .help = "Where.", .flags = WEFT_PARAMETER_PER_REQUEST}),
    parameter(
        {.name = "then", .type = "text", .default_json = "\"ok\"", .help = "ok, fail, wait or leave."})};
constexpr weft_parameter kPath[] = {parameter({.name = "path", .type = "path", .help = "Where."})};
constexpr weft_parameter kBytes[] = {
    parameter({.name = "bytes", .type = "int", .default_json = "1000", .help = "How many."})};
constexpr const char* kModelTypes[] = {"test.number", nullptr};
constexpr weft_parameter kModel[] = {
    parameter({.name = "model", .type = "model", .choices = kModelTypes, .help = "Which."})};

constexpr weft_node_type raw_node(const char* name, const weft_node_api& api,
                                  std::span<const weft_port> inputs, std::span<const weft_port> outputs) {
  return {
      sizeof(weft_node_type), 1,       0, 0,   name, "A node.", inputs.data(), inputs.size(), outputs.data(),
      outputs.size(),         nullptr, 0, &api};
}

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
    node<Compare>({.name = "test.compare",
                   .help = "A node.",
                   .inputs = kInt,
                   .outputs = kBoolOut,
                   .parameters = kThan}),
    node<Maybe>({.name = "test.maybe", .help = "A node.", .outputs = kMaybeOut, .parameters = kSet}),
    node<Merge>({.name = "test.merge", .help = "A node.", .inputs = kTwoAny, .outputs = kTextOut}),
    node<Stream>({.name = "test.stream", .help = "A node.", .outputs = kTextOut, .parameters = kText}),
    node<Fails>({.name = "test.fails",
                 .help = "A node.",
                 .inputs = kOptionalText,
                 .outputs = kTextOut,
                 .parameters = kFails}),
    node<Throws>({.name = "test.throws", .help = "A node.", .outputs = kIntOut}),
    node<Silent>({.name = "test.silent", .help = "A node.", .outputs = kIntOut}),
    node<Twice>({.name = "test.twice", .help = "A node.", .outputs = kIntOut}),
    node<Beyond>({.name = "test.beyond", .help = "A node.", .outputs = kTextOut}),
    node<Sleep>({.name = "test.sleep",
                 .help = "A node.",
                 .inputs = kOptionalAny,
                 .outputs = kIntOut,
                 .parameters = kMs}),
    node<Stubborn>({.name = "test.stubborn", .help = "A node.", .outputs = kIntOut, .parameters = kMs}),
    raw_node("test.later", Later::kApi, kOptionalText, kTextOut),
    node<Meet>(
        {.name = "test.meet", .help = "A node.", .inputs = kTextPort, .outputs = kTextOut, .parameters = kN}),
    node<Batch>({.name = "test.batch", .help = "A node.", .inputs = kTextPort, .outputs = kTextOut}),
    node<Pure>({.name = "test.pure",
                .help = "A node.",
                .flags = WEFT_NODE_PURE,
                .inputs = kPureIn,
                .outputs = kIntOut,
                .parameters = kAdd}),
    node<MakeTensor>({.name = "test.tensor", .help = "A node.", .outputs = kTensorPort, .parameters = kN}),
    node<Ones>({.name = "test.ones", .help = "A node.", .flags = WEFT_NODE_PURE | WEFT_NODE_EXTRA_OUTPUTS}),
    node<Total>({.name = "test.total", .help = "A node.", .inputs = kTensorPort, .outputs = kFloatOut}),
    node<Write>({.name = "test.write",
                 .help = "A node.",
                 .flags = WEFT_NODE_WRITES_FILES,
                 .inputs = kTextPort,
                 .outputs = kPathOut,
                 .parameters = kWrite}),
    node<Read>({.name = "test.read",
                .help = "A node.",
                .flags = WEFT_NODE_READS_FILES,
                .outputs = kTextOut,
                .parameters = kPath}),
    node<Scratch>({.name = "test.scratch",
                   .help = "A node.",
                   .inputs = kOptionalAny,
                   .outputs = kIntOut,
                   .parameters = kBytes}),
    node<Today>({.name = "test.today", .help = "A node.", .flags = WEFT_NODE_PURE, .outputs = kIntOut}),
    node<ModelNode>({.name = "test.model",
                     .help = "A node.",
                     .flags = WEFT_NODE_PURE,
                     .outputs = kIntOut,
                     .parameters = kModel}),
};
constexpr weft_parameter kPlus[] = {
    parameter({.name = "plus", .type = "text", .default_json = "\"\"", .help = "Another file."})};
constexpr weft_model_type kModels[] = {{sizeof(weft_model_type), 1, "test.number", "A number.", kPlus, 1,
                                        Number::open, Number::estimate, Number::load, Number::evict,
                                        Number::close, nullptr}};
constexpr weft_plugin kPlugin = sdk::plugin({.name = "test",
                                             .version = "0.1.0",
                                             .license = "Apache-2.0",
                                             .help = "Nodes for tests.",
                                             .nodes = kNodes,
                                             .models = kModels});

}  // namespace

void Observations::clear() {
  const std::lock_guard lock(mutex);
  failures.clear();
  batch_sizes.clear();
  addresses.clear();
  pure_executions = now_running = most_running = models_loaded = 0;
}

Observations& observations() {
  static Observations seen;
  return seen;
}

const weft_plugin& test_plugin() { return kPlugin; }

const Catalog& test_catalog() {
  static const Catalog catalog = [] {
    PluginDescriptor descriptor = read_descriptor(&kPlugin).descriptor;
    descriptor.path = "/proc/self/exe";
    descriptor.sha256 = std::string(64, '7');
    return Catalog({descriptor}, {});
  }();
  return catalog;
}

PluginProvider test_provider() {
  return [](const PluginDescriptor&) -> Result<const weft_plugin*> { return &kPlugin; };
}

}  // namespace weft::testing
