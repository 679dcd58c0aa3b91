#include "plugins/science/protein_mpnn_model.h"

#include <utility>

namespace weft::science {

Result<std::unique_ptr<ProteinMpnnModel>> ProteinMpnnModel::open(const sdk::ModelSource& source) {
  Result<WeightFile> file = WeightFile::open(std::string(source.path()));
  if (!file.ok()) return file.status();
  std::unique_ptr<ProteinMpnnModel> model(new ProteinMpnnModel(source.host(), *std::move(file)));
  Result<ProteinMpnn> network = ProteinMpnn::open(model->file_);
  if (!network.ok()) return network.status();
  model->network_.emplace(*std::move(network));
  return model;
}

Result<weft_model_estimate> ProteinMpnnModel::estimate() const {
  return sdk::model_estimate(static_cast<uint64_t>(network_->weights_bytes()), 0);
}

Status ProteinMpnnModel::load(weft_stream* /*stream*/) {
  if (Status loaded = network_->load(host_.executor()); !loaded.ok())
    return std::move(loaded).at(file_.path().string());
  file_.drop_all_pages();
  return {};
}

}  // namespace weft::science
