// GRIB editions 1 and 2 through ecCodes: messages on one regular latitude/longitude grid, joined to fields with time and level
// axes. Each message is a map of one quantity at one time and level; those of a name and kind of level must form a full
// time x level rectangle.
#include <eccodes.h>
#include <weft/sdk/owned.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>

#include "modalities/field/files/readers.h"

namespace weft::files {
namespace {

constexpr size_t kMaxMessages = 100000;
constexpr double kMissing = 1e36;

// ecCodes is thread-safe only if it was built so: one thread at a time.
std::mutex& library_mutex() {
  static std::mutex one;
  return one;
}

/// One message, decoded when asked.
class Message {
 public:
  static Result<Message> open(std::span<const std::byte> bytes) {
    codes_handle* handle = codes_handle_new_from_message(nullptr, bytes.data(), bytes.size());
    if (handle == nullptr) return Status(StatusCode::kCorruptData, "the message cannot be decoded");
    return Message(handle);
  }
  Result<int64_t> integer(const char* key) const {
    long value = 0;
    if (const int code = codes_get_long(handle_.get(), key, &value)) return wrong(key, code);
    return int64_t{value};
  }
  Result<std::string> text(const char* key) const {
    std::array<char, 256> buffer{};
    size_t size = buffer.size();
    if (const int code = codes_get_string(handle_.get(), key, buffer.data(), &size)) return wrong(key, code);
    return std::string(buffer.data());
  }
  Result<std::vector<double>> numbers(const char* key, size_t expected) const {
    size_t size = 0;
    if (const int code = codes_get_size(handle_.get(), key, &size)) return wrong(key, code);
    if (size != expected) {
      return Status(StatusCode::kCorruptData,
                    std::string("'") + key + "' has another number of values than the grid")
          .expected(std::to_string(expected))
          .got(std::to_string(size));
    }
    std::vector<double> values(size);
    if (const int code = codes_get_double_array(handle_.get(), key, values.data(), &size))
      return wrong(key, code);
    return values;
  }
  Result<std::vector<double>> values(size_t expected) {
    codes_set_double(handle_.get(), "missingValue", kMissing);
    Result<std::vector<double>> read = numbers("values", expected);
    if (!read.ok()) return read;
    for (double& value : *read) {
      if (value == kMissing) value = std::numeric_limits<double>::quiet_NaN();
    }
    return read;
  }

 private:
  explicit Message(codes_handle* handle) : handle_(handle) {}
  static Status wrong(const char* key, int code) {
    return Status(StatusCode::kCorruptData, std::string("'") + key + "' of the message cannot be read")
        .got(codes_get_error_message(code));
  }
  Owned<codes_handle, codes_handle_delete> handle_;
};

struct Grid {
  int64_t columns = 0, rows = 0;
  std::vector<double> latitudes, longitudes;
  friend bool operator==(const Grid&, const Grid&) = default;
};

struct Layer {
  std::span<const std::byte> bytes;
  double hours = 0;  // since 1970-01-01, of the time that the values are valid for
  double level = 0;
};

struct Group {
  std::string name, long_name, units, level_kind;
  Grid grid;
  std::vector<Layer> layers;
};

// Days from 1970-01-01 in the Gregorian calendar. Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
  const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/// The numbers at several keys; the first error wins.
class Keys {
 public:
  explicit Keys(const Message& message) : message_(message) {}
  int64_t integer(const char* key) {
    const Result<int64_t> value = message_.integer(key);
    if (!value.ok() && status_.ok()) status_ = value.status();
    return value.ok() ? *value : 0;
  }
  std::string text(const char* key) {
    Result<std::string> value = message_.text(key);
    if (!value.ok() && status_.ok()) status_ = value.status();
    return value.ok() ? *std::move(value) : std::string();
  }
  const Status& status() const { return status_; }

 private:
  const Message& message_;
  Status status_;
};

Result<Grid> read_grid(const Message& message) {
  Keys keys(message);
  const std::string kind = keys.text("gridType");
  if (!keys.status().ok()) return keys.status();
  if (kind != "regular_ll") {
    return Status(StatusCode::kUnsupported, "the message is on another grid")
        .expected("regular_ll: regular in latitude and longitude")
        .got(kind)
        .hint("cdo or grib_filter interpolate to one");
  }
  Grid grid{keys.integer("Ni"), keys.integer("Nj"), {}, {}};
  if (keys.integer("jPointsAreConsecutive") != 0 || keys.integer("alternativeRowScanning") != 0) {
    return Status(StatusCode::kUnsupported, "the message's points are not in rows of one direction");
  }
  const bool west = keys.integer("iScansNegatively") != 0, north = keys.integer("jScansPositively") != 0;
  if (!keys.status().ok()) return keys.status();
  if (grid.columns < 1 || grid.rows < 1 || grid.columns > kMaxCoordinates || grid.rows > kMaxCoordinates) {
    return Status(StatusCode::kOutOfRange, "the grid has a size that makes no sense");
  }
  Result<std::vector<double>> latitudes =
      message.numbers("distinctLatitudes", static_cast<size_t>(grid.rows));
  if (!latitudes.ok()) return latitudes.status();
  Result<std::vector<double>> longitudes =
      message.numbers("distinctLongitudes", static_cast<size_t>(grid.columns));
  if (!longitudes.ok()) return longitudes.status();
  // "distinct" values come sorted or as scanned, by version: what counts is how the rows lie.
  if (north != (latitudes->front() <= latitudes->back())) std::reverse(latitudes->begin(), latitudes->end());
  if (west != (longitudes->front() > longitudes->back()))
    std::reverse(longitudes->begin(), longitudes->end());
  grid.latitudes = *std::move(latitudes);
  grid.longitudes = *std::move(longitudes);
  return grid;
}

Result<Group> read_message(std::span<const std::byte> bytes) {
  const Result<Message> message = Message::open(bytes);
  if (!message.ok()) return message.status();
  Result<Grid> grid = read_grid(*message);
  if (!grid.ok()) return grid.status();
  Keys keys(*message);
  const int64_t date = keys.integer("validityDate"), time = keys.integer("validityTime");
  Layer layer{bytes, 0, static_cast<double>(keys.integer("level"))};
  layer.hours = static_cast<double>(days_from_civil(date / 10000, date / 100 % 100, date % 100)) * 24 +
                static_cast<double>(time / 100) + static_cast<double>(time % 100) / 60;
  Group group{keys.text("shortName"),   keys.text("name"), keys.text("units"),
              keys.text("typeOfLevel"), *std::move(grid),  {layer}};
  if (!keys.status().ok()) return keys.status();
  return group;
}

class GribFile : public FieldFile {
 public:
  explicit GribFile(const FieldFileOptions& options) : FieldFile(options) {}

  Status open(std::span<const std::byte> file) {
    size_t at = 0, count = 0;
    while (at < file.size()) {
      const Result<std::span<const std::byte>> bytes = message_at(file, at);
      if (!bytes.ok()) return bytes.status();
      if (++count > kMaxMessages) return {StatusCode::kOutOfRange, "the file has too many messages"};
      Status status = add(*bytes);
      if (!status.ok())
        return std::move(status).at("message " + std::to_string(count) + ", offset " + std::to_string(at));
      at += bytes->size();
    }
    for (Group& group : groups_) {
      if (Status status = describe(group); !status.ok()) return status;
    }
    return {};
  }

  Status read(size_t index, void* to) override {
    const std::lock_guard<std::mutex> lock(library_mutex());
    float* values = static_cast<float*>(to);
    for (const Layer& layer : groups_[index].layers) {
      Result<Message> message = Message::open(layer.bytes);
      if (!message.ok()) return message.status();
      const Grid& grid = groups_[index].grid;
      const Result<std::vector<double>> read = message->values(static_cast<size_t>(grid.columns * grid.rows));
      if (!read.ok()) return read.status().at("field '" + fields_[index].name + "'");
      values =
          std::transform(read->begin(), read->end(), values, [](double v) { return static_cast<float>(v); });
    }
    return {};
  }

 private:
  // A message's length stands in its first section.
  static Result<std::span<const std::byte>> message_at(std::span<const std::byte> file, size_t at) {
    const auto byte = [&](size_t i) { return static_cast<uint64_t>(file[at + i]); };
    const Status ends =
        Status(StatusCode::kCorruptData, "the file ends within a message").at("offset " + std::to_string(at));
    if (file.size() - at < 16) return ends;
    if (std::memcmp(file.data() + at, "GRIB", 4) != 0) {
      return Status(StatusCode::kCorruptData, "no message begins here")
          .at("offset " + std::to_string(at))
          .expected("GRIB");
    }
    uint64_t size = byte(4) << 16 | byte(5) << 8 | byte(6);
    if (byte(7) == 2) {
      size = 0;
      for (size_t i = 8; i < 16; ++i) size = size << 8 | byte(i);
    }
    if (size < 16 || size > file.size() - at) return ends;
    return file.subspan(at, size);
  }

  Status add(std::span<const std::byte> bytes) {
    Result<Group> message = read_message(bytes);
    if (!message.ok()) return message.status();
    const auto same = std::find_if(groups_.begin(), groups_.end(), [&](const Group& group) {
      return group.name == message->name && group.level_kind == message->level_kind;
    });
    if (same == groups_.end()) {
      groups_.push_back(*std::move(message));
      return {};
    }
    if (same->grid != message->grid) {
      return Status(StatusCode::kUnsupported, "'" + same->name + "' is on different grids in one file");
    }
    same->layers.push_back(message->layers[0]);
    return {};
  }

  Status describe(Group& group) {
    const bool unique = std::count_if(groups_.begin(), groups_.end(),
                                      [&](const Group& other) { return other.name == group.name; }) == 1;
    FieldType type{.name = unique ? group.name : group.name + "_" + group.level_kind,
                   .long_name = group.long_name,
                   .units = group.units == "~" || group.units == "(Code table 4.2.0.1)" ? "" : group.units};
    std::stable_sort(group.layers.begin(), group.layers.end(), [](const Layer& a, const Layer& b) {
      return a.hours != b.hours ? a.hours < b.hours : a.level < b.level;
    });
    Axis time{.name = "time", .kind = AxisKind::kTime, .units = "hours since 1970-01-01 00:00:00"};
    Axis level{.name = group.level_kind,
               .kind = AxisKind::kLevel,
               .units = group.level_kind == "isobaricInhPa" ? "hPa" : ""};
    for (const Layer& layer : group.layers) {
      if (time.coordinates.empty() || time.coordinates.back() != layer.hours)
        time.coordinates.push_back(layer.hours);
      if (layer.hours == group.layers[0].hours) level.coordinates.push_back(layer.level);
    }
    for (size_t i = 0; i < group.layers.size(); ++i) {
      const Layer& layer = group.layers[i];
      const size_t levels = level.coordinates.size();
      if (group.layers.size() != levels * time.coordinates.size() ||
          layer.level != level.coordinates[i % levels] || layer.hours != time.coordinates[i / levels] ||
          (i % levels > 0 && layer.level == group.layers[i - 1].level)) {
        return Status(StatusCode::kUnsupported,
                      "the messages of '" + type.name + "' have not one value for each time and level")
            .hint("grib_copy -w makes a file with those that do");
      }
    }
    for (Axis* axis : {&time, &level}) {
      axis->size = static_cast<int64_t>(axis->coordinates.size());
      if (axis->size > 1) type.axes.push_back(*axis);
      else type.scalars.push_back({axis->name, axis->kind, axis->units, axis->coordinates[0]});
    }
    type.axes.push_back(
        {"latitude", AxisKind::kLatitude, "degrees_north", group.grid.rows, group.grid.latitudes});
    type.axes.push_back(
        {"longitude", AxisKind::kLongitude, "degrees_east", group.grid.columns, group.grid.longitudes});
    fields_.push_back(std::move(type));
    return {};
  }

  std::vector<Group> groups_;  // as fields_
};

}  // namespace

FieldFileResult open_grib(std::span<const std::byte> file, const FieldFileOptions& options) {
  const std::lock_guard<std::mutex> lock(library_mutex());
  auto opened = std::make_unique<GribFile>(options);
  if (Status status = opened->open(file); !status.ok()) return status;
  return std::unique_ptr<FieldFile>(std::move(opened));
}

}  // namespace weft::files
