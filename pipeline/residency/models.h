/// Which models are open, loaded and shared.
///
/// Nodes that name the same file (or folder), model type and options share one model, if what it read beside that
/// file (adapters, say) has not changed either. Opening reads headers only; use() loads what is not loaded, evicting the least
/// recently used models that no node works on when the byte limit of their device asks for it, and waits while others hold the
/// memory. All models of a node are taken in one
/// step, so that two nodes cannot wait for each other. Ownership: the store owns the models and closes them
/// in its destructor; no Use may be alive then. A Model is valid as long as its store. Thread safety: open()
/// from one thread at a time, everything else from any thread.
#ifndef WEFT_PIPELINE_RESIDENCY_MODELS_H
#define WEFT_PIPELINE_RESIDENCY_MODELS_H

#include <weft/abi/model.h>
#include <weft/sdk/status.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/files/content_hash.h"

namespace weft {

/// Where `path` of a "models" entry is: itself if absolute, else the first that exists of
/// pipeline_folder/path and folder/path for each of `folders`. The result is absolute. Errors: kNotFound,
/// naming the places that were tried.
Result<std::filesystem::path> find_model(const std::string& path,
                                         const std::filesystem::path& pipeline_folder,
                                         std::span<const std::filesystem::path> folders);

struct ModelRequest {
  const weft_model_type* type = nullptr;
  std::string path;    // as the pipeline writes it
  std::string sha256;  // what the pipeline pins, any case; "" for nothing
  std::filesystem::path pipeline_folder;
  std::shared_ptr<const weft_parameters> parameters;  // kept until the model is closed
  std::string parameters_key;                         // equal for equal parameters
};

/// A file or folder that a model reads beside its own.
struct ModelPart {
  std::filesystem::path path;  // absolute
  std::string sha256;          // as Model::sha256
  friend bool operator==(const ModelPart&, const ModelPart&) = default;
};

/// One open model.
class Model {
 public:
  void* handle() const { return handle_; }  // what the model type's open returned
  const weft_model_type& type() const { return *type_; }
  const std::filesystem::path& path() const { return path_; }  // absolute
  /// Of the file's content; of a folder, see FileHashCache::sha256_of_tree.
  const std::string& sha256() const { return sha256_; }
  /// What open() noted with add_file, in that order.
  std::span<const ModelPart> parts() const { return parts_; }
  const weft_model_estimate& estimate() const { return estimate_; }
  /// Of its device, with nothing offloaded.
  uint64_t whole_bytes() const { return whole_bytes_; }
  /// For whoever has planned with the estimate, to keep until the plan is done with: see bring_back().
  std::shared_ptr<const void> place() const { return place_; }
  bool is_in_plan() const { return place_.use_count() > 1; }
  const std::string& parameters_key() const { return parameters_key_; }

 private:
  friend class ModelStore;
  const weft_model_type* type_ = nullptr;
  void* handle_ = nullptr;
  std::filesystem::path path_;
  std::string source_path_, sha256_, identity_, parameters_key_;
  std::vector<ModelPart> parts_;
  std::shared_ptr<const weft_parameters> parameters_;
  weft_model_source source_{};
  weft_model_estimate estimate_{};
  uint64_t whole_bytes_ = 0;
  std::shared_ptr<const void> place_ = std::make_shared<int>();
  enum class State { kOpen, kLoading, kLoaded } state_ = State::kOpen;
  uint32_t users_ = 0;
  uint64_t last_use_ = 0;
};

class ModelStore {
 public:
  struct Options {
    const weft_host* host = nullptr;             // given to open
    std::vector<std::filesystem::path> folders;  // search path
    uint64_t limit_bytes = 0;                    // of resident bytes on the CPU; 0: none
    const FileHashCache* hashes = nullptr;       // outlives the store
    /// Calls `work` with a stream of the device and waits for what it queued there. Empty: the CPU is the only device.
    std::function<Status(weft_device device, const std::function<Status(weft_stream*)>& work)> on_device = {};
  };
  explicit ModelStore(Options options);
  ~ModelStore();
  ModelStore(const ModelStore&) = delete;
  ModelStore& operator=(const ModelStore&) = delete;

  /// Finds the file, checks its hash against the pin, opens it or returns the one that is open. Errors:
  /// kNotFound, kCorruptData if the content is not what the pipeline pins, those of the model type's open and
  /// estimate. [main]
  Result<Model*> open(const ModelRequest& request);

  /// Asks the model to take at most so many bytes of its device, as weft_model_type::offload says; evicts it first. Errors: kUnsupported (its
  /// type cannot, a node works on it), those of the model's. [main]
  Status offload(Model& model, uint64_t most_bytes);
  /// Asks a model that was offloaded to take all of its bytes on its device again; evicts it first. Errors: those of offload(), kUnsupported
  /// where somebody keeps its place: plans have no room for it. [main]
  Status bring_back(Model& model);

  /// Models that stay loaded while it lives. Move-only.
  class Use {
   public:
    Use() = default;
    Use(Use&& other) noexcept;
    Use& operator=(Use&& other) noexcept;
    ~Use();

   private:
    friend class ModelStore;
    ModelStore* store_ = nullptr;
    std::vector<Model*> models_;
  };
  /// Loads `models` and keeps them loaded. cancelled: asked while it waits and loads; may be empty. Errors:
  /// kOutOfMemory if they do not fit the limit even alone, kCancelled, those of load. [worker]
  Result<Use> use(std::span<Model* const> models, const std::function<int32_t()>& cancelled);

  /// Whether the load that runs on this thread is no longer wanted; false where none runs. [any thread]
  bool load_cancelled() const;

  /// Of resident bytes on the device, for the runs from now on; 0: none. Nothing is evicted at once. [main]
  void set_limit_bytes(weft_device device, uint64_t limit_bytes);
  uint64_t limit_bytes(weft_device device) const;  // [any thread]

  struct Statistics {
    uint64_t resident_bytes = 0, peak_resident_bytes = 0;  // on all devices
    uint64_t loads = 0, evictions = 0;
    size_t open = 0, loaded = 0;
  };
  Statistics statistics() const;
  /// Evicts every model that no node works on. [main]
  void evict_idle();

 private:
  const FileHashCache& hashes() const;
  bool parts_unchanged(const Model& model) const;
  void release(std::span<Model* const> models) noexcept;
  /// Of one device.
  struct Residency {
    weft_device device;
    uint64_t limit_bytes;
    uint64_t resident_bytes = 0;
    uint64_t limit() const { return limit_bytes != 0 ? limit_bytes : UINT64_MAX; }
  };
  // All of these: with mutex_ held; load gives it up while the plugin works.
  Residency& on(weft_device device);
  void count(const Model& model);
  void discount(const Model& model);
  Status make_room(std::span<Model* const> missing, std::span<Model* const> kept);
  Status make_room(Residency& residency, uint64_t needed_bytes, std::span<Model* const> kept);
  Status load(std::span<Model* const> models, const std::function<int32_t()>& cancelled,
              std::unique_lock<std::mutex>& lock);
  Status load(Model& model);
  void evict(Model& model);

  Options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Model>> models_;
  std::vector<std::unique_ptr<Residency>> residencies_;  // of devices that were asked about
  uint64_t clock_ = 0;
  Statistics statistics_;
  mutable std::mutex loads_mutex_;
  std::map<std::thread::id, const std::function<int32_t()>*> loads_;  // running ones, by their thread
};

}  // namespace weft
#endif
