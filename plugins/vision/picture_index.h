/// The vectors of many pictures in one file, memory-mapped, and a search in it: of all of them, or of the groups of vectors that
/// lie nearest to what is searched for.
///
/// The file, little-endian: "WEFTIDX1", u32 width, u32 groups, u64 count, u64 places of the names, their bytes, and the vectors, 64
/// bytes that say which model made them (hexadecimal, padded with NUL), 16 bytes of 0; then for each picture a u32 length and its
/// name in UTF-8; then, aligned to 64, the vectors: f32 [count, width], of length 1. If there are groups, vectors lie in
/// their order; aligned to 64 there follow u64 [groups + 1], where each begins, and f32 [groups, width], their centres. Names are
/// relative to the folder that was indexed, so that equal folders give equal bytes.
/// Ownership: a PictureIndex maps its file. Thread safety: const members from any thread.
///
///   Status written = write_picture_index(path, {.width = 512, .model = key, .names = names, .vectors = vectors});
///   Result<PictureIndex> index = PictureIndex::open(path);
///   Result<std::vector<PictureMatch>> best = index->search(query, {.most = 10, .probes = 8}, executor, cancelled);
#ifndef WEFT_PLUGINS_VISION_PICTURE_INDEX_H
#define WEFT_PLUGINS_VISION_PICTURE_INDEX_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/weights/mapped_file.h"
#include "plugins/vision/vector_groups.h"

namespace weft::vision {

struct IndexContent {
  int64_t width = 0;
  std::string model;  // at most 64 characters; empty where it is not known
  std::span<const std::string> names;
  std::span<const float> vectors;        // [names, width], of length 1
  const VectorGroups* groups = nullptr;  // of the vectors; null: none
};
/// Errors: kIoError.
Status write_picture_index(const std::filesystem::path& path, const IndexContent& content);

struct PictureSearch {
  int64_t most = 10;   // matches
  int64_t probes = 0;  // groups that are read, at least; 0: all vectors, exactly
};

struct PictureMatch {
  int64_t index;
  double score;  // cosine
};

class PictureIndex {
 public:
  /// Checks every size against the file's length before anything is read. Errors: those of MappedFile::open(),
  /// kCorruptData (file, offset, expected, got), kUnsupported (another file).
  static Result<PictureIndex> open(const std::filesystem::path& path);

  int64_t width() const { return width_; }
  int64_t count() const { return static_cast<int64_t>(names_.size()); }
  std::string_view model() const { return model_; }
  std::string_view name(int64_t index) const { return names_[static_cast<size_t>(index)]; }
  /// Of vectors; 0: it has none, and every search is exact.
  int64_t groups() const { return n_groups_; }

  /// The nearest, nearest first; of equal ones the first. query: [width()]. Where the groups read have too few vectors, further
  /// groups are read. Errors: kCancelled.
  Result<std::vector<PictureMatch>> search(const float* query, const PictureSearch& wanted, Executor executor,
                                           const std::function<bool()>& cancelled) const;

 private:
  explicit PictureIndex(MappedFile file) : file_(std::move(file)) {}
  std::vector<int64_t> nearest_groups(const float* query, const PictureSearch& wanted) const;

  MappedFile file_;
  int64_t width_ = 0;
  std::string_view model_;
  std::vector<std::string_view> names_;
  const float* vectors_ = nullptr;
  int64_t n_groups_ = 0;
  const uint64_t* starts_ = nullptr;  // [groups + 1]
  const float* centers_ = nullptr;    // [groups, width]
};

}  // namespace weft::vision
#endif
