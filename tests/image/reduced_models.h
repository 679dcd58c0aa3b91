/// Pipelines of reduced random models of all kinds, whose pictures diffusers painted:
/// assets/golden/diffusion/pictures/, made by scripts/make_golden/diffusion_pictures.py.
///
///   Json pipeline = painting_pipeline(record()["pictures"]["lcm"]);
///   pipeline["outputs"] = {{"painted", "painted.image"}};
#ifndef WEFT_TESTS_IMAGE_REDUCED_MODELS_H
#define WEFT_TESTS_IMAGE_REDUCED_MODELS_H

#include <string>

#include "tests/image/image_pipeline.h"

namespace weft::testing {

class ReducedModels : public ImagePipelineTest {
 protected:
  static std::filesystem::path golden() { return std::filesystem::absolute("assets/golden/diffusion"); }
  static Json record();
  static Json load(const std::string& name);
  static Json node(const char* uses, const Json& in, const Json& values, const char* model = "m");
  /// The model's folder; with another UNet than its own, a folder of links into it.
  std::string model_folder(const std::string& model, const std::string& unet) const;
  /// In f32, with the case's options, and those of `more`.
  Json model_entry(const Json& wanted, const Json& more = Json::object()) const;
  /// What paints a case, as node "painted". more: options of its models.
  Json painting_pipeline(const Json& wanted, const Json& more = Json::object()) const;
  /// image.generate with the pictures and controls of a case.
  Json generate_pipeline(const Json& wanted, const Json& more = Json::object()) const;
  /// The base's latents, and the refiner that goes on with them.
  Json refined_pipeline(const Json& wanted, const Json& more = Json::object()) const;
  /// Of a case's picture against diffusers', in dB.
  double likeness(const std::string& name, const Json& more = Json::object());
};

}  // namespace weft::testing
#endif
