#include "modalities/field/files/netcdf_header.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace weft::files {
namespace {

constexpr uint32_t kDimensionTag = 10, kVariableTag = 11, kAttributeTag = 12;
constexpr uint64_t kMaxItems = 8192, kMaxNameBytes = 256, kMaxRank = 1024;
constexpr uint64_t kMaxBytes = uint64_t{1} << 62;
// By nc_type, 1 to 11: byte char short int float double ubyte ushort uint int64 uint64; from 7 on in CDF-5 only.
constexpr std::array<uint64_t, 12> kTypeBytes = {0, 1, 1, 2, 4, 4, 8, 1, 2, 4, 8, 8};

class HeaderWalk {
 public:
  explicit HeaderWalk(std::span<const std::byte> file) : file_(file), version_(static_cast<int>(file[3])) {}

  Status check() {
    at_ = 4;
    uint64_t records = 0;
    if (!count(&records)) return ends();
    const uint64_t streaming = version_ == 5 ? UINT64_MAX : UINT32_MAX;
    if (records == streaming)
      return wrong("the number of records", "a number", "none: the file was being written");
    Status status = dimensions();
    if (status.ok()) status = attributes();
    if (status.ok()) status = variables(records);
    return status;
  }

 private:
  // Big-endian numbers. False at the end of the file.
  bool number(size_t bytes, uint64_t* value) {
    if (file_.size() - at_ < bytes) return false;
    *value = 0;
    for (size_t i = 0; i < bytes; ++i) *value = *value << 8 | static_cast<uint64_t>(file_[at_ + i]);
    at_ += bytes;
    return true;
  }
  bool count(uint64_t* value) { return number(version_ == 5 ? 8 : 4, value); }
  Status ends() const {
    return Status(StatusCode::kCorruptData, "the file ends within its header")
        .at("offset " + std::to_string(file_.size()));
  }
  Status wrong(const std::string& what, const std::string& expected, const std::string& got) const {
    return Status(StatusCode::kCorruptData, what + " makes no sense")
        .at("offset " + std::to_string(at_))
        .expected(expected)
        .got(got);
  }
  Status skip(uint64_t bytes) {
    const uint64_t padded = (bytes + 3) & ~uint64_t{3};
    if (bytes > kMaxBytes || padded > file_.size() - at_) return ends();
    at_ += padded;
    return {};
  }

  Status name() {
    uint64_t size = 0;
    if (!count(&size)) return ends();
    if (size == 0 || size > kMaxNameBytes) {
      return wrong("the length of a name", "1 to " + std::to_string(kMaxNameBytes), std::to_string(size));
    }
    if (file_.size() - at_ < size) return ends();
    for (uint64_t i = 0; i < size; ++i) {
      if (file_[at_ + i] == std::byte{0}) return wrong("a name", "text", "a zero byte in it");
    }
    return skip(size);
  }
  Status type(uint64_t* bytes) {
    uint64_t id = 0;
    if (!number(4, &id)) return ends();
    const uint64_t last = version_ == 5 ? 11 : 6;
    if (id < 1 || id > last) return wrong("a type", "1 to " + std::to_string(last), std::to_string(id));
    *bytes = kTypeBytes[id];
    return {};
  }
  // The tag and length of a list: both zero where it is empty.
  Status list(uint32_t tag, uint64_t* items) {
    uint64_t found = 0;
    if (!number(4, &found) || !count(items)) return ends();
    if (found != tag && (found != 0 || *items != 0)) {
      return wrong("the kind of a list", std::to_string(tag) + " or an empty list", std::to_string(found));
    }
    if (*items > kMaxItems) {
      return Status(StatusCode::kOutOfRange, "the header has a list that is too long")
          .at("offset " + std::to_string(at_))
          .expected("at most " + std::to_string(kMaxItems))
          .got(std::to_string(*items));
    }
    return {};
  }

  Status dimensions() {
    uint64_t items = 0;
    Status status = list(kDimensionTag, &items);
    bool has_records = false;
    for (uint64_t i = 0; status.ok() && i < items; ++i) {
      uint64_t length = 0;
      status = name();
      if (!status.ok()) return status;
      if (!count(&length)) return ends();
      if (length == 0 && has_records) return wrong("a second record dimension", "one at most", "two");
      if (length > INT32_MAX && version_ != 5) {
        return wrong("the length of a dimension", "at most 2^31 - 1", std::to_string(length));
      }
      has_records = has_records || length == 0;
      dimensions_.push_back(length);
    }
    return status;
  }

  Status attributes() {
    uint64_t items = 0;
    Status status = list(kAttributeTag, &items);
    for (uint64_t i = 0; status.ok() && i < items; ++i) {
      uint64_t bytes = 0, values = 0;
      status = name();
      if (status.ok()) status = type(&bytes);
      if (!status.ok()) return status;
      if (!count(&values)) return ends();
      if (values > file_.size()) return ends();
      status = skip(values * bytes);
    }
    return status;
  }

  struct Variable {
    uint64_t begin = 0, bytes = 0;  // of all, or of one record
    bool of_records = false;
  };

  Status variable(Variable* variable) {
    Status status = name();
    uint64_t rank = 0, type_bytes = 0;
    if (!status.ok()) return status;
    if (!count(&rank)) return ends();
    if (rank > kMaxRank)
      return wrong("the rank of a variable", "at most " + std::to_string(kMaxRank), std::to_string(rank));
    std::vector<uint64_t> lengths;
    for (uint64_t i = 0; i < rank; ++i) {
      uint64_t id = 0;
      if (!count(&id)) return ends();
      if (id >= dimensions_.size()) {
        return wrong("the dimension of a variable", "one of " + std::to_string(dimensions_.size()),
                     std::to_string(id));
      }
      if (dimensions_[id] == 0 && i != 0)
        return wrong("a variable", "records as its first dimension", "later ones");
      lengths.push_back(dimensions_[id]);
    }
    status = attributes();
    if (status.ok()) status = type(&type_bytes);
    if (!status.ok()) return status;
    uint64_t stored_size = 0;  // redundant, and wrong by design in large files: computed instead
    if (!count(&stored_size) || !number(version_ == 1 ? 4 : 8, &variable->begin)) return ends();
    variable->of_records = !lengths.empty() && lengths[0] == 0;
    variable->bytes = type_bytes;
    for (size_t i = variable->of_records ? 1 : 0; i < lengths.size(); ++i) {
      if (__builtin_mul_overflow(variable->bytes, lengths[i], &variable->bytes) ||
          variable->bytes > kMaxBytes) {
        return wrong("the size of a variable", "at most 2^62 bytes", "more");
      }
    }
    return {};
  }

  Status variables(uint64_t records) {
    uint64_t items = 0, record_bytes = 0, unpadded = 0, of_records = 0;
    Status status = list(kVariableTag, &items);
    std::vector<Variable> found;
    for (uint64_t i = 0; status.ok() && i < items; ++i) {
      status = variable(&found.emplace_back());
      if (!found.back().of_records) continue;
      ++of_records;
      unpadded = found.back().bytes;
      record_bytes += (unpadded + 3) & ~uint64_t{3};
      if (record_bytes > kMaxBytes) return wrong("the size of a record", "at most 2^62 bytes", "more");
    }
    if (of_records == 1) record_bytes = unpadded;  // the format's one exception from padding
    for (size_t i = 0; status.ok() && i < found.size(); ++i)
      status = within_file(found[i], records, record_bytes, i);
    return status;
  }

  Status within_file(const Variable& variable, uint64_t records, uint64_t record_bytes, size_t index) const {
    uint64_t before_last = 0, end = 0;
    const bool empty = variable.of_records && records == 0;
    if (empty) return {};
    const uint64_t steps = variable.of_records ? records - 1 : 0;
    const bool fits = !__builtin_mul_overflow(steps, record_bytes, &before_last) &&
                      !__builtin_add_overflow(variable.begin, before_last, &end) &&
                      !__builtin_add_overflow(end, variable.bytes, &end) && end <= file_.size();
    if (fits && variable.begin >= 4) return {};
    return Status(StatusCode::kCorruptData,
                  "the data of variable " + std::to_string(index) + " lies outside of the file")
        .expected("an end within " + std::to_string(file_.size()) + " bytes")
        .got("a begin at " + std::to_string(variable.begin) + " and " + std::to_string(variable.bytes) +
             " bytes" + (variable.of_records ? " in each of " + std::to_string(records) + " records" : ""));
  }

  std::span<const std::byte> file_;
  int version_;
  size_t at_ = 0;
  std::vector<uint64_t> dimensions_;
};

}  // namespace

Status check_netcdf_header(std::span<const std::byte> file) { return HeaderWalk(file).check(); }

}  // namespace weft::files
