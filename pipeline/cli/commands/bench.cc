/// weft bench text, embed, vision, image: how fast a language model reads and writes, an encoder turns texts or pictures into
/// vectors, or a diffusion model paints, on this machine (a pipeline of one bench node). weft bench kernels: bench_kernels.h.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "kernels/cpu/isa.h"
#include "pipeline/cli/bench_kernels.h"
#include "pipeline/cli/byte_size.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/pipeline_file.h"
#include "pipeline/cli/process_clock.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/run_display.h"
#include "pipeline/cli/run_session.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string what = "text", op, filter, peer, model;
  int64_t prompt_tokens = 512, gen_tokens = 64, batch = 1, tokens = 128, depth = 0, repetitions = 3;
  int64_t size = 0, steps = 2, buffer_mib = 256;
  std::string precision = "auto";
  HostSettings host;
  bool as_json = false;
};

bool is_image(const Options& options) { return options.what == "image"; }
bool is_embed(const Options& options) { return options.what == "embed"; }
bool is_vision(const Options& options) { return options.what == "vision"; }

std::string model_of(const Options& options) {
  if (!options.model.empty()) return options.model;
  if (is_embed(options)) return "all-MiniLM-L6-v2";
  if (is_vision(options)) return "emoji/clip";
  return is_image(options) ? "emoji" : "SmolLM2-135M-Instruct.Q4_1.gguf";
}

std::string bench_pipeline(const Options& options) {
  std::error_code error;
  std::string path = model_of(options);
  if (std::filesystem::exists(path, error)) path = std::filesystem::absolute(path, error).string();
  Json model{{"path", path}};
  Json with{{"model", "model"}, {"repetitions", options.repetitions}};
  if (is_image(options)) {
    model["precision"] = options.precision;
    with.update({{"size", options.size}, {"steps", options.steps}, {"n", options.batch}});
  } else if (is_vision(options)) {
    model["precision"] = options.precision;
    with["batch"] = options.batch;
  } else if (is_embed(options)) {
    model["precision"] = options.precision;
    with.update({{"batch", options.batch}, {"tokens", options.tokens}});
  } else {
    with.update({{"prompt_tokens", options.prompt_tokens},
                 {"gen_tokens", options.gen_tokens},
                 {"batch", options.batch},
                 {"depth", options.depth}});
  }
  const std::string node = is_embed(options) ? "text.embed_bench" : options.what + ".bench";
  const Json pipeline{{"weft", 1},
                      {"models", {{"model", model}}},
                      {"nodes", {{"bench", {{"uses", node}, {"with", with}}}}},
                      {"outputs", {{"report", "bench.report"}}}};
  return pipeline.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// The node's report with what only the process knows.
Json complete_report(const Json& measured, const Options& options, uint32_t threads) {
  Json report{{"model", std::filesystem::path(model_of(options)).filename().string()}};
  if (options.what == "text") {
    report.update({{"prompt_tokens", options.prompt_tokens},
                   {"gen_tokens", options.gen_tokens},
                   {"batch", options.batch},
                   {"depth", options.depth}});
  }
  report["device"] = options.host.device.empty() ? "cpu" : options.host.device;
  report["threads"] = threads;
  report["isa"] = to_string(active_isa());
  for (const auto& [name, value] : measured.items()) {
    if (name != "first_token_monotonic_ns") report[name] = value;
  }
  if (measured.contains("first_token_monotonic_ns")) {
    const int64_t first_token_ns =
        measured.at("first_token_monotonic_ns").get<int64_t>() - process_start_monotonic_ns();
    report["first_token_ms"] = static_cast<double>(first_token_ns) * 1e-6;
  }
  report["peak_rss_bytes"] = peak_resident_bytes();
  return report;
}

void print_text_report(const Json& report) {
  char line[160];
  std::snprintf(line, sizeof line, "prefill      %10.1f tokens/s\ndecode       %10.1f tokens/s\n",
                report.at("prefill_tps").get<double>(), report.at("decode_tps").get<double>());
  print(line);
  std::snprintf(line, sizeof line,
                "load         %10.1f ms\nfirst token  %10.1f ms after the start of the process\n",
                report.at("load_ms").get<double>(), report.at("first_token_ms").get<double>());
  print(line);
}

void print_embed_report(const Json& report) {
  char line[200];
  std::snprintf(line, sizeof line,
                "texts        %10.1f a second\ntokens       %10.1f a second\nload         %10.1f ms\n",
                report.at("texts_per_s").get<double>(), report.at("tokens_per_s").get<double>(),
                report.at("load_ms").get<double>());
  print(line);
}

void print_vision_report(const Json& report) {
  char line[160];
  std::snprintf(line, sizeof line, "pictures     %10.1f a second\nload         %10.1f ms\n",
                report.at("images_per_s").get<double>(), report.at("load_ms").get<double>());
  print(line);
}

void print_image_report(const Json& report) {
  char line[200];
  std::snprintf(
      line, sizeof line,
      "text         %10.3f s\nstep         %10.3f s, with guidance\ndecode       %10.3f s\nload         "
      "%10.1f ms\n",
      report.at("text_encode_s").get<double>(), report.at("step_s").get<double>(),
      report.at("vae_decode_s").get<double>(), report.at("load_ms").get<double>());
  print(line);
}

void print_report(const Json& report, const Options& options) {
  if (is_image(options)) print_image_report(report);
  else if (is_embed(options)) print_embed_report(report);
  else if (is_vision(options)) print_vision_report(report);
  else print_text_report(report);
  print("peak memory  " + format_byte_size(report.at("peak_rss_bytes").get<uint64_t>()) + "\n");
}

int bench(const Options& options) {
  Cancellation cancellation;
  if (const Status isa = check_isa_request(); !isa.ok()) return report_error(isa), kUsage;
  if (options.what == "kernels") {
    return bench_kernels({.op = options.op,
                          .filter = options.filter,
                          .peer = options.peer,
                          .device = options.host.device,
                          .threads = static_cast<uint32_t>(options.host.threads),
                          .buffer_bytes = options.buffer_mib << 20,
                          .as_json = options.as_json});
  }
  if (!options.op.empty()) {
    report_error(Status(StatusCode::kInvalidArgument, "only `weft bench kernels` takes the name of an op")
                     .got("'" + options.op + "'"));
    return kUsage;
  }
  const std::unique_ptr<const Catalog> catalog = find_plugins();
  const ParsedPipeline parsed = parse_pipeline(bench_pipeline(options), "bench", *catalog);
  if (parsed.graph == nullptr) {
    print_diagnostics(parsed, Messages::kText);
    return kInvalidPipeline;
  }
  const std::unique_ptr<Host> host = make_host(options.host, cancellation.temporaries(),
                                               [](weft_log_level level, const std::string& message) {
                                                 if (level >= WEFT_LOG_WARNING) report_warning(message);
                                               });
  RunOptions run = run_options(options.host);
  run.manifest = RunOptions::WriteManifest::kNo;
  Result<PreparedRun> prepared = prepare_run(*parsed.graph, plugin_provider(), *host, run);
  if (!prepared.ok()) return report_error(without_pipeline_places(prepared.error()));
  const Result<RunResult> result = execute(
      *prepared, run, [](const Event&) {}, &cancellation.token());
  if (const int interrupted = cancellation.exit_code(); interrupted != 0 && !result.ok()) return interrupted;
  if (!result.ok()) return report_error(without_pipeline_places(result.error()));
  const Json report =
      complete_report(Json::parse(result->outputs_json.at("report")), options, host->threads());
  if (options.as_json) {
    print(report.dump() + "\n");
  } else {
    print_report(report, options);
  }
  return kSuccess;
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.choice("WHAT", options->what, {"text", "embed", "vision", "image", "kernels"},
                   "What to measure: text, a language model; embed, an encoder of texts; vision, one of "
                   "pictures; image, a diffusion model; "
                   "kernels, the operations of the compute library");
  arguments.optional_positional("OP", options->op, "Of kernels, only this operation");
  arguments.option("--filter", options->filter, "TEXT",
                   "Of kernels, only cases whose name, or whose model, contains this");
  arguments.option(
      "--peer", options->peer, "COMMAND",
      "Of kernels, a program that does the same work, measured in turn: scripts/compare/pytorch_kernels");
  arguments.option("--buffer", options->buffer_mib, 1, 1 << 20, "MiB",
                   "Of kernels, the buffer that the peak of reading is measured with; default: 256");
  arguments.option(
      "--model", options->model, "MODEL",
      "A model file or folder, or its name in a model folder; default: SmolLM2, MiniLM, emoji/clip, emoji");
  arguments.option("--prompt-tokens", options->prompt_tokens, 1, 1 << 20, "N",
                   "Length of each prompt; default: 512");
  arguments.option("--gen-tokens", options->gen_tokens, 1, 1 << 20, "N",
                   "Tokens that each sequence writes; default: 64");
  arguments.option("--batch", options->batch, 1, 1024, "N",
                   "Sequences, texts or pictures at once; default: 1");
  arguments.option("--tokens", options->tokens, 1, 1 << 20, "N",
                   "Of embed, tokens of each text; default: 128");
  arguments.option("--depth", options->depth, 0, 1 << 20, "N",
                   "Context that writing starts from; default: 0");
  arguments.option("--size", options->size, 0, 4096, "PIXELS",
                   "Side of the pictures; default: what the model was trained on");
  arguments.option("--steps", options->steps, 1, 100, "N", "Steps to measure; default: 2");
  arguments.choice("--precision", options->precision, {"auto", "f32", "bf16"},
                   "What a diffusion model or an encoder computes in; default: auto");
  arguments.option("--repetitions", options->repetitions, 1, 100, "N",
                   "Measurements; the median is reported; default: 3");
  options->host.declare(arguments);
  arguments.flag("--json", options->as_json, "Print one JSON object");
  return [options] { return bench(*options); };
}

}  // namespace

const Command kBenchCommand = {
    "bench", "measure how fast models and operations run here",
    "prefill_tps: tokens of the prompt a second. decode_tps: generated tokens a second, from a context of "
    "--depth tokens. With "
    "--batch, totals over all sequences. first_token_ms counts from the start of the process. "
    "texts_per_s: texts of --tokens turned into vectors, --batch of them at once. "
    "images_per_s: pictures turned into vectors, --batch of them at once. "
    "step_s: one call of the UNet with guidance, for --batch pictures.",
    "weft bench text --model SmolLM2-135M-Instruct.Q4_1.gguf --threads 2\n"
    "weft bench text --model SmolLM2-135M-Instruct.Q4_1.gguf --batch 8 --json\n"
    "weft bench text --device cuda:0\n"
    "weft bench embed --batch 32 --tokens 128 --threads 2 --json\n"
    "weft bench vision --model emoji/clip --batch 8 --threads 2 --json\n"
    "weft bench image --model emoji --size 64 --steps 2 --threads 2 --json\n"
    "weft bench kernels matmul --threads 2",
    declare};

}  // namespace weft::cli
