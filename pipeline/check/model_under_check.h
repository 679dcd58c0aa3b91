/// The models that a node under check works with: opened from the paths that the user gave.
#ifndef WEFT_PIPELINE_CHECK_MODEL_UNDER_CHECK_H
#define WEFT_PIPELINE_CHECK_MODEL_UNDER_CHECK_H

#include <weft/abi/plugin.h>
#include <weft/sdk/status.h>

#include <memory>
#include <string>
#include <vector>

struct weft_parameters;

namespace weft {

/// One open and loaded model; closed by the destructor.
class ModelUnderCheck {
 public:
  /// Opens the first of `paths` that a model type of `plugin` named in `accepted` takes, and loads it.
  /// Errors: kNotFound without paths; those of the last open or load.
  static Result<ModelUnderCheck> open(const weft_plugin& plugin, const std::vector<std::string>& accepted,
                                      const std::vector<std::string>& paths, const weft_host* host);
  ModelUnderCheck(ModelUnderCheck&& other) noexcept;
  ModelUnderCheck& operator=(ModelUnderCheck&&) = delete;
  ~ModelUnderCheck();

  void* handle() const { return handle_; }
  /// Throws the weights out and loads them again. Errors: those of load.
  Status reload();

 private:
  ModelUnderCheck(const weft_model_type* type, void* handle,
                  std::shared_ptr<const weft_parameters> parameters, std::shared_ptr<const std::string> path);

  const weft_model_type* type_;
  void* handle_;
  std::shared_ptr<const weft_parameters> parameters_;  // the model may keep pointers into both
  std::shared_ptr<const std::string> path_;
};

}  // namespace weft
#endif
