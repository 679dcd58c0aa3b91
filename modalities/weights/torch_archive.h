/// Reads what torch.save() wrote: the tensors and plain values of a .pt, .pth or .bin file, without running any of it.
///
/// Such a file is a zip archive of a pickle, data.pkl, that describes nested dicts, and of one entry of raw bytes for each
/// storage that tensors lie in. A tensor's name is the path to it, joined by dots: {"model": {"w": tensor}} gives "model.w".
/// Numbers, flags and texts on the way become metadata in the same manner; None is the same as absent. Only the few names that
/// stand for tensors, parameters and ordered dicts may occur in the pickle. A tensor that is not row-major, or of a type that
/// is not read, is listed as unreadable. Tensors may share their bytes.
/// Source: PyTorch, torch/serialization.py and docs/source/notes/serialization.rst.
#ifndef WEFT_MODALITIES_WEIGHTS_TORCH_ARCHIVE_H
#define WEFT_MODALITIES_WEIGHTS_TORCH_ARCHIVE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "modalities/weights/weight_file.h"

namespace weft {

struct TorchHeader {
  using Scalar = std::variant<bool, int64_t, double, std::string>;
  std::vector<WeightTensor> tensors;  // in the pickle's order; data points into the bytes
  std::vector<std::pair<std::string, UnreadableTensor>> unreadable;
  std::vector<std::pair<std::string, Scalar>> metadata;
};

/// `name` is the file's, for errors. `bytes` must outlive the result.
/// Errors: kCorruptData, kUnsupported, those of read_zip_directory() and read_pickle().
Result<TorchHeader> read_torch_archive(std::span<const std::byte> bytes, const std::string& name);

}  // namespace weft
#endif
