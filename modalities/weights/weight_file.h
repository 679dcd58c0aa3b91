/// A model's weights on disk, mapped read-only: GGUF (also in split files), safetensors (one file, or a
/// Hugging Face folder with its config.json), or what torch.save() wrote, read without running any of it.
///
/// Opening reads and checks headers only: every size, offset and count is verified against the file's length,
/// with overflow-safe arithmetic, before anything is allocated or looked at, so that estimating a model's
/// size costs milliseconds. Weights are read by whoever touches a tensor's bytes. Ownership: move-only;
/// tensors, names and metadata are views that live as long as this object. Thread safety: immutable after
/// open; const members may be called from any thread.
///
///   Result<WeightFile> file = WeightFile::open("SmolLM2-135M-Instruct.Q4_1.gguf");
///   if (!file.ok()) return file.status();
///   Result<const WeightTensor*> embedding = file->tensor("token_embd.weight");   // Q4_1 or so, [49152, 576]
#ifndef WEFT_MODALITIES_WEIGHTS_WEIGHT_FILE_H
#define WEFT_MODALITIES_WEIGHTS_WEIGHT_FILE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/quant/format.h"
#include "modalities/weights/mapped_file.h"
#include "modalities/weights/metadata.h"

namespace weft {

/// A tensor in a weight file. `data` is aligned to the format's scalar (GGUF: to at least 8 bytes).
struct WeightTensor {
  static constexpr int kMaxRank = 8;

  std::string name;
  WeightFormat format = WeightFormat::kF32;
  int rank = 0;
  int64_t extents[kMaxRank] = {};   ///< outermost first: a linear layer's weight is [out, in]
  const std::byte* data = nullptr;  ///< row-major; rows are whole blocks of `format`
  uint64_t size_bytes = 0;
  uint32_t file = 0;    ///< index into WeightFile::files()
  uint64_t offset = 0;  ///< of `data` in that file

  std::span<const int64_t> shape() const { return {extents, static_cast<size_t>(rank)}; }
  int64_t count() const;  ///< elements; does not overflow, open() has checked it
  std::span<const std::byte> bytes() const { return {data, static_cast<size_t>(size_bytes)}; }
};

/// A tensor that is well-formed, but of a type that this build does not read (an integer mask in a
/// checkpoint, say). It only matters if somebody asks for it.
struct UnreadableTensor {
  std::string type;  ///< as the format's users write it: "IQ2_XXS", "F8_E4M3"
  uint32_t file = 0;
  uint64_t offset = 0;
};

enum class WeightContainer : uint8_t { kGguf, kSafetensors, kTorch };

class WeightFile {
 public:
  /// Opens a .gguf file (any part of a split one opens them all), a .safetensors file, or a folder that holds
  /// model.safetensors or diffusion_pytorch_model.safetensors, an .index.json of either with its shards, an .fp16
  /// variant of either, adapter_model.safetensors, pytorch_model.bin, OpenCLIP's files, or one GGUF model; or a torch archive (.pt, .pth, .bin).
  /// The kind is read from the content, not from the name. Beside safetensors and in a folder, config.json (adapter_config.json for an
  /// adapter, open_clip_config.json for OpenCLIP) gives the metadata; it is optional for a single file. A torch archive's own numbers and texts are metadata too. Errors:
  /// kNotFound, kIoError, kPermissionDenied, kCorruptData (file, offset, expected, got), kUnsupported
  /// (another format or version).
  static Result<WeightFile> open(const std::filesystem::path& path);

  WeightFile(WeightFile&&) noexcept = default;
  WeightFile& operator=(WeightFile&&) noexcept = default;

  WeightContainer container() const { return container_; }
  /// The path that was opened.
  const std::filesystem::path& path() const { return path_; }
  /// Where tokenizer.json and its like would lie: the folder of the weights.
  std::filesystem::path folder() const;
  /// The mapped weight files: one, or all parts in order.
  std::span<const MappedFile> files() const { return files_; }

  const Metadata& metadata() const { return metadata_; }
  /// In the order of the files.
  std::span<const WeightTensor> tensors() const { return tensors_; }
  /// nullptr if there is none of that name, or none that this build can read.
  const WeightTensor* find(std::string_view name) const;
  /// Errors: kNotFound (naming the nearest name), kUnsupported (its type).
  Result<const WeightTensor*> tensor(std::string_view name) const;
  const std::map<std::string, UnreadableTensor, std::less<>>& unreadable() const { return unreadable_; }

  /// The bytes of all tensors, unreadable ones left out.
  uint64_t size_bytes() const { return size_bytes_; }
  /// "model.gguf, tensor 'x', offset 1234", for an error's `where`.
  std::string where(const WeightTensor& tensor) const;

  /// Reads ahead, and gives back, the pages of one tensor: see MappedFile.
  void will_read(const WeightTensor& tensor) const { files_[tensor.file].will_read(tensor.bytes()); }
  void drop_pages(const WeightTensor& tensor) const { files_[tensor.file].drop_pages(tensor.bytes()); }
  /// Gives back all pages of all files, those of headers and metadata included; what is looked at later is read again.
  void drop_all_pages() const {
    for (const MappedFile& file : files_) file.drop_pages(file.bytes());
  }
  /// Copies `size` bytes of a tensor from `offset` on: see MappedFile.
  void copy(const WeightTensor& tensor, uint64_t offset, uint64_t size, std::byte* to) const {
    files_[tensor.file].copy(tensor.bytes().subspan(offset, size), to);
  }

 private:
  WeightFile() = default;
  Status open_gguf(std::vector<std::filesystem::path> parts);
  Status open_safetensors(std::vector<std::filesystem::path> shards, const std::filesystem::path& config);
  Status open_torch(const std::filesystem::path& archive, const std::filesystem::path& config);
  Status read_config(const std::filesystem::path& config);
  Status take_tensors(std::vector<WeightTensor> tensors,
                      std::vector<std::pair<std::string, UnreadableTensor>> unreadable,
                      const std::filesystem::path& path);
  Status index_tensors();

  WeightContainer container_ = WeightContainer::kGguf;
  std::filesystem::path path_;
  std::vector<MappedFile> files_;
  Metadata metadata_;
  std::vector<WeightTensor> tensors_;
  std::vector<uint32_t> by_name_;  // indices into tensors_, sorted by name
  std::map<std::string, UnreadableTensor, std::less<>> unreadable_;
  uint64_t size_bytes_ = 0;
};

}  // namespace weft
#endif
