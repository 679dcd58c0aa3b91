// npz: a zip archive of npy files. libzip reads the archive (it is fuzzed by its project); sizes are checked before anything is
// unpacked. An archive written here has one more member, weft.json, with the attributes of field.h for its fields.
#include <weft/sdk/owned.h>
#include <zip.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "modalities/field/files/npy.h"
#include "modalities/field/files/readers.h"

namespace weft::files {
namespace {

constexpr int64_t kMaxMembers = 10000;
constexpr const char* kDescription = "weft.json";
constexpr uint64_t kMaxDescriptionBytes = 64 << 20;

struct ZipError {
  zip_error_t error;
  ZipError() { zip_error_init(&error); }
  ~ZipError() { zip_error_fini(&error); }
};

using Archive = Owned<zip_t, zip_discard>;
using Member = Owned<zip_file_t, zip_fclose>;

Status zip_status(const std::string& what, const char* reason) {
  return Status(StatusCode::kCorruptData, what).got(reason);
}

struct Array {
  std::string name;
  int64_t member = 0;
  uint64_t member_bytes = 0;  // unpacked
  NpyHeader header;
};

// The first `size` bytes of a member, or fewer where it ends. With `whole`, libzip has checked its check sum.
Result<std::string> unpack(zip_t* archive, int64_t member, const std::string& name, uint64_t size) {
  const Member file(zip_fopen_index(archive, static_cast<zip_uint64_t>(member), 0));
  if (!file) return zip_status("member '" + name + "' cannot be read", zip_strerror(archive));
  std::string bytes(size, '\0');
  uint64_t done = 0;
  while (done < size) {
    const zip_int64_t n = zip_fread(file.get(), bytes.data() + done, size - done);
    if (n < 0) return zip_status("member '" + name + "' cannot be unpacked", zip_file_strerror(file.get()));
    if (n == 0) break;
    done += static_cast<uint64_t>(n);
  }
  bytes.resize(done);
  char past_end;  // reaching the end is what makes libzip compare the check sum
  if (done == size && zip_fread(file.get(), &past_end, 1) < 0) {
    return zip_status("member '" + name + "' is damaged", zip_file_strerror(file.get()));
  }
  return bytes;
}

class NpzFile : public FieldFile {
 public:
  NpzFile(Archive archive, const FieldFileOptions& options)
      : FieldFile(options), archive_(std::move(archive)) {}

  Status open() {
    const zip_int64_t members = zip_get_num_entries(archive_.get(), 0);
    if (members > kMaxMembers) {
      return Status(StatusCode::kOutOfRange, "the archive has too many members")
          .expected("at most " + std::to_string(kMaxMembers))
          .got(std::to_string(members));
    }
    for (zip_int64_t i = 0; i < members; ++i) {
      if (Status status = open_member(i); !status.ok()) return status;
    }
    return describe();
  }

  Status read(size_t index, void* to) override { return read_array(of_field_[index], to); }

 private:
  Status open_member(zip_int64_t index) {
    zip_stat_t stat;
    if (zip_stat_index(archive_.get(), static_cast<zip_uint64_t>(index), 0, &stat) != 0) {
      return zip_status("a member of the archive cannot be read", zip_strerror(archive_.get()));
    }
    constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE;
    if ((stat.valid & kNeeded) != kNeeded)
      return zip_status("a member of the archive", "has no name or size");
    std::string name = stat.name;
    if (name == kDescription) return read_description(index, stat.size);
    if (!name.ends_with(".npy")) return {};
    Result<std::string> begin =
        unpack(archive_.get(), index, name, std::min<uint64_t>(stat.size, kMaxNpyHeaderBytes + 12));
    if (!begin.ok()) return begin.status();
    Result<NpyHeader> header = read_npy_header(std::as_bytes(std::span(*begin)));
    if (header.code() == StatusCode::kUnsupported) return {};  // an array of texts beside those of numbers
    if (!header.ok()) return header.status().at("member '" + name + "'");
    if (stat.size - header->data_offset < header->stored_bytes()) {
      return Status(StatusCode::kCorruptData, "member '" + name + "' is shorter than its array")
          .expected(std::to_string(header->data_offset + header->stored_bytes()) + " bytes")
          .got(std::to_string(stat.size));
    }
    name.resize(name.size() - 4);
    arrays_.push_back({std::move(name), index, stat.size, *std::move(header)});
    return {};
  }

  Status read_description(zip_int64_t index, uint64_t size) {
    if (size > kMaxDescriptionBytes) return zip_status(kDescription, "is too large");
    Result<std::string> text = unpack(archive_.get(), index, kDescription, size);
    if (!text.ok()) return text.status();
    const auto json = nlohmann::ordered_json::parse(*text, nullptr, false);
    if (!json.is_object()) return zip_status(kDescription, "is no JSON object");
    for (const auto& [name, attributes] : json.items()) {
      attributes_[name] = attributes.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    }
    return {};
  }

  Status describe() {
    const bool own = !attributes_.empty();
    for (size_t i = 0; i < arrays_.size(); ++i) {
      const Array& array = arrays_[i];
      const auto attributes = attributes_.find(array.name);
      if (own ? attributes == attributes_.end() : is_coordinate(array)) continue;
      Result<FieldType> type =
          parse_field_type(array.header.dtype(), array.header.shape, own ? attributes->second : "");
      if (!type.ok()) return type.status().at("array '" + array.name + "'");
      type->name = array.name;
      if (!own) {
        Status status = add_coordinates(&*type);
        if (!status.ok()) return std::move(status).at("array '" + array.name + "'");
      }
      fields_.push_back(*std::move(type));
      of_field_.push_back(i);
    }
    return {};
  }

  bool is_coordinate(const Array& array) const {
    const std::vector<std::string>& names = options_.dimensions;
    return array.header.shape.size() == 1 && std::find(names.begin(), names.end(), array.name) != names.end();
  }

  // Those named by `dimensions`, if the array has as many.
  Status add_coordinates(FieldType* type) {
    if (type->axes.size() != options_.dimensions.size()) return {};
    if (Status status = name_axes(type, options_.dimensions); !status.ok()) return status;
    for (Axis& axis : type->axes) {
      const auto array = std::find_if(arrays_.begin(), arrays_.end(), [&](const Array& candidate) {
        return candidate.name == axis.name && candidate.header.shape == std::vector{axis.size};
      });
      if (array == arrays_.end() || axis.size > kMaxCoordinates) continue;
      axis.coordinates.resize(static_cast<size_t>(axis.size));
      Status status = array->header.dtype() == WEFT_DTYPE_F64
                          ? read_array(static_cast<size_t>(array - arrays_.begin()), axis.coordinates.data())
                          : read_f32(static_cast<size_t>(array - arrays_.begin()), &axis.coordinates);
      if (!status.ok()) return status;
      if (first_not_finite(WEFT_DTYPE_F64, axis.coordinates.data(), axis.size)) {
        return {StatusCode::kCorruptData, "a coordinate in '" + axis.name + "' is not finite"};
      }
    }
    return {};
  }

  Status read_f32(size_t index, std::vector<double>* to) {
    std::vector<float> values(to->size());
    Status status = read_array(index, values.data());
    std::copy(values.begin(), values.end(), to->begin());
    return status;
  }

  Status read_array(size_t index, void* to) {
    const Array& array = arrays_[index];
    const uint64_t size = array.header.data_offset + array.header.stored_bytes();
    const Result<std::string> bytes = unpack(archive_.get(), array.member, array.name, size);
    if (!bytes.ok()) return bytes.status();
    if (bytes->size() < size) return zip_status("member '" + array.name + "'", "ends early");
    const std::byte* elements = std::as_bytes(std::span(*bytes)).data() + array.header.data_offset;
    return read_npy_elements(array.header, elements, to).at("array '" + array.name + "'");
  }

  Archive archive_;
  std::vector<Array> arrays_;
  std::vector<size_t> of_field_;                   // index into arrays_
  std::map<std::string, std::string> attributes_;  // of weft.json, by array
};

struct Content {
  std::string name, bytes;
};

std::vector<Content> contents_of(const FieldType& type, const void* data) {
  std::vector<Content> contents;
  FieldType named = type;
  if (named.name.empty()) named.name = "field";
  contents.push_back({named.name + ".npy", *encode_npy(named, data)});
  for (const Axis& axis : type.axes) {
    if (axis.coordinates.empty() || axis.name == named.name) continue;
    const FieldType coordinates{.dtype = WEFT_DTYPE_F64, .axes = {{.size = axis.size}}};
    contents.push_back({axis.name + ".npy", *encode_npy(coordinates, axis.coordinates.data())});
  }
  const std::string description = nlohmann::ordered_json(named.name)
                                      .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  contents.push_back({kDescription, "{" + description + ":" + field_attributes(named) + "}"});
  return contents;
}

// Stored, not packed, with the oldest date that zip has: equal fields give equal bytes.
Status add(zip_t* archive, const Content& content) {
  zip_source_t* source = zip_source_buffer(archive, content.bytes.data(), content.bytes.size(), 0);
  if (source == nullptr) return {StatusCode::kInternal, "zip has no memory for a member"};
  const zip_int64_t index = zip_file_add(archive, content.name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    return Status(StatusCode::kInvalidArgument, "zip does not take a member of this name").got(content.name);
  }
  const auto member = static_cast<zip_uint64_t>(index);
  if (zip_set_file_compression(archive, member, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive, member, 0, 0x21, 0) != 0) {
    return {StatusCode::kInternal, std::string("zip failed: ") + zip_strerror(archive)};
  }
  return {};
}

}  // namespace

FieldFileResult open_npz(std::span<const std::byte> file, const FieldFileOptions& options) {
  ZipError error;
  zip_source_t* source = zip_source_buffer_create(file.data(), file.size(), 0, &error.error);
  if (source == nullptr) return Status(StatusCode::kOutOfMemory, "zip has no memory");
  Archive archive(zip_open_from_source(source, ZIP_RDONLY, &error.error));
  if (!archive) {
    zip_source_free(source);
    return zip_status("the archive is damaged", zip_error_strerror(&error.error));
  }
  auto opened = std::make_unique<NpzFile>(std::move(archive), options);
  if (Status status = opened->open(); !status.ok()) return status;
  return std::unique_ptr<FieldFile>(std::move(opened));
}

Result<std::string> encode_npz(const FieldType& type, const void* data) {
  const std::vector<Content> contents = contents_of(type, data);
  ZipError error;
  zip_source_t* target = zip_source_buffer_create(nullptr, 0, 0, &error.error);
  if (target == nullptr) return Status(StatusCode::kOutOfMemory, "zip has no memory");
  zip_source_keep(target);
  const Owned<zip_source_t, zip_source_free> kept(target);
  Archive archive(zip_open_from_source(target, ZIP_TRUNCATE, &error.error));
  if (!archive) {
    zip_source_free(target);
    return Status(StatusCode::kInternal, std::string("zip failed: ") + zip_error_strerror(&error.error));
  }
  for (const Content& content : contents) {
    if (Status status = add(archive.get(), content); !status.ok()) return status;
  }
  if (zip_close(archive.get()) != 0) {
    return Status(StatusCode::kInternal, std::string("zip failed: ") + zip_strerror(archive.get()));
  }
  (void)archive.release();  // closed
  zip_stat_t stat;
  if (zip_source_stat(target, &stat) != 0 || zip_source_open(target) != 0) {
    return Status(StatusCode::kInternal, "zip made no archive");
  }
  std::string bytes(stat.size, '\0');
  const zip_int64_t n = zip_source_read(target, bytes.data(), bytes.size());
  zip_source_close(target);
  if (n < 0 || static_cast<uint64_t>(n) != stat.size) {
    return Status(StatusCode::kInternal, "zip's archive cannot be read back");
  }
  return bytes;
}

}  // namespace weft::files
