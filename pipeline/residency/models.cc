#include "pipeline/residency/models.h"

#include <weft/sdk/device.h>
#include <weft/sdk/error.h>
#include <weft/sdk/model.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <system_error>
#include <utility>

namespace weft {
namespace {

namespace fs = std::filesystem;

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return text;
}

/// What weft_model_source::self points to while a model opens.
struct PartNotes {
  const FileHashCache& hashes;
  std::vector<ModelPart> parts;
};

weft_status add_file(void* self, const char* path, char sha256[65], weft_error* error) {
  return sdk::barrier(error, [&]() -> Status {
    if (!self || !path || !fs::path(path).is_absolute()) {
      return Status(StatusCode::kInvalidArgument, "a model notes an absolute path, while it opens")
          .got(path ? path : "no path");
    }
    auto& notes = *static_cast<PartNotes*>(self);
    fs::path place = fs::path(path).lexically_normal();
    auto hash = notes.hashes.sha256_of_tree(place);
    if (!hash.ok()) return hash.status();
    std::memcpy(sha256, hash->c_str(), hash->size() + 1);
    ModelPart part{std::move(place), *hash};
    if (std::find(notes.parts.begin(), notes.parts.end(), part) == notes.parts.end()) {
      notes.parts.push_back(std::move(part));
    }
    return {};
  });
}

}  // namespace

namespace {
/// The entry of `folders` that begins most like `name`, or "": models are often named by the beginning of a long name.
std::string similar_model(const std::string& name, std::span<const fs::path> folders) {
  const std::string wanted = lower_case(fs::path(name).filename().string());
  std::string best;
  size_t longest = std::max<size_t>(wanted.size() / 2, 3);  // less in common is another name
  for (const fs::path& folder : folders) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      const std::string found = entry->path().filename().string(), lower = lower_case(found);
      const size_t common = static_cast<size_t>(
          std::mismatch(wanted.begin(), wanted.end(), lower.begin(), lower.end()).first - wanted.begin());
      if (common < longest || (common == longest && !best.empty() && best <= found)) continue;
      longest = common;
      best = found;
    }
  }
  return best;
}
}  // namespace

Result<fs::path> find_model(const std::string& path, const fs::path& pipeline_folder,
                            std::span<const fs::path> folders) {
  std::error_code error;
  if (path.empty()) return Status(StatusCode::kInvalidArgument, "a model's path is empty");
  std::vector<fs::path> places;
  if (fs::path(path).is_absolute()) {
    places.push_back(path);
  } else {
    places.push_back(pipeline_folder.empty() ? fs::path(path) : pipeline_folder / path);
    for (const fs::path& folder : folders) places.push_back(folder / path);
  }
  std::string tried;
  for (const fs::path& place : places) {
    if (fs::exists(place, error)) return fs::absolute(place).lexically_normal();
    tried += (tried.empty() ? "" : ", ") + place.string();
  }
  const std::string similar = similar_model(path, folders);
  return Status(StatusCode::kNotFound, "the model '" + path + "' is not there")
      .expected("one of " + tried)
      .hint((similar.empty() ? "" : "did you mean '" + similar + "'? ") +
            "`weft models` lists what is found; WEFT_MODELS names folders to search, separated by ':'");
}

ModelStore::ModelStore(Options options) : options_(std::move(options)) {}

ModelStore::~ModelStore() {
  for (const auto& model : models_) {
    if (model->state_ == Model::State::kLoaded) model->type_->evict(model->handle_);
    model->type_->close(model->handle_);
  }
}

const FileHashCache& ModelStore::hashes() const {
  static const FileHashCache keeps_nothing({});
  return options_.hashes ? *options_.hashes : keeps_nothing;
}

bool ModelStore::parts_unchanged(const Model& model) const {
  return std::all_of(model.parts_.begin(), model.parts_.end(), [this](const ModelPart& part) {
    auto hash = hashes().sha256_of_tree(part.path);
    return hash.ok() && *hash == part.sha256;
  });
}

namespace {
/// Whether it reads files that it found by its own place: beside another copy of it others may lie.
bool has_parts_beside(const fs::path& path, std::span<const ModelPart> parts) {
  return std::any_of(parts.begin(), parts.end(), [&](const ModelPart& part) {
    const fs::path relative = fs::path(part.path).lexically_relative(path.parent_path());
    return !relative.empty() && *relative.begin() != "..";
  });
}

Status estimate_of(const weft_model_type& type, void* handle, weft_model_estimate* out) {
  *out = {};
  out->struct_size = sizeof(*out);
  out->device = sdk::kCpu;
  return sdk::checked([&](weft_error* error) { return type.estimate(handle, out, error); });
}

/// Puts the model's path in front of an error, unless the plugin has named the file itself.
Status at_model(Status status, const fs::path& path) {
  if (status.ok() || status.error().where.starts_with(path.string())) return status;
  return std::move(status).at(path.string());
}
}  // namespace

Result<Model*> ModelStore::open(const ModelRequest& request) {
  auto path = find_model(request.path, request.pipeline_folder, options_.folders);
  if (!path.ok()) return path.status();
  auto hash = hashes().sha256_of_tree(*path);
  if (!hash.ok()) return hash.status();
  if (!request.sha256.empty() && lower_case(request.sha256) != *hash) {
    return Status(StatusCode::kCorruptData, "the model's content is not what the pipeline names")
        .at(path->string())
        .expected("sha256 " + lower_case(request.sha256))
        .got(*hash)
        .hint("fetch the file again, or change \"sha256\" in the pipeline if the new file is meant");
  }
  // Equal content under two names is one model: what counts is what is in it and how it is opened.
  const std::string identity = std::string(request.type->name) + '\n' + *hash + '\n' + request.parameters_key;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& model : models_) {
      const bool is_here = model->path_ == *path || !has_parts_beside(model->path_, model->parts_);
      if (model->identity_ == identity && model->type_ == request.type && is_here &&
          parts_unchanged(*model)) {
        return model.get();
      }
    }
  }
  auto model = std::make_unique<Model>();
  model->type_ = request.type;
  model->path_ = *path;
  model->source_path_ = path->string();
  model->sha256_ = *hash;
  model->identity_ = identity;
  model->parameters_ = request.parameters;
  model->parameters_key_ = request.parameters_key;
  std::error_code error;
  model->source_.struct_size = sizeof(model->source_);
  model->source_.path = model->source_path_.c_str();
  model->source_.sha256 = fs::is_directory(*path, error) ? "" : model->sha256_.c_str();
  model->source_.parameters = model->parameters_.get();
  PartNotes notes{hashes(), {}};
  model->source_.self = &notes;
  model->source_.add_file = add_file;
  Status status = sdk::checked([&](weft_error* out) {
    return request.type->open(options_.host, &model->source_, &model->handle_, out);
  });
  model->source_.self = nullptr;
  model->parts_ = std::move(notes.parts);
  if (!status.ok()) return at_model(std::move(status), *path);
  status = estimate_of(*request.type, model->handle_, &model->estimate_);
  if (!status.ok()) {
    request.type->close(model->handle_);
    return at_model(std::move(status), *path);
  }
  model->whole_bytes_ = model->estimate_.resident_bytes;
  const std::lock_guard lock(mutex_);
  models_.push_back(std::move(model));
  statistics_.open = models_.size();
  return models_.back().get();
}

Status ModelStore::offload(Model& model, uint64_t most_bytes) {
  const std::lock_guard lock(mutex_);
  if (model.type_->offload == nullptr)
    return Status(StatusCode::kUnsupported, "a model of this type is on its device whole or not at all")
        .at(model.path_.string())
        .got(model.type_->name);
  if (model.state_ == Model::State::kLoaded && model.users_ == 0) evict(model);
  if (model.state_ != Model::State::kOpen)
    return Status(StatusCode::kUnsupported, "a model in use keeps its place").at(model.path_.string());
  Status done =
      sdk::checked([&](weft_error* error) { return model.type_->offload(model.handle_, most_bytes, error); });
  if (done.ok()) done = estimate_of(*model.type_, model.handle_, &model.estimate_);
  return at_model(std::move(done), model.path_);
}

Status ModelStore::bring_back(Model& model) {
  if (model.is_in_plan())
    return Status(StatusCode::kUnsupported, "a model in a plan keeps its place").at(model.path_.string());
  return offload(model, model.whole_bytes_);
}

// Loading, evicting and the plugin's other functions never run at once on one model: a model that is not kOpen or
// kLoaded belongs to the thread that changes it, and one with users is never evicted.

ModelStore::Residency& ModelStore::on(weft_device device) {
  for (const auto& one : residencies_) {
    if (sdk::same_device(one->device, device)) return *one;
  }
  const uint64_t limit = device.kind == WEFT_DEVICE_CPU ? options_.limit_bytes : 0;
  residencies_.push_back(std::make_unique<Residency>(Residency{device, limit}));
  return *residencies_.back();
}

void ModelStore::count(const Model& model) {
  on(model.estimate_.device).resident_bytes += model.estimate_.resident_bytes;
  on(sdk::kCpu).resident_bytes += model.estimate_.offloaded_bytes;
  statistics_.resident_bytes += model.estimate_.resident_bytes + model.estimate_.offloaded_bytes;
  statistics_.peak_resident_bytes = std::max(statistics_.peak_resident_bytes, statistics_.resident_bytes);
}

void ModelStore::discount(const Model& model) {
  on(model.estimate_.device).resident_bytes -= model.estimate_.resident_bytes;
  on(sdk::kCpu).resident_bytes -= model.estimate_.offloaded_bytes;
  statistics_.resident_bytes -= model.estimate_.resident_bytes + model.estimate_.offloaded_bytes;
}

void ModelStore::evict(Model& model) {
  model.type_->evict(model.handle_);
  model.state_ = Model::State::kOpen;
  discount(model);
  ++statistics_.evictions;
  --statistics_.loaded;
}

namespace {
/// "at most 4096 bytes of weights", "... on cuda:0".
std::string weights_limit(weft_device device, uint64_t limit_bytes) {
  return "at most " + std::to_string(limit_bytes) + " bytes of weights" +
         (device.kind == WEFT_DEVICE_CPU ? "" : " on " + sdk::device_name(device));
}
}  // namespace

Status ModelStore::make_room(std::span<Model* const> missing, std::span<Model* const> kept) {
  for (const auto& residency : residencies_) {
    uint64_t needed = 0;
    for (const Model* model : missing) needed += sdk::bytes_on(model->estimate_, residency->device);
    if (Status room = make_room(*residency, needed, kept); !room.ok()) return room;
  }
  return {};
}

Status ModelStore::make_room(Residency& residency, uint64_t needed_bytes, std::span<Model* const> kept) {
  while (needed_bytes > 0 && residency.resident_bytes + needed_bytes > residency.limit()) {
    Model* oldest = nullptr;
    for (const auto& model : models_) {
      const bool idle = model->state_ == Model::State::kLoaded && model->users_ == 0 &&
                        std::find(kept.begin(), kept.end(), model.get()) == kept.end();
      if (idle && sdk::bytes_on(model->estimate_, residency.device) > 0 &&
          (!oldest || model->last_use_ < oldest->last_use_)) {
        oldest = model.get();
      }
    }
    if (!oldest) {
      return Status(StatusCode::kOutOfMemory, "the models in use leave no room for another")
          .expected(weights_limit(residency.device, residency.limit()))
          .got(std::to_string(residency.resident_bytes) + " in use and " + std::to_string(needed_bytes) +
               " more needed")
          .hint("raise --max-memory");
    }
    evict(*oldest);
  }
  return {};
}

bool ModelStore::load_cancelled() const {
  const std::function<int32_t()>* cancelled = nullptr;
  {
    const std::lock_guard lock(loads_mutex_);
    const auto found = loads_.find(std::this_thread::get_id());
    if (found != loads_.end()) cancelled = found->second;  // stays: this thread itself would take it away
  }
  return cancelled && *cancelled && (*cancelled)() != 0;
}

Status ModelStore::load(Model& model) {
  const auto on_stream = [&](weft_stream* stream) {
    return Status(
        sdk::checked([&](weft_error* out) { return model.type_->load(model.handle_, stream, out); }));
  };
  if (options_.on_device) return options_.on_device(model.estimate_.device, on_stream);
  if (model.estimate_.device.kind == WEFT_DEVICE_CPU) return on_stream(nullptr);
  return Status(StatusCode::kUnsupported, "this host loads no models on devices")
      .got(sdk::device_name(model.estimate_.device));
}

Status ModelStore::load(std::span<Model* const> models, const std::function<int32_t()>& cancelled,
                        std::unique_lock<std::mutex>& lock) {
  // All are taken before the lock is given up, so that no other thread loads one of them or uses their room.
  for (Model* model : models) {
    model->state_ = Model::State::kLoading;
    count(*model);
  }
  {
    const std::lock_guard loads(loads_mutex_);
    loads_[std::this_thread::get_id()] = &cancelled;
  }
  Status first;
  for (Model* model : models) {
    Status status;
    if (first.ok()) {
      lock.unlock();  // other models load and work meanwhile
      status = load(*model);
      lock.lock();
    }
    if (first.ok() && status.ok()) {
      model->state_ = Model::State::kLoaded;
      ++statistics_.loads;
      ++statistics_.loaded;
      continue;
    }
    model->state_ = Model::State::kOpen;
    discount(*model);
    if (first.ok()) first = at_model(std::move(status), model->path_);
  }
  const std::lock_guard loads(loads_mutex_);
  loads_.erase(std::this_thread::get_id());
  return first;
}

Result<ModelStore::Use> ModelStore::use(std::span<Model* const> models,
                                        const std::function<int32_t()>& cancelled) {
  Use use;
  if (models.empty()) return use;
  std::vector<Model*> distinct;
  for (Model* model : models) {
    if (std::find(distinct.begin(), distinct.end(), model) == distinct.end()) distinct.push_back(model);
  }
  std::unique_lock lock(mutex_);
  for (const Model* model : distinct) on(model->estimate_.device), on(sdk::kCpu);
  for (const auto& one : residencies_) {
    const Residency& residency = *one;
    uint64_t wanted = 0;
    for (const Model* model : distinct) wanted += sdk::bytes_on(model->estimate_, residency.device);
    if (wanted > residency.limit()) {
      return Status(StatusCode::kOutOfMemory, "the models of one node do not fit the memory limit")
          .expected(weights_limit(residency.device, residency.limit()))
          .got(std::to_string(wanted))
          .hint("raise --max-memory");
    }
  }
  std::vector<Model*> missing;
  for (;;) {
    bool loading = false;
    missing.clear();
    for (Model* model : distinct) {
      loading = loading || model->state_ == Model::State::kLoading;
      if (model->state_ == Model::State::kOpen) missing.push_back(model);
    }
    if (!loading && make_room(missing, distinct).ok()) break;
    if (cancelled && cancelled()) return Status(StatusCode::kCancelled, "cancelled while waiting for memory");
    // Woken by every release; the timeout is for a cancellation, which wakes nobody.
    changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
  // From here on nobody evicts them.
  use.store_ = this;
  use.models_ = distinct;
  for (Model* model : distinct) {
    ++model->users_;
    model->last_use_ = ++clock_;
  }
  Status status = load(missing, cancelled, lock);
  lock.unlock();
  changed_.notify_all();
  if (!status.ok()) return status;  // `use` gives its models back
  return use;
}

void ModelStore::release(std::span<Model* const> models) noexcept {
  {
    const std::lock_guard lock(mutex_);
    for (Model* model : models) {
      --model->users_;
      model->last_use_ = ++clock_;
    }
  }
  changed_.notify_all();
}

ModelStore::Statistics ModelStore::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void ModelStore::set_limit_bytes(weft_device device, uint64_t limit_bytes) {
  const std::lock_guard lock(mutex_);
  on(device).limit_bytes = limit_bytes;
}

uint64_t ModelStore::limit_bytes(weft_device device) const {
  const std::lock_guard lock(mutex_);
  for (const auto& residency : residencies_) {
    if (sdk::same_device(residency->device, device)) return residency->limit_bytes;
  }
  return device.kind == WEFT_DEVICE_CPU ? options_.limit_bytes : 0;
}

void ModelStore::evict_idle() {
  const std::lock_guard lock(mutex_);
  for (const auto& model : models_) {
    if (model->state_ == Model::State::kLoaded && model->users_ == 0) evict(*model);
  }
}

ModelStore::Use::Use(Use&& other) noexcept
    : store_(std::exchange(other.store_, nullptr)), models_(std::move(other.models_)) {}

ModelStore::Use& ModelStore::Use::operator=(Use&& other) noexcept {
  std::swap(store_, other.store_);
  std::swap(models_, other.models_);
  return *this;
}

ModelStore::Use::~Use() {
  if (store_) store_->release(models_);
}

}  // namespace weft
