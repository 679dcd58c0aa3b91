#include "pipeline/run/host.h"

#include <weft/abi/draft/cores.h>
#include <weft/abi/draft/loading.h>
#include <weft/abi/draft/packed_weights.h>
#include <weft/abi/draft/previews.h>
#include <weft/abi/draft/run_record.h>
#include <weft/sdk/device.h>

#include <cstring>
#include <utility>

#include "kernels/device/driver.h"
#include "kernels/threads/cpu_limits.h"
#include "kernels/threads/thread_pool.h"
#include "pipeline/files/content_hash.h"
#include "pipeline/files/durable_file.h"
#include "pipeline/memory/buffer.h"
#include "pipeline/memory/devices.h"
#include "pipeline/memory/value.h"
#include "pipeline/plan/parameters.h"
#include "pipeline/residency/models.h"
#include "pipeline/residency/packed_weights.h"
#include "pipeline/run/input_files.h"
#include "pipeline/run/previews.h"
#include "pipeline/run/request.h"

namespace weft {
namespace {

std::filesystem::path below(const std::filesystem::path& folder, const char* name) {
  return folder.empty() ? folder : folder / name;
}

ModelStore::Options model_options(const HostOptions& options, const weft_host* table,
                                  const FileHashCache& hashes, Devices& devices) {
  ModelStore::Options result;
  result.host = table;
  result.folders = options.model_folders;
  result.limit_bytes = options.max_memory_bytes;
  result.hashes = &hashes;
  result.on_device = [&devices](weft_device device,
                                const std::function<Status(weft_stream*)>& work) -> Status {
    weft_stream cpu;
    auto stream = devices.stream(device);
    if (!stream.ok()) return stream.status();
    Status done = work(stream->get() ? stream->get() : &cpu);
    Status passed = stream->get() ? stream->get()->driver->synchronize(stream->get()->native) : Status();
    return done.ok() ? passed : done;
  };
  return result;
}

}  // namespace

struct Host::State {
  explicit State(HostOptions given)
      : options(std::move(given)),
        own_temporaries(file_system),
        temporaries(options.temporaries ? *options.temporaries : own_temporaries),
        threads(options.threads != 0 ? options.threads : available_cpus()),
        limited(system, options.max_memory_bytes != 0 ? options.max_memory_bytes : UINT64_MAX),
        guarded(options.guards == HostOptions::Guards::kOn ? std::make_unique<GuardPool>(limited) : nullptr),
        memory({guarded ? static_cast<Pool*>(guarded.get()) : &limited}),
        devices(memory, options.max_memory_bytes),
        hashes(below(options.cache_folder, "hashes")),
        packed(packed_options()),
        previews(options.preview_folder, temporaries, options.log),
        models(model_options(options, &table, hashes, devices)) {}

  PackedWeights::Options packed_options() {
    PackedWeights::Options result;
    result.folder = below(options.cache_folder, "packed");
    result.limit_bytes = options.packed_limit_bytes;
    result.temporaries = &temporaries;
    result.warning = [this](const std::string& text) {
      if (options.log) options.log(WEFT_LOG_WARNING, text);
    };
    result.cancelled = [this] { return models.load_cancelled(); };  // asked within a load only
    return result;
  }

  HostOptions options;
  FileSystem file_system;
  TemporaryFiles own_temporaries;
  TemporaryFiles& temporaries;
  ThreadPool threads;
  CpuPool system;
  LimitPool limited;
  std::unique_ptr<GuardPool> guarded;
  MemoryService memory;
  Devices devices;
  FileHashCache hashes;
  PackedWeights packed;
  Previews previews;
  KnownFiles known_files;
  weft_host table{};
  weft_cores_api cores{};
  weft_loading_api loading{};
  ModelStore models;  // last: closing a model may use everything above
};

Host::Host(HostOptions options) : state_(std::make_unique<State>(std::move(options))) {
  weft_host& table = state_->table;
  table.struct_size = sizeof(table);
  table.abi_version = WEFT_ABI_VERSION;
  table.self = state_.get();
  table.memory = state_->memory.api();
  table.values = value_api();
  table.parameters = &parameter_api();
  table.requests = request_api();
  table.executor = state_->threads.executor();
  state_->cores = {
      .struct_size = sizeof(weft_cores_api),
      .reserved = 0,
      .self = &state_->threads,
      .borrow = [](void* self, uint32_t most) { return static_cast<ThreadPool*>(self)->borrow_cores(most); },
      .give_back = [](void* self, uint32_t cores) { static_cast<ThreadPool*>(self)->give_back(cores); }};
  state_->loading = {
      .struct_size = sizeof(weft_loading_api),
      .reserved = 0,
      .self = &state_->models,
      .cancelled = [](void* self) { return int32_t{static_cast<const ModelStore*>(self)->load_cancelled()}; },
      .limit_bytes = [](void* self) { return static_cast<const ModelStore*>(self)->limit_bytes(sdk::kCpu); }};
  table.log = [](void* self, weft_log_level level, const char* message) {
    const auto& log = static_cast<State*>(self)->options.log;
    if (!log || !message) return;
    try {
      log(level, message);
    } catch (...) {
      // A message that cannot be shown must not end the plugin that wrote it.
    }
  };
  table.extension = [](void* self, const char* id) -> const void* {
    if (!id) return nullptr;
    if (std::strcmp(id, WEFT_PACKED_WEIGHTS_ID) == 0) return static_cast<State*>(self)->packed.api();
    if (std::strcmp(id, WEFT_RUN_RECORD_ID) == 0) return run_record_api();
    if (std::strcmp(id, WEFT_CORES_ID) == 0) return &static_cast<State*>(self)->cores;
    if (std::strcmp(id, WEFT_LOADING_ID) == 0) return &static_cast<State*>(self)->loading;
    if (std::strcmp(id, WEFT_KNOWN_FILES_ID) == 0) return static_cast<State*>(self)->known_files.api();
    if (std::strcmp(id, WEFT_PREVIEWS_ID) == 0) return static_cast<State*>(self)->previews.api();
    return nullptr;
  };
}

Host::~Host() = default;

const weft_host* Host::table() const { return &state_->table; }
const HostOptions& Host::options() const { return state_->options; }
uint32_t Host::threads() const { return state_->threads.executor()->max_threads; }
MemoryService& Host::memory() { return state_->memory; }
Pool& Host::cpu_pool() { return *state_->memory.pool(sdk::kCpu); }
Devices& Host::devices() { return state_->devices; }
KnownFiles& Host::known_files() { return state_->known_files; }
GuardPool* Host::guards() { return state_->guarded.get(); }
ModelStore& Host::models() { return state_->models; }
PackedWeights& Host::packed_weights() { return state_->packed; }
Previews& Host::previews() { return state_->previews; }
const FileHashCache& Host::hashes() const { return state_->hashes; }
TemporaryFiles& Host::temporaries() { return state_->temporaries; }
void Host::log(weft_log_level level, const std::string& message) const {
  if (state_->options.log) state_->options.log(level, message);
}

}  // namespace weft
