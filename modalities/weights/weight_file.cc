#include "modalities/weights/weight_file.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <optional>
#include <system_error>
#include <type_traits>
#include <variant>

#include "modalities/weights/gguf.h"
#include "modalities/weights/hugging_face_folder.h"
#include "modalities/weights/json_file.h"
#include "modalities/weights/safetensors.h"
#include "modalities/weights/torch_archive.h"
#include "modalities/weights/zip_directory.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMaxSplitParts = 1024;

// "name-00002-of-00005.gguf" -> all five paths; the path itself if its name is not of that form.
std::vector<fs::path> parts_of(const fs::path& path) {
  const std::string stem = path.stem().string();
  constexpr size_t kSuffix = sizeof("-00001-of-00005") - 1;
  if (path.extension() != ".gguf" || stem.size() <= kSuffix) return {path};
  const std::string suffix = stem.substr(stem.size() - kSuffix);
  int part = 0, parts = 0, used = 0;
  if (std::sscanf(suffix.c_str(), "-%5d-of-%5d%n", &part, &parts, &used) != 2 ||
      used != static_cast<int>(kSuffix) || part < 1 || parts < part || parts > kMaxSplitParts)
    return {path};
  std::vector<fs::path> paths;
  for (int i = 1; i <= parts; ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "-%05d-of-%05d", i, parts);
    paths.push_back(path.parent_path() / (stem.substr(0, stem.size() - kSuffix) + name + ".gguf"));
  }
  return paths;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

std::string nearest_name(std::span<const WeightTensor> tensors, std::string_view wanted) {
  constexpr size_t kMaxCompared = 20'000;  // an error message is not worth more
  const std::string* nearest = nullptr;
  size_t best = wanted.size() / 3 + 2;
  for (const WeightTensor& tensor : tensors.first(std::min(tensors.size(), kMaxCompared))) {
    if (tensor.name.size() > wanted.size() + best || wanted.size() > tensor.name.size() + best) continue;
    const size_t distance = edit_distance(tensor.name, wanted);
    if (distance < best) {
      best = distance;
      nearest = &tensor.name;
    }
  }
  return nearest ? "the nearest name is '" + *nearest + "'" : "";
}

// Checks split.no and split.count of part `index` of `count`.
Status check_split(const Metadata& metadata, size_t index, size_t count) {
  const Result<int64_t> parts = metadata.integer_or("split.count", count == 1 ? 1 : -1);
  if (!parts.ok()) return parts.status();
  const Result<int64_t> number = metadata.integer_or("split.no", static_cast<int64_t>(index));
  if (!number.ok()) return number.status();
  // A whole file may say split.count 0 (never split) or 1.
  const bool whole = count == 1 && *parts <= 1;
  if (!whole && *parts != static_cast<int64_t>(count))
    return Status(StatusCode::kCorruptData, "the key 'split.count' does not match the file's name")
        .at(metadata.source())
        .expected(std::to_string(count))
        .got(std::to_string(*parts))
        .hint("keep the parts' names as they were downloaded: name-00001-of-0000N.gguf");
  if (*number != static_cast<int64_t>(index))
    return Status(StatusCode::kCorruptData, "the key 'split.no' does not match the file's name")
        .at(metadata.source())
        .expected(std::to_string(index))
        .got(std::to_string(*number));
  return {};
}

// A value in the encoding that Metadata keeps.
template <typename T>
Status insert_scalar(Metadata& metadata, const std::string& key, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    const uint64_t size = value.size();
    const std::string encoded(reinterpret_cast<const char*>(&size), sizeof size);
    return metadata.insert_owned(key, MetadataType::kString, false, 1, encoded + value);
  } else {
    constexpr MetadataType kType = std::is_same_v<T, bool>      ? MetadataType::kBool
                                   : std::is_same_v<T, int64_t> ? MetadataType::kI64
                                                                : MetadataType::kF64;
    return metadata.insert_owned(key, kType, false, 1,
                                 std::string(reinterpret_cast<const char*>(&value), sizeof value));
  }
}

}  // namespace

int64_t WeightTensor::count() const {
  int64_t count = 1;
  for (int64_t extent : shape()) count *= extent;
  return count;
}

Result<WeightFile> WeightFile::open(const fs::path& path) {
  WeightFile file;
  file.path_ = path;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    Result<ModelFolder> folder = examine_model_folder(path);
    if (!folder.ok()) return folder.status();
    const Status status = folder->container == WeightContainer::kGguf
                              ? file.open_gguf(parts_of(folder->weights.front()))
                          : folder->container == WeightContainer::kTorch
                              ? file.open_torch(folder->weights.front(), folder->config)
                              : file.open_safetensors(std::move(folder->weights), folder->config);
    if (!status.ok()) return status;
    if (Status missing = check_weight_map(folder->weight_map, file); !missing.ok()) return missing;
    return file;
  }
  const Result<MappedFile> first = MappedFile::open(path);
  if (!first.ok()) return first.status();
  Status status;
  if (is_gguf(first->bytes())) {
    status = file.open_gguf(parts_of(path));
  } else if (is_safetensors(first->bytes()) || path.extension() == ".safetensors") {
    status = file.open_safetensors({path}, config_beside(path));
  } else if (is_zip(first->bytes())) {
    status = file.open_torch(path, config_beside(path));
  } else {
    status =
        Status(StatusCode::kUnsupported, "not a weight file that Weft reads")
            .at(path.string())
            .expected(
                "GGUF, safetensors, a torch archive, or a folder with config.json and model.safetensors");
  }
  if (!status.ok()) return status;
  return file;
}

Status WeightFile::open_gguf(std::vector<fs::path> parts) {
  container_ = WeightContainer::kGguf;
  for (size_t i = 0; i < parts.size(); ++i) {
    Result<MappedFile> mapped = MappedFile::open(parts[i]);
    if (!mapped.ok())
      return parts.size() == 1 ? mapped.status()
                               : mapped.status().hint("part " + std::to_string(i + 1) + " of " +
                                                      std::to_string(parts.size()) + " of a split model");
    Result<GgufHeader> header = read_gguf(mapped->bytes(), parts[i].string());
    if (!header.ok()) return header.status();
    if (Status status = check_split(header->metadata, i, parts.size()); !status.ok()) return status;
    if (Status status = take_tensors(std::move(header->tensors), std::move(header->unreadable), parts[i]);
        !status.ok())
      return status;
    files_.push_back(std::move(*mapped));
    if (i == 0) metadata_ = std::move(header->metadata);
  }
  if (parts.size() > 1) {
    const auto found = static_cast<int64_t>(tensors_.size() + unreadable_.size());
    const Result<int64_t> wanted = metadata_.integer_or("split.tensors.count", found);
    if (!wanted.ok()) return wanted.status();
    if (*wanted != found)
      return Status(StatusCode::kCorruptData, "the parts do not hold all tensors")
          .at(metadata_.source())
          .expected(std::to_string(*wanted))
          .got(std::to_string(found));
  }
  return index_tensors();
}

Status WeightFile::open_safetensors(std::vector<fs::path> shards, const fs::path& config) {
  container_ = WeightContainer::kSafetensors;
  if (Status status = read_config(config); !status.ok()) return status;
  for (size_t i = 0; i < shards.size(); ++i) {
    Result<MappedFile> mapped = MappedFile::open(shards[i]);
    if (!mapped.ok()) return mapped.status();
    Result<SafetensorsHeader> header = read_safetensors(mapped->bytes(), shards[i].string());
    if (!header.ok()) return header.status();
    if (Status status = take_tensors(std::move(header->tensors), std::move(header->unreadable), shards[i]);
        !status.ok())
      return status;
    if (i == 0)
      for (const auto& [key, value] : header->metadata)
        if (Status status = insert_scalar(metadata_, "__metadata__." + key, value); !status.ok())
          return status;
    files_.push_back(std::move(*mapped));
  }
  return index_tensors();
}

Status WeightFile::open_torch(const fs::path& archive, const fs::path& config) {
  container_ = WeightContainer::kTorch;
  if (Status status = read_config(config); !status.ok()) return status;
  Result<MappedFile> mapped = MappedFile::open(archive);
  if (!mapped.ok()) return mapped.status();
  Result<TorchHeader> header = read_torch_archive(mapped->bytes(), archive.string());
  if (!header.ok()) return header.status();
  if (Status status = take_tensors(std::move(header->tensors), std::move(header->unreadable), archive);
      !status.ok())
    return status;
  for (const auto& [key, value] : header->metadata)
    if (Status status =
            std::visit([&, &key = key](const auto& v) { return insert_scalar(metadata_, key, v); }, value);
        !status.ok())
      return status;
  files_.push_back(std::move(*mapped));
  return index_tensors();
}

Status WeightFile::read_config(const fs::path& config) {
  metadata_ = Metadata(config.empty() ? path_.string() : config.string());
  if (config.empty()) return {};
  const Result<rapidjson::Document> document = read_json_file(config, kMaxConfigBytes);
  if (!document.ok()) return document.status();
  return flatten_json(*document, metadata_);
}

Status WeightFile::take_tensors(std::vector<WeightTensor> tensors,
                                std::vector<std::pair<std::string, UnreadableTensor>> unreadable,
                                const fs::path& path) {
  const auto file = static_cast<uint32_t>(files_.size());
  for (WeightTensor& tensor : tensors) {
    tensor.file = file;
    tensors_.push_back(std::move(tensor));
  }
  for (auto& [name, tensor] : unreadable) {
    tensor.file = file;
    if (!unreadable_.try_emplace(name, tensor).second)
      return Status(StatusCode::kCorruptData, "the tensor '" + name + "' appears twice").at(path.string());
  }
  return {};
}

Status WeightFile::index_tensors() {
  by_name_.resize(tensors_.size());
  std::iota(by_name_.begin(), by_name_.end(), 0u);
  std::sort(by_name_.begin(), by_name_.end(),
            [&](uint32_t a, uint32_t b) { return tensors_[a].name < tensors_[b].name; });
  for (size_t i = 0; i < by_name_.size(); ++i) {
    const WeightTensor& tensor = tensors_[by_name_[i]];
    const bool twice =
        (i > 0 && tensors_[by_name_[i - 1]].name == tensor.name) || unreadable_.contains(tensor.name);
    if (twice)
      return Status(StatusCode::kCorruptData, "the tensor '" + tensor.name + "' appears twice")
          .at(files_[tensor.file].path().string());
    size_bytes_ += tensor.size_bytes;  // disjoint parts of mapped files: cannot overflow
  }
  return {};
}

fs::path WeightFile::folder() const { return files_.empty() ? path_ : files_.front().path().parent_path(); }

const WeightTensor* WeightFile::find(std::string_view name) const {
  const auto at =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [&](uint32_t i, std::string_view text) { return tensors_[i].name < text; });
  return at != by_name_.end() && tensors_[*at].name == name ? &tensors_[*at] : nullptr;
}

Result<const WeightTensor*> WeightFile::tensor(std::string_view name) const {
  if (const WeightTensor* found = find(name)) return found;
  const auto unread = unreadable_.find(name);
  if (unread != unreadable_.end())
    return Status(StatusCode::kUnsupported,
                  "tensor '" + std::string(name) + "' is of a type that Weft does not read")
        .at(files_[unread->second.file].path().string() + ", offset " + std::to_string(unread->second.offset))
        .expected("F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS or MXFP4")
        .got(unread->second.type)
        .hint("quantise the model to one of those");
  return Status(StatusCode::kNotFound, "the tensor '" + std::string(name) + "' is missing")
      .at(path_.string())
      .hint(nearest_name(tensors_, name));
}

std::string WeightFile::where(const WeightTensor& tensor) const {
  return files_[tensor.file].path().string() + ", tensor '" + tensor.name + "', offset " +
         std::to_string(tensor.offset);
}

}  // namespace weft
