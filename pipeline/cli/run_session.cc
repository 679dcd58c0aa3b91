#include "pipeline/cli/run_session.h"

#include "kernels/cpu/isa.h"
#include "pipeline/cli/run_display.h"
#include "pipeline/files/folders.h"
#include "pipeline/loader/plugin_library.h"

namespace weft::cli {

void HostSettings::declare(Arguments& arguments) {
  arguments.option("--threads", threads, 1, 256, "N",
                   "Threads to use; default: all that the process may use");
  arguments.option(
      "--device", device, "DEVICE",
      "Where models are that do not say it themselves: cpu, cuda:0; default: what the pipeline says");
  arguments.bytes("--max-memory", max_memory_bytes, "Refuse a run whose plan needs more, for example 2GiB");
  arguments.choice("--log-level", log_level, log_level_names(),
                   "Messages to show; progress from info on; default: info");
}

void HostSettings::declare_previews(Arguments& arguments, Previews previews) {
  arguments.option("--previews", preview_folder, "FOLDER",
                   previews == Previews::kOfRun
                       ? "Show what is being painted: NODE.png there, new at every step"
                       : "Show what is being painted: ITEM/NODE.png there while the item is at work");
}

Cancellation::Cancellation()
    : temporaries_(file_system_), interrupt_(temporaries_, [this](int) {
        token_.cancel();
        return Interrupt::Then::kEndProcess;
      }) {}

int Cancellation::exit_code() const {
  const int signal = interrupt_.signal_number();
  return signal == 0 ? 0 : 128 + signal;
}

std::unique_ptr<Host> make_host(const HostSettings& settings, TemporaryFiles& temporaries, LogHandler log) {
  HostOptions options;
  options.threads = static_cast<uint32_t>(settings.threads);
  options.max_memory_bytes = settings.max_memory_bytes.value_or(0);
  options.cache_folder = cache_folder();
  options.model_folders = model_folders();
  options.preview_folder = settings.preview_folder;
  options.log = std::move(log);
  options.temporaries = &temporaries;
  return std::make_unique<Host>(std::move(options));
}

PluginProvider plugin_provider() {
  return [](const PluginDescriptor& descriptor) -> Result<const weft_plugin*> {
    Result<PluginLibrary> library = PluginLibrary::open(descriptor);
    if (!library.ok()) return library.status();
    return &library->plugin();  // nothing is unloaded during a process
  };
}

RunOptions run_options(const HostSettings& settings) {
  RunOptions options;
  options.threads = static_cast<uint32_t>(settings.threads);
  options.max_memory_bytes = settings.max_memory_bytes.value_or(0);
  options.device = settings.device;
  options.isa_level = to_string(active_isa());
  return options;
}

}  // namespace weft::cli
