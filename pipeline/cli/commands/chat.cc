/// weft chat: a conversation with a language model in the terminal. A pipeline of one text.chat node, run once a turn; the
/// model stays loaded between turns.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "kernels/cpu/isa.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/conversation.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/pipeline_file.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/run_display.h"
#include "pipeline/cli/run_session.h"
#include "pipeline/cli/terminal.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model, system;
  int64_t max_tokens = 512;
  double temperature = 0.7;
  int64_t seed = -1;                  // below 0: another one each turn
  std::vector<std::string> pictures;  // files
  std::vector<std::string> parameters;
  HostSettings host;
};

constexpr char kHelp[] =
    "/clear         forget the conversation\n"
    "/system TEXT   instructions that stand before the conversation\n"
    "/exit          end (Ctrl-D does, too)\n"
    "Ctrl-C ends an answer.\n";

/// The pipeline that answers one turn.
Result<std::string> chat_pipeline(const Options& options) {
  std::error_code error;
  std::string path = options.model;
  if (std::filesystem::exists(path, error)) path = std::filesystem::absolute(path, error).string();
  // A conversation that outgrows the context goes on, without its middle.
  Json with{{"model", "model"},
            {"max_tokens", options.max_tokens},
            {"temperature", options.temperature},
            {"truncate", "middle"}};
  if (options.seed >= 0) with["seed"] = options.seed;
  for (const std::string& setting : options.parameters) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error{
          StatusCode::kInvalidArgument, "not a parameter", "--with", "name=value", "'" + setting + "'", {}};
    }
    const std::string text = setting.substr(equals + 1);
    const Json value = Json::parse(text, nullptr, false);
    with[setting.substr(0, equals)] = value.is_discarded() ? Json(text) : value;
  }
  Json pipeline{
      {"weft", 1},
      {"inputs", {{"messages", {{"type", "json"}}}}},
      {"models", {{"model", {{"path", path}}}}},
      {"nodes",
       {{"chat", {{"uses", "text.chat"}, {"in", {{"messages", "inputs.messages"}}}, {"with", with}}}}},
      {"outputs", {{"text", "chat.text"}}}};
  if (!options.pictures.empty()) {
    Json files = Json::array();
    for (const std::string& file : options.pictures)
      files.push_back(std::filesystem::absolute(file, error).string());
    pipeline["inputs"]["pictures"] = {{"type", "list<text>"}, {"default", std::move(files)}};
    pipeline["nodes"]["load"] = {
        {"uses", "image.load"}, {"for_each", "inputs.pictures"}, {"with", {{"path", "${inputs.pictures}"}}}};
    pipeline["nodes"]["chat"]["in"]["images"] = "load.image";
  }
  return pipeline.dump(-1, ' ', false, Json::error_handler_t::replace);
}

class Chat {
 public:
  explicit Chat(const Options& options)
      : options_(options),
        temporaries_(file_system_),
        interrupt_(temporaries_, [this](int signal) { return on_signal(signal); }) {
    conversation_.set_system(options.system);
    conversation_.set_pictures(options.pictures.size());
  }

  int talk() {
    if (const int code = open(); code != kSuccess) return code;
    const bool prompts = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
    if (prompts) print(options_.model + "; /help lists commands, Ctrl-D ends\n");
    for (std::string line;;) {
      if (prompts) print(prompt());
      if (!std::getline(std::cin, line) || printing_failed()) break;
      if (line == "/exit" || line == "/quit") return kSuccess;
      if (line.empty()) continue;
      if (is_command(line)) {
        obey(line);
        continue;
      }
      if (const int code = answer(line); code != kSuccess && !prompts) return code;
    }
    if (prompts) print("\n");
    return kSuccess;
  }

 private:
  std::string prompt() const { return out_.bold("> "); }

  /// Checks and prepares, so that a wrong model or file is reported before the first question.
  int open() {
    for (const std::string& file : options_.pictures) {
      std::error_code error;
      if (!std::filesystem::is_regular_file(file, error))
        return report_error(Status(StatusCode::kNotFound, "there is no such file").at(file));
    }
    const Result<std::string> pipeline = chat_pipeline(options_);
    if (!pipeline.ok()) return report_error(pipeline.status()), kUsage;
    catalog_ = find_plugins();
    ParsedPipeline parsed = parse_pipeline(*pipeline, "chat", *catalog_);
    if (parsed.graph == nullptr) {
      for (const Diagnostic& diagnostic : parsed.diagnostics) {
        report_error(
            Error{StatusCode::kInvalidArgument,
                  diagnostic.message,
                  {},
                  diagnostic.expected,
                  {},
                  diagnostic.nearest.empty() ? diagnostic.hint : "did you mean " + diagnostic.nearest + "?"});
      }
      return kUsage;
    }
    graph_ = std::move(parsed.graph);
    const weft_log_level shown = parse_log_level(options_.host.log_level);
    host_ = make_host(options_.host, temporaries_, [shown](weft_log_level level, const std::string& message) {
      if (level >= shown && level >= WEFT_LOG_WARNING) report_warning(message);
    });
    const Result<PreparedRun> prepared = prepare_run(*graph_, plugin_provider(), *host_, run());
    return prepared.ok() ? kSuccess : report_error(without_pipeline_places(prepared.error()));
  }

  RunOptions run() const {
    RunOptions run = run_options(options_.host);
    run.inputs["messages"] = InputValue{{}, conversation_.to_json()};
    run.manifest = RunOptions::WriteManifest::kNo;
    return run;
  }

  int answer(const std::string& question) {
    conversation_.add_user(question);
    token_.reset();
    answering_ = true;
    std::string text;
    const RunOptions options = run();
    Result<PreparedRun> prepared = prepare_run(*graph_, plugin_provider(), *host_, options);
    Status status = prepared.ok() ? Status() : prepared.status();
    if (prepared.ok()) {
      const Result<RunResult> result = execute(
          *prepared, options, [&](const Event& event) { show(event, text); }, &token_);
      status = result.status();
    }
    answering_ = false;
    if (!text.empty() && text.back() != '\n') print("\n");
    conversation_.add_answer(text);  // what was said before Ctrl-C was said
    if (status.ok() || status.code() == StatusCode::kCancelled) return kSuccess;
    return report_error(without_pipeline_places(status.error()));
  }

  void show(const Event& event, std::string& text) {
    const auto* part = std::get_if<TextPart>(&event);
    if (part == nullptr || part->port != "text") return;
    text += part->text;
    print(out_.interactive() ? without_controls(part->text) : part->text);
    if (printing_failed()) token_.cancel();
  }

  /// "/clear", "/system ..."; a path such as /etc/hosts is something to talk about.
  static bool is_command(std::string_view line) {
    const std::string_view word = line.substr(0, line.find(' '));
    return word.size() > 1 && word.front() == '/' &&
           std::ranges::all_of(word.substr(1), [](char c) { return c >= 'a' && c <= 'z'; });
  }

  void obey(const std::string& line) {
    if (line == "/help") {
      print(kHelp);
    } else if (line == "/clear") {
      conversation_.clear();
    } else if (line.starts_with("/system") && (line.size() == 7 || line[7] == ' ')) {
      conversation_.set_system(line.size() > 8 ? line.substr(8) : "");
    } else {
      report_warning(line.substr(0, line.find(' ')) + " is no command; /help lists them");
    }
  }

  Interrupt::Then on_signal(int signal) {
    if (signal != SIGINT) {
      token_.cancel();
      return Interrupt::Then::kEndProcess;
    }
    if (answering_) {
      token_.cancel();
    } else {
      write_all(STDOUT_FILENO, "\n(Ctrl-D ends)\n" + prompt());
    }
    return Interrupt::Then::kGoOn;
  }

  const Options& options_;
  const Terminal out_{STDOUT_FILENO};
  CancelToken token_;
  std::atomic<bool> answering_{false};
  FileSystem file_system_;
  TemporaryFiles temporaries_;
  Interrupt interrupt_;  // before anything that starts threads
  std::unique_ptr<const Catalog> catalog_;
  std::shared_ptr<const Graph> graph_;
  std::unique_ptr<Host> host_;
  Conversation conversation_;
};

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("MODEL", options->model, "A model file, or its name in a model folder (weft models)");
  arguments.option("--system", options->system, "TEXT", "Instructions that stand before the conversation");
  arguments.option("--image", options->pictures, "FILE",
                   "A picture to talk about, for a model that sees; may be given again");
  arguments.option("--max-tokens", options->max_tokens, 1, 1 << 24, "N",
                   "Most tokens of an answer; default: 512");
  arguments.option("--temperature", options->temperature, 0, 100, "T",
                   "Randomness; 0 always takes the likeliest token; default: 0.7");
  arguments.option("--seed", options->seed, 0, INT64_MAX, "N", "Makes answers repeatable");
  arguments.option("--with", options->parameters, "NAME=VALUE",
                   "A further parameter of text.chat, for example top_k=20");
  options->host.declare(arguments);
  return [options] {
    if (const Status isa = check_isa_request(); !isa.ok()) return report_error(isa), static_cast<int>(kUsage);
    return Chat(*options).talk();
  };
}

}  // namespace

const Command kChatCommand = {
    "chat", "a conversation with a language model",
    "Answers stream. Ctrl-C ends an answer, Ctrl-D the program. Without a terminal each line of standard "
    "input is a turn.",
    "weft chat SmolLM2-135M-Instruct.Q4_1.gguf\n"
    "weft chat SmolLM2-135M-Instruct.Q4_1.gguf --system \"Answer briefly.\" --seed 7\n"
    "weft chat llava-1.5-7b-hf --image photo.jpg\n"
    "echo \"Hello\" | weft chat SmolLM2-135M-Instruct.Q4_1.gguf --temperature 0",
    declare};

}  // namespace weft::cli
