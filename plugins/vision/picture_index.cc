#include "plugins/vision/picture_index.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numeric>

namespace weft::vision {
namespace {

constexpr char kMagic[] = "WEFTIDX1";
constexpr int64_t kMostWidth = 1 << 16;
constexpr uint64_t kAlignment = 64;

struct Header {
  char magic[8];
  uint32_t width, reserved;
  uint64_t count, names_offset, names_bytes, vectors_offset;
  char model[64];
  char padding[16];
};
static_assert(sizeof(Header) == 128);

uint64_t aligned(uint64_t offset) { return (offset + kAlignment - 1) / kAlignment * kAlignment; }

// In eight sums, whatever the processor: the order of additions is part of the result.
float dot(const float* a, const float* b, int64_t width) {
  float sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= width; i += 8)
    for (int64_t k = 0; k < 8; ++k) sums[k] += a[i + k] * b[i + k];
  for (int64_t k = 0; i + k < width; ++k) sums[k] += a[i + k] * b[i + k];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

}  // namespace

Status write_picture_index(const std::filesystem::path& path, const IndexContent& content) {
  std::string names;
  for (const std::string& name : content.names) {
    const auto length = static_cast<uint32_t>(name.size());
    names.append(reinterpret_cast<const char*>(&length), sizeof length);
    names += name;
  }
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof header.magic);
  header.width = static_cast<uint32_t>(content.width);
  header.count = content.names.size();
  header.names_offset = sizeof header;
  header.names_bytes = names.size();
  header.vectors_offset = aligned(sizeof header + names.size());
  std::memcpy(header.model, content.model.data(), std::min(content.model.size(), sizeof header.model));
  names.resize(header.vectors_offset - sizeof header);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "wbe"), &std::fclose);
  const auto put = [&](const void* data, size_t bytes) {
    return bytes == 0 || std::fwrite(data, 1, bytes, file.get()) == bytes;
  };
  if (file && put(&header, sizeof header) && put(names.data(), names.size()) &&
      put(content.vectors.data(), content.vectors.size_bytes()) && std::fflush(file.get()) == 0)
    return {};
  return Status(StatusCode::kIoError, std::string("the index cannot be written: ") + std::strerror(errno))
      .at(path.string());
}

Result<PictureIndex> PictureIndex::open(const std::filesystem::path& path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file.ok()) return file.status();
  PictureIndex index(*std::move(file));
  const std::span<const std::byte> bytes = index.file_.bytes();
  const auto corrupt = [&](const std::string& what, uint64_t offset) {
    return Status(StatusCode::kCorruptData, what).at(path.string() + ", offset " + std::to_string(offset));
  };
  Header header;
  if (bytes.size() < sizeof header || std::memcmp(bytes.data(), kMagic, sizeof header.magic) != 0)
    return Status(StatusCode::kUnsupported, "this is no index of pictures")
        .at(path.string())
        .hint("vision.index makes one");
  std::memcpy(&header, bytes.data(), sizeof header);
  const uint64_t size = bytes.size();
  if (header.width < 1 || header.width > kMostWidth)
    return corrupt("the width of the vectors is out of range", 8);
  if (header.names_offset != sizeof header || header.names_bytes > size - sizeof header)
    return corrupt("the names reach beyond the file", 24);
  if (header.vectors_offset != aligned(sizeof header + header.names_bytes) || header.vectors_offset > size)
    return corrupt("the vectors are out of place", 40);
  const uint64_t row_bytes = uint64_t{header.width} * sizeof(float);
  if (header.count > (size - header.vectors_offset) / row_bytes ||
      header.count * row_bytes != size - header.vectors_offset)
    return corrupt("the file has another length than its vectors take", header.vectors_offset)
        .expected(std::to_string(header.count) + " vectors of " + std::to_string(row_bytes) + " bytes")
        .got(std::to_string(size - header.vectors_offset) + " bytes");
  if (header.count > header.names_bytes / sizeof(uint32_t))
    return corrupt("there are fewer names than vectors", 16);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  uint64_t at = header.names_offset;
  const uint64_t end = header.names_offset + header.names_bytes;
  for (uint64_t i = 0; i < header.count; ++i) {
    uint32_t length = 0;
    if (end - at < sizeof length) return corrupt("a name is cut off", at);
    std::memcpy(&length, text + at, sizeof length);
    at += sizeof length;
    if (length > end - at) return corrupt("a name reaches beyond the names", at);
    index.names_.emplace_back(text + at, length);
    at += length;
  }
  if (at != end) return corrupt("there is something behind the names", at);
  index.width_ = header.width;
  index.model_ = {text + offsetof(Header, model),
                  ::strnlen(text + offsetof(Header, model), sizeof header.model)};
  index.vectors_ = reinterpret_cast<const float*>(bytes.data() + header.vectors_offset);
  return index;
}

Result<std::vector<PictureMatch>> PictureIndex::search(const float* query, int64_t most, Executor executor,
                                                       const std::function<bool()>& cancelled) const {
  std::vector<float> scores(names_.size());
  std::atomic<bool> stopped{false};
  executor.parallel_for(count(), 1024, [&](int64_t begin, int64_t end) {
    if (stopped.load(std::memory_order_relaxed)) return;
    if (cancelled()) return stopped.store(true, std::memory_order_relaxed);
    for (int64_t i = begin; i < end; ++i)
      scores[static_cast<size_t>(i)] = dot(vectors_ + i * width_, query, width_);
  });
  if (stopped) return Status(StatusCode::kCancelled, "cancelled");
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto nearer = [&](int64_t a, int64_t b) {
    const float x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const auto middle = order.begin() + std::min<int64_t>(most, count());
  std::partial_sort(order.begin(), middle, order.end(), nearer);
  std::vector<PictureMatch> matches;
  for (auto i = order.begin(); i != middle; ++i) matches.push_back({*i, scores[static_cast<size_t>(*i)]});
  return matches;
}

}  // namespace weft::vision
