/// weft._core: the C++ side of the Python package. weft/__init__.py is what users see.
#include <nanobind/nanobind.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <chrono>

#include "kernels/cpu/isa.h"
#include "pipeline/python/background_run.h"
#include "pipeline/python/convert.h"
#include "pipeline/python/raise.h"
#include "pipeline/python/session.h"
#include "pipeline/python/tensor.h"

namespace nb = nanobind;

namespace weft::python {
namespace {

constexpr std::chrono::milliseconds kSignalInterval{50};  // how long Ctrl-C may wait to be seen

/// To Python's logger "weft"; from any thread.
void log_to_python(weft_log_level level, const std::string& message) {
  const nb::gil_scoped_acquire guard;
  if (!guard.is_valid()) return;
  static constexpr const char* kMethods[] = {"debug", "info", "warning", "error"};
  const auto index = std::min<size_t>(static_cast<size_t>(level), std::size(kMethods) - 1);
  try {
    nb::module_::import_("logging").attr("getLogger")("weft").attr(kMethods[index])("%s", message);
  } catch (nb::python_error& error) {
    error.discard_as_unraisable("weft's log");
  }
}

std::shared_ptr<Session> make_session(const std::string& prefix, uint32_t threads, uint64_t max_memory,
                                      const std::vector<std::string>& models,
                                      const std::vector<std::string>& plugins) {
  if (Status isa = check_isa_request(); !isa.ok()) raise(isa.error());
  SessionOptions options{prefix, threads, max_memory, {models.begin(), models.end()}, plugins, log_to_python};
  const nb::gil_scoped_release released;
  return std::make_shared<Session>(std::move(options));
}

/// Raises if a node of the pipeline writes files and there is no folder for them.
void check_writes_nothing(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (node.subgraph) check_writes_nothing(*node.subgraph);
    if (!node.type.node || !node.type.node->has(WEFT_NODE_WRITES_FILES)) continue;
    raise_input_error(Error{StatusCode::kInvalidArgument,
                            "the node '" + node.name + "' (" + node.uses + ") writes files",
                            {},
                            "a folder for them",
                            "none",
                            "pass out=\"folder\""});
  }
}

struct RunArguments {
  std::string text, file;  // of the pipeline; text is read from file if it is empty
  nb::dict inputs;
  std::string out;  // empty: no files, no manifest
  bool cache, events;
};

std::unique_ptr<BackgroundRun> start(const std::shared_ptr<Session>& session, const RunArguments& arguments) {
  if (!session->belongs_to_this_process()) {
    raise(Error{StatusCode::kUnsupported,
                "the session was made before this process was forked",
                {},
                {},
                {},
                "make a weft.Session in the child, or start children with multiprocessing's \"spawn\""});
  }
  ParsedPipeline parsed;
  {
    const nb::gil_scoped_release released;
    parsed = arguments.text.empty() ? parse_pipeline_file(arguments.file, session->catalog())
                                    : parse_pipeline(arguments.text, arguments.file, session->catalog());
  }
  if (!parsed.graph) raise(parsed.diagnostics);
  RunOptions options;
  options.inputs = inputs_from_python(*parsed.graph, arguments.inputs, *session);
  if (arguments.out.empty()) {
    check_writes_nothing(*parsed.graph);
    options.manifest = RunOptions::WriteManifest::kNo;
  } else {
    options.out_folder = arguments.out;
  }
  options.max_memory_bytes = session->max_memory_bytes();
  options.isa_level = to_string(active_isa());
  options.cache = arguments.cache ? session->cache() : nullptr;
  options.sources = std::move(parsed.sources);
  options.max_json_elements = 0;  // outputs are read as values
  using Events = BackgroundRun::Events;
  return std::make_unique<BackgroundRun>(session, std::move(parsed.graph), std::move(options),
                                         arguments.events ? Events::kKeep : Events::kDrop);
}

/// Calls `step` without the interpreter's lock until it says that it is done, and lets signal handlers run in between.
template <typename Step>
void repeat_interruptibly(Step step) {
  for (;;) {
    {
      const nb::gil_scoped_release released;
      if (step()) return;
    }
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
  }
}

nb::object next_event(BackgroundRun& run) {
  std::optional<KeptEvent> event;
  repeat_interruptibly([&] { return (event = run.next_event(kSignalInterval)) || run.drained(); });
  return event ? to_python(*event) : nb::none();
}

bool wait(BackgroundRun& run, double timeout_s) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(timeout_s);
  bool ended = false;
  repeat_interruptibly(
      [&] { return (ended = run.wait(kSignalInterval)) || (timeout_s >= 0 && Clock::now() >= end); });
  return ended;
}

nb::dict result_of(const BackgroundRun& run) {
  const Result<RunResult>& result = run.result();
  if (!result.ok()) raise(result.error());
  return to_python(*result, run.session());
}

/// Waits for the run's thread, which may need the interpreter's lock to end.
struct ReleasingDelete {
  void operator()(BackgroundRun* run) const {
    const nb::gil_scoped_release released;
    delete run;
  }
};
using RunHandle = std::unique_ptr<BackgroundRun, ReleasingDelete>;

}  // namespace

/// What Python holds of a run.
struct RunObject {
  RunHandle run;
};

NB_MODULE(_core, module) {
  module.doc() = "The C++ side of weft; not for direct use.";
  bind_tensor(module);
  nb::class_<Session>(module, "Session")
      .def(nb::new_(&make_session), nb::arg("prefix"), nb::arg("threads"), nb::arg("max_memory"),
           nb::arg("models"), nb::arg("plugins"))
      .def("release_models", &Session::release_models, nb::call_guard<nb::gil_scoped_release>())
      .def("belongs_to_this_process", &Session::belongs_to_this_process)
      .def(
          "start",
          [](const std::shared_ptr<Session>& session, std::string text, std::string file, nb::dict inputs,
             std::string out, bool cache, bool events) {
            return RunObject{RunHandle(start(session, {std::move(text), std::move(file), std::move(inputs),
                                                       std::move(out), cache, events})
                                           .release())};
          },
          nb::arg("text"), nb::arg("file"), nb::arg("inputs"), nb::arg("out"), nb::arg("cache"),
          nb::arg("events"),
          nb::sig(
              "def start(self, text: str, file: str, inputs: dict[str, typing.Any], out: str, cache: bool, "
              "events: bool) -> Run"));
  nb::class_<RunObject>(module, "Run")
      .def(
          "next_event", [](RunObject& self) { return next_event(*self.run); },
          nb::sig("def next_event(self) -> typing.Any"))
      .def("cancel", [](RunObject& self) { self.run->cancel(); })
      .def(
          "wait", [](RunObject& self, double timeout_s) { return wait(*self.run, timeout_s); },
          nb::arg("timeout_s"))
      .def(
          "result", [](RunObject& self) { return result_of(*self.run); },
          nb::sig("def result(self) -> dict[str, typing.Any]"));
}

}  // namespace weft::python
