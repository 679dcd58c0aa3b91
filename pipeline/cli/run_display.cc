#include "pipeline/cli/run_display.h"

#include <unistd.h>

#include <algorithm>

#include "pipeline/cli/byte_size.h"
#include "pipeline/cli/event_json.h"
#include "pipeline/cli/report.h"

namespace weft::cli {
namespace {

constexpr const char* kLevels[] = {"debug", "info", "warning", "error", "off"};  // from WEFT_LOG_DEBUG on

std::vector<StreamedOutput> streamed_outputs(const Graph& graph) {
  std::vector<StreamedOutput> outputs;
  for (const PipelineOutput& output : graph.outputs) {
    StreamedOutput streamed{output.name, output.type, {}, {}};
    if (output.source.node >= 0) {
      const Node& node = graph.nodes[static_cast<size_t>(output.source.node)];
      streamed.node = node.name;
      streamed.port = node.output_names[output.source.port];
    }
    outputs.push_back(std::move(streamed));
  }
  return outputs;
}

ProgressBars::Style progress_style(Messages messages, weft_log_level level, const Terminal& terminal) {
  if (messages == Messages::kJson || level > WEFT_LOG_INFO) return ProgressBars::Style::kNone;
  return terminal.interactive() ? ProgressBars::Style::kBars : ProgressBars::Style::kLines;
}

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>  // clang 14 does not deduce an aggregate's arguments itself
Overloaded(Functions...)->Overloaded<Functions...>;

}  // namespace

weft_log_level parse_log_level(const std::string& level) {
  const auto found = std::find(std::begin(kLevels), std::end(kLevels), level);
  return static_cast<weft_log_level>(WEFT_LOG_DEBUG + (found - std::begin(kLevels)));
}

std::vector<std::string> log_level_names() { return {std::begin(kLevels), std::end(kLevels)}; }

RunDisplay::RunDisplay(const Graph& graph, Messages messages, weft_log_level level)
    : messages_(messages),
      level_(level),
      bars_(progress_style(messages, level, error_), error_, graph.nodes.size()),
      outputs_(streamed_outputs(graph),
               out_.interactive() ? OutputStream::Controls::kShown : OutputStream::Controls::kKept,
               [this](std::string_view text) {
                 bars_.hide();
                 print(text);
               }) {}

void RunDisplay::on_event(const Event& event) {
  const std::lock_guard lock(mutex_);
  if (messages_ == Messages::kJson) {
    print(event_line(event));
  } else {
    show_event(event);
    // On a terminal that shows both, bars below an unfinished line of text would tear it apart.
    if (!(out_.interactive() && outputs_.within_line())) bars_.show();
  }
}

void RunDisplay::show_event(const Event& event) {
  std::visit(Overloaded{[&](const NodeStarted& e) { bars_.start(e.node); },
                        [&](const NodeFinished& e) {
                          outputs_.node_finished(e.node);
                          const bool cached = e.origin == NodeFinished::Origin::kCached;
                          bars_.end(e.node,
                                    cached ? "from the cache" : "done in " + format_duration(e.seconds));
                        },
                        [&](const NodeSkipped& e) { bars_.end(e.node, "skipped: " + e.reason); },
                        [&](const NodeFailed& e) { bars_.end(e.node, "failed"); },
                        [&](const TextPart& e) {
                          if (e.element == 0) outputs_.part(e.node, e.port, e.text);
                        },
                        [&](const PartsDiscarded& e) {
                          outputs_.discard(e.node);
                          if (level_ <= WEFT_LOG_WARNING) {
                            line_on_error(std::string(e.node) + ": attempt " + std::to_string(e.attempt) +
                                          " failed: " + to_string(e.error));
                          }
                        },
                        [&](const Progress& e) { bars_.update(e.node, e.done, e.total, e.unit); },
                        [&](const FileWritten& e) {
                          if (level_ <= WEFT_LOG_INFO) {
                            line_on_error(std::string(e.node) + ": wrote " + e.path + " (" +
                                          format_byte_size(e.size_bytes) + ")");
                          }
                        }},
             event);
}

void RunDisplay::log(weft_log_level level, const std::string& message) {
  if (level < level_) return;
  const std::lock_guard lock(mutex_);
  const size_t index =
      static_cast<size_t>(std::clamp<weft_log_level>(level, WEFT_LOG_DEBUG, WEFT_LOG_ERROR) - WEFT_LOG_DEBUG);
  line_on_error(std::string(kLevels[index]) + ": " + message);
}

void RunDisplay::line_on_error(const std::string& line) {
  bars_.hide();
  write_all(STDERR_FILENO,
            (out_.interactive() && outputs_.within_line() ? "\n" : "") + without_controls(line) + "\n");
  if (!(out_.interactive() && outputs_.within_line())) bars_.show();
}

void RunDisplay::finish(const RunResult& result) {
  const std::lock_guard lock(mutex_);
  bars_.hide();
  if (messages_ == Messages::kJson) {
    print(finished_line(result));
  } else {
    outputs_.finish(result.outputs_json);
  }
}

int RunDisplay::fail(const Error& error, int exit_code) {
  const std::lock_guard lock(mutex_);
  bars_.hide();
  if (messages_ == Messages::kJson) {
    print(failed_line(error, exit_code));
  } else {
    if (outputs_.within_line()) print("\n");
    report_error(error);
  }
  return exit_code;
}

}  // namespace weft::cli
