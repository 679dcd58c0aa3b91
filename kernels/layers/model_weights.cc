#include "kernels/layers/model_weights.h"

#include <xxhash.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <filesystem>

#include "kernels/cpu/isa.h"
#include "kernels/layers/host_weight_store.h"

namespace weft {

DType compute_type(std::string_view precision, ComputePlace place) {
  if (precision == "f32") return DType::kF32;
  if (precision == "bf16" || place == ComputePlace::kDevice) return DType::kBF16;
  return active_isa() >= IsaLevel::kAvx512Bf16 ? DType::kBF16 : DType::kF32;
}

std::vector<std::string> model_files(const WeightFile& file) {
  namespace fs = std::filesystem;
  std::vector<std::string> paths;
  for (const MappedFile& part : file.files()) paths.push_back(part.path().string());
  if (file.container() == WeightContainer::kGguf) return paths;
  const size_t n_weights = paths.size();
  std::error_code error;
  for (fs::directory_iterator it(file.folder(), error), end; !error && it != end; it.increment(error)) {
    const fs::path extension = it->path().extension();
    const bool describes =
        extension == ".json" || extension == ".txt" || extension == ".model" || extension == ".jinja";
    if (describes && it->is_regular_file(error)) paths.push_back(it->path().string());
  }
  std::sort(paths.begin() + static_cast<std::ptrdiff_t>(n_weights), paths.end());
  return paths;
}

Result<std::string> note_model_files(const sdk::ModelSource& source, std::span<const std::string> paths) {
  std::string hashes(source.sha256());
  for (const std::string& path : paths) {
    if (path == source.path()) continue;
    Result<std::string> hash = source.add_file(path);
    if (!hash.ok()) return hash.status();
    hashes += *hash;
  }
  if (hashes.empty()) return hashes;
  // One file has its own hash in the name, which people can compare with.
  return hashes.size() == 64 ? hashes : digest_of(hashes);
}

std::string digest_of(std::string_view content) {
  const XXH128_hash_t digest = XXH3_128bits(content.data(), content.size());
  char text[33];
  std::snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, digest.high64, digest.low64);
  return text;
}

std::unique_ptr<PackedWeightStore> packed_weight_store(const sdk::Host& host, std::string_view key) {
  const auto* packed =
      key.empty() ? nullptr : host.extension<weft_packed_weights_api>(WEFT_PACKED_WEIGHTS_ID);
  if (packed != nullptr) return std::make_unique<HostWeightStore>(packed);
  return std::make_unique<HeapWeightStore>();
}

}  // namespace weft
