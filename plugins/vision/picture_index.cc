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
  uint32_t width, groups;
  uint64_t count, names_offset, names_bytes, vectors_offset;
  char model[64];
  char padding[16];
};
static_assert(sizeof(Header) == 128);

// What lies behind the vectors, which end at `offset`.
uint64_t groups_bytes(const Header& header) {
  return header.groups == 0
             ? 0
             : uint64_t{header.groups} * header.width * sizeof(float) + (uint64_t{header.groups} + 1) * 8;
}

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
  const VectorGroups* groups = content.groups;
  const auto place = [&](size_t i) { return groups ? static_cast<size_t>(groups->order[i]) : i; };
  std::string names;
  for (size_t i = 0; i < content.names.size(); ++i) {
    const std::string& name = content.names[place(i)];
    const auto length = static_cast<uint32_t>(name.size());
    names.append(reinterpret_cast<const char*>(&length), sizeof length);
    names += name;
  }
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof header.magic);
  header.width = static_cast<uint32_t>(content.width);
  header.groups = groups ? static_cast<uint32_t>(groups->count()) : 0;
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
  const size_t row_bytes = static_cast<size_t>(content.width) * sizeof(float);
  bool written = file && put(&header, sizeof header) && put(names.data(), names.size());
  for (size_t i = 0; written && i < content.names.size(); ++i)
    written = put(content.vectors.data() + place(i) * static_cast<size_t>(content.width), row_bytes);
  if (written && groups) {
    const uint64_t end = header.vectors_offset + content.vectors.size_bytes();
    const std::vector<char> padding(aligned(end) - end);
    written = put(padding.data(), padding.size()) &&
              put(groups->starts.data(), groups->starts.size() * sizeof(int64_t)) &&
              put(groups->centers.data(), groups->centers.size() * sizeof(float));
  }
  if (written && std::fflush(file.get()) == 0) return {};
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
  const uint64_t of_groups = groups_bytes(header);
  const uint64_t rest = size - header.vectors_offset;
  const uint64_t of_vectors = header.count <= rest / row_bytes ? header.count * row_bytes : rest + 1;
  const uint64_t groups_offset = aligned(header.vectors_offset + of_vectors);
  const uint64_t expected_size =
      header.groups == 0 ? header.vectors_offset + of_vectors : groups_offset + of_groups;
  if (header.groups > header.count || expected_size != size)
    return corrupt("the file has another length than its vectors take", header.vectors_offset)
        .expected(std::to_string(header.count) + " vectors of " + std::to_string(row_bytes) + " bytes in " +
                  std::to_string(header.groups) + " groups")
        .got(std::to_string(rest) + " bytes");
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
  if (header.groups == 0) return index;
  index.n_groups_ = header.groups;
  index.starts_ = reinterpret_cast<const uint64_t*>(bytes.data() + groups_offset);
  index.centers_ = reinterpret_cast<const float*>(index.starts_ + index.n_groups_ + 1);
  uint64_t begin = 0;
  for (int64_t g = 0; g <= index.n_groups_; ++g) {
    const uint64_t start = index.starts_[g];
    if (start < begin || (g == 0 && start != 0) || (g == index.n_groups_ && start != header.count))
      return corrupt("the groups do not follow one another", groups_offset + static_cast<uint64_t>(g) * 8)
          .got("group " + std::to_string(g) + " at vector " + std::to_string(start));
    begin = start;
  }
  return index;
}

// Ranges of vectors to read; nearest groups first.
std::vector<int64_t> PictureIndex::nearest_groups(const float* query, const PictureSearch& wanted) const {
  std::vector<float> scores(static_cast<size_t>(n_groups_));
  for (int64_t g = 0; g < n_groups_; ++g)
    scores[static_cast<size_t>(g)] = dot(centers_ + g * width_, query, width_);
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  int64_t n_vectors = 0;
  size_t n = 0;
  for (; n < order.size(); ++n) {
    if (static_cast<int64_t>(n) >= wanted.probes && n_vectors >= std::min(wanted.most, count())) break;
    n_vectors += static_cast<int64_t>(starts_[order[n] + 1] - starts_[order[n]]);
  }
  order.resize(n);
  return order;
}

Result<std::vector<PictureMatch>> PictureIndex::search(const float* query, const PictureSearch& wanted,
                                                       Executor executor,
                                                       const std::function<bool()>& cancelled) const {
  std::vector<int64_t> order;  // of the vectors that are read
  if (wanted.probes > 0 && wanted.probes < n_groups_) {
    for (const int64_t g : nearest_groups(query, wanted))
      for (uint64_t i = starts_[g]; i < starts_[g + 1]; ++i) order.push_back(static_cast<int64_t>(i));
  } else {
    order.resize(names_.size());
    std::iota(order.begin(), order.end(), int64_t{0});
  }
  std::vector<PictureMatch> matches(order.size());
  std::atomic<bool> stopped{false};
  executor.parallel_for(static_cast<int64_t>(order.size()), 1024, [&](int64_t begin, int64_t end) {
    if (stopped.load(std::memory_order_relaxed)) return;
    if (cancelled()) return stopped.store(true, std::memory_order_relaxed);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = order[static_cast<size_t>(i)];
      matches[static_cast<size_t>(i)] = {at, dot(vectors_ + at * width_, query, width_)};
    }
  });
  if (stopped) return Status(StatusCode::kCancelled, "cancelled");
  const auto middle = matches.begin() + std::min<int64_t>(wanted.most, static_cast<int64_t>(matches.size()));
  std::partial_sort(matches.begin(), middle, matches.end(), [](const PictureMatch& a, const PictureMatch& b) {
    return a.score != b.score ? a.score > b.score : a.index < b.index;
  });
  matches.erase(middle, matches.end());
  return matches;
}

}  // namespace weft::vision
