/// The model type "science.protein_mpnn": one file of ProteinMPNN's weights (.pt), of any of its families.
///
/// open() maps the file and reads its headers; load() packs the weights, 13 MB. Ownership: the host's residency owns it; nodes
/// borrow it. Thread safety: const members of a loaded model may be used by several nodes at once.
#ifndef WEFT_PLUGINS_SCIENCE_PROTEIN_MPNN_MODEL_H
#define WEFT_PLUGINS_SCIENCE_PROTEIN_MPNN_MODEL_H

#include <weft/sdk/plugin.h>

#include <memory>
#include <optional>
#include <string>

#include "kernels/networks/protein_mpnn/protein_mpnn.h"
#include "modalities/weights/weight_file.h"

namespace weft::science {

class ProteinMpnnModel {
 public:
  static Result<std::unique_ptr<ProteinMpnnModel>> open(const sdk::ModelSource& source);
  Result<weft_model_estimate> estimate() const;
  Status load(weft_stream* stream);
  void evict() { network_->unload(); }

  const ProteinMpnn& network() const { return *network_; }

 private:
  explicit ProteinMpnnModel(sdk::Host host, WeightFile file) : host_(host), file_(std::move(file)) {}

  sdk::Host host_;
  WeightFile file_;
  std::optional<ProteinMpnn> network_;  // refers to file_
};

inline constexpr const char* kProteinMpnnModels[] = {"science.protein_mpnn", nullptr};
inline constexpr weft_parameter kModelParameter = sdk::parameter(
    {.name = "model", .type = "model", .choices = kProteinMpnnModels, .help = "ProteinMPNN's weights."});

}  // namespace weft::science
#endif
