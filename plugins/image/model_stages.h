/// Which of a diffusion model's networks are in memory: all of them, or only those of the stage that a picture is in.
///
/// A picture needs text encoders, then the UNet, then the autoencoder, never two of them at once. Where memory does not
/// suffice for all, a stage's weights are loaded when it begins, in place of the stage's before: then the model needs as much
/// as its largest stage. Ownership: refers to the functions that load and unload, which outlive it. Thread safety: any thread;
/// in stages, one waits for others to leave theirs. A thread that holds a Use must not ask for another.
///
///   ModelStages stages(ModelStages::Keeps::kOne, load, unload);
///   Result<ModelStages::Use> use = stages.enter(ModelStage::kUNet, stop, stream);   // the UNet is there while `use` lives
#ifndef WEFT_PLUGINS_IMAGE_MODEL_STAGES_H
#define WEFT_PLUGINS_IMAGE_MODEL_STAGES_H

#include <weft/abi/memory.h>
#include <weft/sdk/status.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "kernels/layers/stop_request.h"

namespace weft::image {

enum class ModelStage : uint8_t { kText, kUNet, kVae };
inline constexpr ModelStage kModelStages[] = {ModelStage::kText, ModelStage::kUNet, ModelStage::kVae};

class ModelStages {
 public:
  enum class Keeps : uint8_t { kAll, kOne };

  /// Of a stage's weights: packs or maps them, or brings them to a device by the stream; asks the StopRequest now and then.
  using Load = std::function<Status(ModelStage, const StopRequest&, weft_stream*)>;
  /// unload: gives their memory back.
  ModelStages(Keeps keeps, Load load, std::function<void(ModelStage)> unload)
      : keeps_(keeps), load_(std::move(load)), unload_(std::move(unload)) {}

  /// Keeps a stage's weights while it lives. Move-only.
  class Use {
   public:
    Use() = default;
    Use(Use&& other) noexcept : stages_(std::exchange(other.stages_, nullptr)) {}
    Use& operator=(Use&& other) noexcept {
      std::swap(stages_, other.stages_);
      return *this;
    }
    ~Use() {
      if (stages_ != nullptr) stages_->leave();
    }

   private:
    friend class ModelStages;
    ModelStages* stages_ = nullptr;
  };
  /// stream: of whoever enters. Errors: load's; kCancelled.
  Result<Use> enter(ModelStage stage, const StopRequest& stop, weft_stream* stream);

  Keeps keeps() const { return keeps_; }
  /// What the host's load() and evict() of the model do. Errors: load's.
  Status load_all(const StopRequest& stop, weft_stream* stream);
  void unload_all();

 private:
  void leave();

  const Keeps keeps_;
  const Load load_;
  const std::function<void(ModelStage)> unload_;
  std::mutex mutex_;
  std::condition_variable left_;
  std::optional<ModelStage> current_;  // kOne: whose weights are there
  int users_ = 0;                      // of current_
};

}  // namespace weft::image
#endif
