#include "pipeline/check/model_under_check.h"

#include <weft/sdk/error.h>

#include <algorithm>
#include <utility>

#include "pipeline/loader/descriptor_reader.h"
#include "pipeline/plan/parameters.h"

namespace weft {
namespace {

Result<std::shared_ptr<const weft_parameters>> default_parameters(const weft_plugin& plugin,
                                                                  const std::string& name) {
  const PluginDescriptor descriptor = read_descriptor(&plugin).descriptor;
  for (const ModelTypeDescriptor& model : descriptor.models) {
    if (model.name != name) continue;
    Result<weft_parameters> made = make_parameters(model.parameters, {}, {}, {});
    if (!made.ok()) return made.status();
    return std::make_shared<const weft_parameters>(*std::move(made));
  }
  return Status(StatusCode::kNotFound, "the plugin has no model type '" + name + "'");
}

}  // namespace

ModelUnderCheck::ModelUnderCheck(const weft_model_type* type, void* handle,
                                 std::shared_ptr<const weft_parameters> parameters,
                                 std::shared_ptr<const std::string> path)
    : type_(type), handle_(handle), parameters_(std::move(parameters)), path_(std::move(path)) {}

ModelUnderCheck::ModelUnderCheck(ModelUnderCheck&& other) noexcept
    : type_(other.type_),
      handle_(std::exchange(other.handle_, nullptr)),
      parameters_(std::move(other.parameters_)),
      path_(std::move(other.path_)) {}

ModelUnderCheck::~ModelUnderCheck() {
  if (handle_ != nullptr) type_->close(handle_);
}

Result<ModelUnderCheck> ModelUnderCheck::open(const weft_plugin& plugin,
                                              const std::vector<std::string>& accepted,
                                              const std::vector<std::string>& paths, const weft_host* host) {
  Status last(StatusCode::kNotFound, "needs a model: give one with --model");
  for (const std::string& path : paths) {
    for (size_t i = 0; i < plugin.n_models; ++i) {
      const weft_model_type& type = plugin.models[i];
      if (std::find(accepted.begin(), accepted.end(), type.name) == accepted.end()) continue;
      Result<std::shared_ptr<const weft_parameters>> parameters = default_parameters(plugin, type.name);
      if (!parameters.ok()) return parameters.status();
      auto kept_path = std::make_shared<const std::string>(path);
      weft_model_source source{};
      source.struct_size = sizeof source;
      source.path = kept_path->c_str();
      source.sha256 = "";
      source.parameters = parameters->get();
      void* handle = nullptr;
      last = sdk::checked([&](weft_error* error) { return type.open(host, &source, &handle, error); });
      if (!last.ok()) continue;
      ModelUnderCheck model(&type, handle, *parameters, kept_path);
      last = sdk::checked([&](weft_error* error) { return type.load(handle, nullptr, error); });
      if (last.ok()) return model;
    }
  }
  return last;
}

Status ModelUnderCheck::reload() {
  type_->evict(handle_);
  return sdk::checked([&](weft_error* error) { return type_->load(handle_, nullptr, error); });
}

}  // namespace weft
