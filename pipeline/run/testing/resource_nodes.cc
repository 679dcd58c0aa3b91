// Nodes that use what a host gives: files, workspaces, models.
#include <weft/sdk/device.h>
#include <weft/sdk/model.h>
#include <weft/sdk/plugin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>

#include "pipeline/run/testing/test_nodes.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft::testing {
namespace {

using sdk::Execution;
using sdk::node;
using sdk::NodeConfig;
using sdk::parameter;
using sdk::Plan;
using sdk::port;
using sdk::Request;
using sdk::Specs;

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

/// A model whose only weight is the number in its file, plus that in a second file beside it if "plus" names one. It says that it takes
/// 1000 bytes, of which a device can leave half on the CPU.
class Number {
 public:
  static weft_status open(const weft_host* host, const weft_model_source* source, void** model,
                          weft_error* error) {
    return sdk::barrier(error, [&]() -> Status {
      auto number = std::make_unique<Number>();
      std::ifstream(source->path) >> number->value;
      const sdk::ModelSource from(host, source);
      if (const auto place = sdk::device_named(from.parameters().get_text("device"))) number->device = *place;
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
  static weft_status estimate(void* model, weft_model_estimate* out, weft_error*) {
    const auto& number = *static_cast<Number*>(model);
    *out = sdk::model_estimate(kBytes - number.offloaded_bytes, 0, number.device, number.offloaded_bytes);
    return WEFT_OK;
  }
  static weft_status offload(void* model, uint64_t most_bytes, weft_error* error) {
    if (most_bytes < kBytes / 2) return sdk::to_c(Status(StatusCode::kOutOfMemory, "half at most"), error);
    static_cast<Number*>(model)->offloaded_bytes = kBytes - std::min(most_bytes, kBytes);
    return WEFT_OK;
  }
  static weft_status load(void* model, weft_stream*, weft_error*) {
    static_cast<Number*>(model)->loaded = 1;
    ++observations().models_loaded;
    return WEFT_OK;
  }
  static void evict(void* model) { static_cast<Number*>(model)->loaded = 0; }
  static void close(void* model) { delete static_cast<Number*>(model); }
  static constexpr uint64_t kBytes = 1000;
  int64_t value = 0;
  int32_t loaded = 0;
  weft_device device = sdk::kCpu;
  uint64_t offloaded_bytes = 0;
};

struct ModelNode {
  explicit ModelNode(const NodeConfig& config)
      : number(config.model<Number>("model")),
        workspace_bytes(config.parameters().get_int("workspace") +
                        config.parameters().get_int("each") * config.max_requests()) {}
  Status prepare(const Specs&, const Plan& plan) const {
    plan.set_device(number->device);
    plan.set_workspace_bytes(static_cast<uint64_t>(workspace_bytes));
    return {};
  }
  Status run(Request& request, const Execution&) {
    if (!number || !number->loaded) return Status(StatusCode::kInternal, "the model is not loaded");
    Status set = request.set_output(0, request.host().make_int(number->value));
    if (!set.ok()) return set;
    return request.set_output(1, request.host().make_int(static_cast<int64_t>(number->offloaded_bytes)));
  }
  Number* number = nullptr;
  int64_t workspace_bytes;
};

constexpr weft_port kPathOut[] = {port("path", "path", "A path.")};
constexpr weft_parameter kWrite[] = {
    parameter({.name = "path", .type = "text", .help = "Where.", .flags = WEFT_PARAMETER_PER_REQUEST}),
    parameter(
        {.name = "then", .type = "text", .default_json = "\"ok\"", .help = "ok, fail, wait or leave."})};
constexpr weft_parameter kPath[] = {parameter({.name = "path", .type = "path", .help = "Where."})};
constexpr weft_parameter kBytes[] = {
    parameter({.name = "bytes", .type = "int", .default_json = "1000", .help = "How many."})};
constexpr weft_port kModelOut[] = {port("y", "int", "A number."),
                                   port("offloaded", "int", "Bytes that the model has left on the CPU.")};
constexpr const char* kModelTypes[] = {"test.number", nullptr};
constexpr weft_parameter kModel[] = {
    parameter({.name = "model", .type = "model", .choices = kModelTypes, .help = "Which."}),
    parameter({.name = "workspace", .type = "int", .default_json = "0", .help = "Bytes, on its device."}),
    parameter({.name = "each", .type = "int", .default_json = "0", .help = "More for each request."})};

constexpr weft_node_type kNodes[] = {
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
    node<ModelNode>({.name = "test.model",
                     .help = "A node.",
                     .flags = WEFT_NODE_PURE,
                     .outputs = kModelOut,
                     .parameters = kModel}),
};

constexpr weft_parameter kOfNumber[] = {
    parameter({.name = "plus", .type = "text", .default_json = "\"\"", .help = "Another file."}),
    parameter({.name = "device", .type = "device", .help = "Where.", .flags = WEFT_PARAMETER_OPTIONAL})};
constexpr weft_model_type kModels[] = {{sizeof(weft_model_type), 1, "test.number", "A number.", kOfNumber,
                                        std::size(kOfNumber), Number::open, Number::estimate, Number::load,
                                        Number::evict, Number::close, Number::offload}};

}  // namespace

std::span<const weft_node_type> resource_nodes() { return kNodes; }
std::span<const weft_model_type> test_models() { return kModels; }

}  // namespace weft::testing
