/// Tensors under the names by which a network asks for them, wherever a checkpoint keeps them.
///
/// A checkpoint may hold a network's tensor under another name, as a part of a larger one, or transposed; a low-rank
/// adapter, or a scale of its rows, may be merged into it. A WeightSource says so once, and reads values as the network sees them. Ownership:
/// refers to WeightFiles, which outlive it. Thread safety: const members may be called by several threads.
///
///   WeightSource source = WeightSource::all_of(file);
///   source.add("attn.to_q.weight", {&file, fused, .first_row = 0, .n_rows = width});
///   const SourceTensor* q = source.find("attn.to_q.weight");
///   source.read(*q, values);
#ifndef WEFT_KERNELS_LAYERS_WEIGHT_SOURCE_H
#define WEFT_KERNELS_LAYERS_WEIGHT_SOURCE_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/weights/weight_file.h"

namespace weft {

/// A file's tensor, or some of its rows, as it is or transposed. Rows are those of the outermost extent.
struct SourceTensor {
  const WeightFile* file = nullptr;
  const WeightTensor* tensor = nullptr;
  int64_t first_row = 0;
  int64_t n_rows = -1;      // -1: all
  bool transposed = false;  // rank 2, all rows: the network's rows are the file's columns

  /// As the network sees it.
  std::vector<int64_t> shape() const;
  int64_t count() const;
  /// The first row's bytes in the file; rows follow one another. For tensors that are not transposed.
  const std::byte* data() const;
};

/// What is added to a tensor seen as [rows, columns]: scale * up [rows, rank] * down [rank, columns].
struct LowRankDelta {
  SourceTensor up;
  SourceTensor down;
  float scale = 1;
};

class WeightSource {
 public:
  using Tensors = std::map<std::string, SourceTensor, std::less<>>;

  /// Every tensor of `file` whose name begins with `prefix`, under what follows it.
  static WeightSource all_of(const WeightFile& file, std::string_view prefix = "");

  /// Adds a tensor, in place of one of that name.
  void add(std::string name, SourceTensor tensor);
  /// Merges a delta into the tensor of that name. Precondition: the tensor is there, and the shapes fit: up has its rows,
  /// down as many elements a rank as it has in a row.
  void add_delta(const std::string& name, LowRankDelta delta);

  /// Multiplies row i of the tensor of that name by value i of `scale`, wherever it comes from. Precondition: as many values as
  /// rows; where they are not, reading fails.
  void add_row_scale(const std::string& name, SourceTensor scale);

  const Tensors& tensors() const { return tensors_; }
  const SourceTensor* find(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  /// Whether read() gives anything but the file's own values.
  bool has_delta(std::string_view name) const {
    return deltas_.find(name) != deltas_.end() || row_scales_.find(name) != row_scales_.end();
  }

  /// values[0..count) = the tensor in f32, row-major as the network sees it, with what is merged into it.
  /// Precondition: the tensor is there. Errors: kOutOfMemory, kInvalidShape (a scale of rows).
  Status read(std::string_view name, float* values, Executor executor) const;
  /// The same without what is merged into it.
  void read_stored(std::string_view name, float* values) const;
  /// "model.safetensors, tensor 'x', offset 12", for an error's `where`.
  std::string where(std::string_view name) const;

 private:
  Tensors tensors_;
  std::multimap<std::string, LowRankDelta, std::less<>> deltas_;
  Tensors row_scales_;
};

/// "[320, 4, 3, 3]"
std::string shape_text(const std::vector<int64_t>& shape);

}  // namespace weft
#endif
