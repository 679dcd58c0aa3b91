#include "modalities/weights/zip_directory.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "modalities/weights/byte_reader.h"

namespace weft {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50, kCentralSignature = 0x02014b50, kEndSignature = 0x06054b50;
constexpr uint64_t kEndBytes = 22, kMostCommentBytes = 0xffff;
constexpr uint16_t kEncrypted = 1, kMasked = 1 << 13;

Status corrupt(const std::string& name, uint64_t offset, std::string message) {
  return Status(StatusCode::kCorruptData, std::move(message)).at(name + ", offset " + std::to_string(offset));
}

// What the directory says of one entry.
struct CentralHeader {
  uint32_t signature;
  uint16_t made_by, needs, flags, method, time, date;
  uint32_t checksum, compressed_bytes, size_bytes;
  uint16_t name_bytes, extra_bytes, comment_bytes, disk, internal_attributes;
  uint32_t external_attributes, local_offset;

  bool read(ByteReader& in) {
    return in.read(signature) && in.read(made_by) && in.read(needs) && in.read(flags) && in.read(method) &&
           in.read(time) && in.read(date) && in.read(checksum) && in.read(compressed_bytes) &&
           in.read(size_bytes) && in.read(name_bytes) && in.read(extra_bytes) && in.read(comment_bytes) &&
           in.read(disk) && in.read(internal_attributes) && in.read(external_attributes) &&
           in.read(local_offset);
  }
};

struct Directory {
  uint64_t offset = 0, size_bytes = 0;
  uint16_t n_entries = 0;
};

std::optional<uint64_t> find_end(std::span<const std::byte> bytes) {
  if (bytes.size() < kEndBytes) return std::nullopt;
  const uint64_t last = bytes.size() - kEndBytes;
  const uint64_t first = last - std::min(last, kMostCommentBytes);
  for (uint64_t at = last + 1; at-- > first;) {
    ByteReader in(bytes, at);
    uint32_t signature = 0;
    if (in.read(signature) && signature == kEndSignature) return at;
  }
  return std::nullopt;
}

Result<Directory> find_directory(std::span<const std::byte> bytes, const std::string& name) {
  const std::optional<uint64_t> end = find_end(bytes);
  if (!end)
    return corrupt(name, bytes.size(), "a zip archive without its end: its directory is missing")
        .hint("an incomplete download, or not a zip archive");
  ByteReader in(bytes, *end);
  uint32_t signature = 0, size = 0, offset = 0;
  uint16_t disk = 0, first_disk = 0, here = 0, all = 0;
  if (!(in.read(signature) && in.read(disk) && in.read(first_disk) && in.read(here) && in.read(all) &&
        in.read(size) && in.read(offset)))
    return corrupt(name, *end, "the end of the zip archive is cut off");
  if (all == 0xffff || size == 0xffffffff || offset == 0xffffffff || disk != 0 || first_disk != 0 ||
      here != all)
    return Status(StatusCode::kUnsupported, "a zip archive in zip64 form or of several parts")
        .at(name + ", offset " + std::to_string(*end))
        .expected("one archive of less than 4 GiB and 65535 entries")
        .hint("save the model as safetensors");
  if (offset > *end || size > *end - offset)
    return corrupt(name, *end, "the zip archive's directory is out of range")
        .expected("within the first " + std::to_string(*end) + " bytes")
        .got("[" + std::to_string(offset) + ", +" + std::to_string(size) + "]");
  return Directory{offset, size, all};
}

// Where the content of the entry lies, behind the header that it has of its own. limit: where the directory begins.
Result<ZipEntry> locate(std::span<const std::byte> bytes, const CentralHeader& entry, uint64_t limit,
                        const std::string& label, const std::string& name) {
  ByteReader in(bytes.first(limit), std::min<uint64_t>(entry.local_offset, limit));
  uint32_t signature = 0;
  uint16_t name_bytes = 0, extra_bytes = 0;
  if (!in.read(signature) || signature != kLocalSignature || !in.skip(22) || !in.read(name_bytes) ||
      !in.read(extra_bytes) || !in.skip(uint64_t{name_bytes} + extra_bytes))
    return corrupt(name, entry.local_offset, "the header of " + label + " is not where the directory says");
  if (entry.size_bytes > in.remaining())
    return corrupt(name, in.offset(), "the content of " + label + " is out of range")
        .expected("at most " + std::to_string(in.remaining()) + " bytes")
        .got(std::to_string(entry.size_bytes));
  return ZipEntry{in.offset(), entry.size_bytes};
}

Status check_stored(const CentralHeader& entry, const std::string& label, const std::string& where) {
  if ((entry.flags & (kEncrypted | kMasked)) != 0)
    return Status(StatusCode::kUnsupported, label + " is encrypted").at(where);
  if (entry.method != 0 || entry.compressed_bytes != entry.size_bytes)
    return Status(StatusCode::kUnsupported, label + " is compressed")
        .at(where)
        .expected("entries that are stored, as torch.save() writes them")
        .got("method " + std::to_string(entry.method));
  if (entry.size_bytes == 0xffffffff || entry.local_offset == 0xffffffff)
    return Status(StatusCode::kUnsupported, label + " is in zip64 form").at(where);
  return {};
}

}  // namespace

bool is_zip(std::span<const std::byte> bytes) {
  ByteReader in(bytes);
  uint32_t signature = 0;
  return in.read(signature) && signature == kLocalSignature;
}

Result<ZipDirectory> read_zip_directory(std::span<const std::byte> bytes, const std::string& name) {
  const Result<Directory> found = find_directory(bytes, name);
  if (!found.ok()) return found.status();
  ZipDirectory entries;
  ByteReader in(bytes.first(found->offset + found->size_bytes), found->offset);
  for (uint16_t i = 0; i < found->n_entries; ++i) {
    const uint64_t at = in.offset();
    CentralHeader entry;
    if (!entry.read(in) || entry.signature != kCentralSignature || in.remaining() < entry.name_bytes)
      return corrupt(name, at, "entry " + std::to_string(i) + " of the zip archive's directory is damaged");
    std::string entry_name(reinterpret_cast<const char*>(bytes.data()) + in.offset(), entry.name_bytes);
    if (!in.skip(uint64_t{entry.name_bytes} + entry.extra_bytes + entry.comment_bytes))
      return corrupt(name, at, "entry " + std::to_string(i) + " of the zip archive's directory is cut off");
    const std::string label = "the entry '" + entry_name + "'";
    if (Status stored = check_stored(entry, label, name + ", offset " + std::to_string(at)); !stored.ok())
      return stored;
    const Result<ZipEntry> place = locate(bytes, entry, found->offset, label, name);
    if (!place.ok()) return place.status();
    if (!entries.try_emplace(std::move(entry_name), *place).second)
      return corrupt(name, at, label + " appears twice");
  }
  return entries;
}

}  // namespace weft
