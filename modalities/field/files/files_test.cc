// Files by NumPy, netCDF4 and ecCodes (assets/golden/fields, made by scripts/make_golden/fields.py) against the formulas that they
// were filled with, files written here read again, and files that are broken.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <vector>

#include "modalities/field/files/field_file.h"

namespace weft {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string read_file(const std::string& name) {
  std::ifstream file("assets/golden/fields/" + name, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Loaded {
  FieldType type;
  std::vector<double> values;
};

Result<Loaded> load(const std::string& file, const std::string& name = "", FieldFileOptions options = {}) {
  Result<std::unique_ptr<FieldFile>> opened = open_field_file(std::as_bytes(std::span(file)), options);
  if (!opened.ok()) return opened.status();
  const Result<size_t> index = (*opened)->find(name);
  if (!index.ok()) return index.status();
  Loaded loaded{(*opened)->fields()[*index], {}};
  const auto count = static_cast<size_t>(loaded.type.elements());
  std::vector<float> narrow(count);
  loaded.values.resize(count);
  const bool wide = loaded.type.dtype == WEFT_DTYPE_F64;
  Status status = (*opened)->read(*index, wide ? static_cast<void*>(loaded.values.data()) : narrow.data());
  if (!status.ok()) return status;
  if (!wide) loaded.values.assign(narrow.begin(), narrow.end());
  return loaded;
}

std::string message(const Result<Loaded>& loaded) { return loaded.ok() ? "ok" : to_string(loaded.error()); }

double formula(size_t i) { return static_cast<double>(i * 37 % 101) / 4 - 10; }
double integer(size_t i) { return static_cast<double>(i * 37 % 101); }

FieldFileOptions trusted() {
  FieldFileOptions options;
  options.trust = FieldFileTrust::kTrusted;
  return options;
}

TEST(Npy, HasTheValuesOfEveryType) {
  struct Case {
    const char* name;
    weft_dtype dtype;
    std::function<double(size_t)> value;
  };
  const auto signed_integer = [](size_t i) { return integer(i) - 50; };
  const auto odd = [](size_t i) { return std::fmod(integer(i), 2.0); };
  const Case cases[] = {{"f2", WEFT_DTYPE_F32, formula},
                        {"f4", WEFT_DTYPE_F32, formula},
                        {"f8", WEFT_DTYPE_F64, formula},
                        {"big_f4", WEFT_DTYPE_F32, formula},
                        {"big_f8", WEFT_DTYPE_F64, formula},
                        {"i1", WEFT_DTYPE_F32, signed_integer},
                        {"i2", WEFT_DTYPE_F32, signed_integer},
                        {"big_i2", WEFT_DTYPE_F32, signed_integer},
                        {"i4", WEFT_DTYPE_F64, signed_integer},
                        {"i8", WEFT_DTYPE_F64, signed_integer},
                        {"big_i8", WEFT_DTYPE_F64, signed_integer},
                        {"u1", WEFT_DTYPE_F32, integer},
                        {"u2", WEFT_DTYPE_F32, integer},
                        {"big_u2", WEFT_DTYPE_F32, integer},
                        {"u4", WEFT_DTYPE_F64, integer},
                        {"u8", WEFT_DTYPE_F64, integer},
                        {"b1", WEFT_DTYPE_F32, odd}};
  for (const Case& c : cases) {
    const Result<Loaded> loaded = load(read_file(c.name + std::string(".npy")));
    ASSERT_TRUE(loaded.ok()) << c.name << ": " << to_string(loaded.error());
    EXPECT_EQ(loaded->type.dtype, c.dtype) << c.name;
    EXPECT_THAT(loaded->type.shape(), ElementsAre(3, 4)) << c.name;
    for (size_t i = 0; i < 12; ++i) EXPECT_EQ(loaded->values[i], c.value(i)) << c.name << " " << i;
  }
}

TEST(Npy, TurnsFortranOrder) {
  const Result<Loaded> loaded = load(read_file("fortran.npy"));
  ASSERT_TRUE(loaded.ok()) << to_string(loaded.error());
  EXPECT_THAT(loaded->type.shape(), ElementsAre(2, 3, 4));
  for (size_t i = 0; i < 24; ++i) EXPECT_EQ(loaded->values[i], formula(i)) << i;
}

std::string npy(const std::string& header, size_t data_bytes) {
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 0xFF);
  file += static_cast<char>(header.size() >> 8);
  return file + header + std::string(data_bytes, '\0');
}

TEST(Npy, RefusesBrokenHeaders) {
  const auto refused = [](const std::string& header, size_t data_bytes = 64) {
    return message(load(npy(header, data_bytes)));
  };
  EXPECT_EQ(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"), "ok");
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (5, 4)}"),
              HasSubstr("ends within the array"));
  EXPECT_THAT(refused("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}"),
              HasSubstr("no simple numbers"));
  EXPECT_THAT(refused("{'descr': '<c8', 'fortran_order': False, 'shape': (2,)}"), HasSubstr("'<c8'"));
  EXPECT_THAT(refused("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}"),
              HasSubstr("record"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}"), HasSubstr("True or False"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}"),
              HasSubstr("extents from 0 on"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': False}"),
              HasSubstr("descr, fortran_order and shape"));
  EXPECT_THAT(refused("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}"),
              HasSubstr("each once"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4)}"),
              HasSubstr("overflows"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3)}"), HasSubstr("empty"));
  EXPECT_THAT(message(load(std::string("\x93NUMPY\x01\x00\xff\xff{}", 12))), HasSubstr("too long"));
  EXPECT_THAT(message(load(std::string("\x93NUMPY\x09\x00\x00\x00\x00\x00", 12))), HasSubstr("version"));
  EXPECT_THAT(message(load("\x93NUMPY")), HasSubstr("ends within its header"));
}

TEST(Npy, RefusesIntegersThatADoubleCannotHold) {
  std::string file = npy("{'descr': '<u8', 'fortran_order': False, 'shape': (2,)}", 16);
  file[file.size() - 8] = 1;
  file[file.size() - 1] = 0x40;  // 2^62 + 1
  EXPECT_THAT(message(load(file)), HasSubstr("element 1"));
}

TEST(Npy, RefusesWhatIsLargerThanAllowed) {
  FieldFileOptions options;
  options.max_bytes = 47;
  EXPECT_THAT(message(load(read_file("f4.npy"), "", options)),
              HasSubstr("expected at most 47 bytes, got 3 x 4"));
  options.max_bytes = 48;
  EXPECT_TRUE(load(read_file("f4.npy"), "", options).ok());
}

TEST(Npz, HasCoordinatesWhereDimensionsAreNamed) {
  for (const char* name : {"plain.npz", "packed.npz"}) {
    FieldFileOptions options;
    options.dimensions = {"lat", "lon"};
    const Result<Loaded> loaded = load(read_file(name), "", options);
    ASSERT_TRUE(loaded.ok()) << name << ": " << to_string(loaded.error());
    EXPECT_EQ(loaded->type.name, "t");
    EXPECT_EQ(loaded->type.axes[0], (Axis{"lat", AxisKind::kLatitude, "", 2, {50, 60}}));
    EXPECT_EQ(loaded->type.axes[1], (Axis{"lon", AxisKind::kLongitude, "", 3, {0, 10, 20}}));
    for (size_t i = 0; i < 6; ++i) EXPECT_EQ(loaded->values[i], formula(i)) << i;
  }
  EXPECT_THAT(message(load(read_file("plain.npz"))), HasSubstr("got t, lat, lon"));
}

TEST(Npz, NoticesDamage) {
  std::string file = read_file("packed.npz");
  FieldFileOptions options;
  options.dimensions = {"lat", "lon"};
  file[60] = static_cast<char>(file[60] ^ 0x5a);  // within the first member
  EXPECT_EQ(load(file, "t", options).code(), StatusCode::kCorruptData);
  for (size_t size = 4; size < file.size(); size += 13) {
    EXPECT_FALSE(load(file.substr(0, size), "t", options).ok()) << size;
  }
}

TEST(Netcdf, HasWhatNetcdf4Wrote) {
  for (const char* name : {"classic.nc", "offset64.nc", "data64.nc", "netcdf4.nc"}) {
    const Result<Loaded> t = load(read_file(name), "t", trusted());
    ASSERT_TRUE(t.ok()) << name << ": " << to_string(t.error());
    EXPECT_EQ(to_string(t->type), "t [time 2, level 2, lat 3, lon 4] in K") << name;
    EXPECT_EQ(t->type.long_name, "temperature");
    EXPECT_EQ(t->type.axes[0], (Axis{"time", AxisKind::kTime, "hours since 2026-01-02 00:00:00", 2, {0, 6}}));
    EXPECT_EQ(t->type.axes[1], (Axis{"level", AxisKind::kLevel, "hPa", 2, {500, 850}}));
    EXPECT_EQ(t->type.axes[2], (Axis{"lat", AxisKind::kLatitude, "degrees_north", 3, {60, 55, 50}}));
    for (size_t i = 0; i < 48; ++i) {
      if (i == 5) EXPECT_TRUE(std::isnan(t->values[i]));
      else EXPECT_EQ(t->values[i], formula(i)) << name << " " << i;
    }
    const Result<Loaded> packed = load(read_file(name), "packed", trusted());
    ASSERT_TRUE(packed.ok()) << to_string(packed.error());
    EXPECT_THAT(packed->type.scalars, ElementsAre(ScalarCoordinate{"height", AxisKind::kLevel, "m", 2}));
    for (size_t i = 0; i < 12; ++i) {
      if (i == 2 || i == 3) EXPECT_TRUE(std::isnan(packed->values[i])) << i;
      else EXPECT_EQ(packed->values[i], (integer(i) - 50) * 0.5 + 100) << i;
    }
    EXPECT_THAT(message(load(read_file(name), "u", trusted())), HasSubstr("expected t, packed")) << name;
  }
}

TEST(Netcdf, GivesAxesNamesOfTheirOwnAndTakesLatin1) {
  std::string file = read_file("offset64.nc");
  file.replace(file.find("hPa"), 3,
               "h\xb0"
               "a");
  const size_t bounds = file.find("lat_bnds"), variable = file.find("lat_bnds", bounds + 8);
  file[bounds + 7] = 'z';   // so that it is nobody's bounds
  file[variable + 15] = 4;  // its first dimension becomes its second one
  const Result<Loaded> twice = load(file, "lat_bnds");
  ASSERT_TRUE(twice.ok()) << to_string(twice.error());
  EXPECT_EQ(to_string(twice->type), "lat_bnds [bounds 2, bounds_2 2]");
  const Result<Loaded> t = load(file, "t");
  ASSERT_TRUE(t.ok()) << to_string(t.error());
  EXPECT_EQ(t->type.axes[1].units, "h\u00b0a");
}

TEST(Netcdf, IsRefusedWhereverItsHeaderIsCut) {
  const std::string file = read_file("classic.nc");
  for (size_t size = 4; size < file.size(); ++size) {
    EXPECT_EQ(load(file.substr(0, size), "t").code(), StatusCode::kCorruptData) << size;
  }
}

TEST(Netcdf, IsRefusedOrReadWhateverByteIsWrong) {
  const std::string file = read_file("offset64.nc");
  for (size_t i = 4; i < file.size(); ++i) {
    std::string broken = file;
    broken[i] = static_cast<char>(broken[i] ^ 0xff);
    const Result<Loaded> loaded = load(broken, "t");
    EXPECT_THAT(loaded.code(), AnyOf(StatusCode::kOk, StatusCode::kCorruptData, StatusCode::kOutOfRange,
                                     StatusCode::kUnsupported, StatusCode::kNotFound))
        << i;
  }
}

TEST(Grib, HasWhatEccodesWrote) {
  const Result<Loaded> t = load(read_file("pressure.grib2"), "", trusted());
  ASSERT_TRUE(t.ok()) << to_string(t.error());
  EXPECT_EQ(to_string(t->type), "t [time 2, isobaricInhPa 2, latitude 3, longitude 4] in K");
  EXPECT_EQ(t->type.axes[0].coordinates,
            (std::vector<double>{490920, 490926}));  // 2026-01-02, days since 1970 * 24
  EXPECT_THAT(t->type.axes[1].coordinates, ElementsAre(500, 850));
  EXPECT_THAT(t->type.axes[2].coordinates, ElementsAre(60, 55, 50));
  EXPECT_THAT(t->type.axes[3].coordinates, ElementsAre(0, 10, 20, 30));
  for (size_t i = 0; i < 48; ++i)
    EXPECT_NEAR(t->values[i], formula(i), 25.0 / 65535) << i;  // 16 bits for a range of 25
  const Result<Loaded> surface = load(read_file("surface.grib1"), "2t", trusted());
  ASSERT_TRUE(surface.ok()) << to_string(surface.error());
  EXPECT_EQ(surface->type.shape(), (std::vector<int64_t>{3, 4}));
  for (size_t i = 0; i < 12; ++i) {
    if (i == 4) EXPECT_TRUE(std::isnan(surface->values[i]));
    else EXPECT_NEAR(surface->values[i], formula(i), 25.0 / 65535) << i;
  }
}

TEST(Grib, NoticesACutMessage) {
  const std::string file = read_file("pressure.grib2");
  EXPECT_THAT(message(load(file.substr(0, file.size() - 3), "", trusted())),
              HasSubstr("ends within a message"));
  EXPECT_THAT(message(load(file + "junk that is no message", "", trusted())),
              HasSubstr("no message begins here"));
}

TEST(OpenFieldFile, WantsTrustForFormatsOfUnhardenedLibraries) {
  for (const char* name : {"netcdf4.nc", "pressure.grib2"}) {
    const Result<Loaded> loaded = load(read_file(name), "t");
    EXPECT_EQ(loaded.code(), StatusCode::kPermissionDenied) << name;
    EXPECT_THAT(message(loaded), HasSubstr("\"trusted\": true"));
  }
  EXPECT_THAT(message(load("")), HasSubstr("an empty file"));
  EXPECT_THAT(message(load("a text")), HasSubstr("npy, npz, NetCDF or GRIB"));
}

FieldType written_type(weft_dtype dtype) {
  return {.name = "z",
          .long_name = "geopotential",
          .units = "m2 s-2",
          .dtype = dtype,
          .axes = {{"latitude", AxisKind::kLatitude, "degrees_north", 2, {0.1, 10}},
                   {"member", AxisKind::kOther, "", 3, {}}},
          .scalars = {{"level", AxisKind::kLevel, "hPa", 500}}};
}

TEST(EncodeField, IsReadBackWithEverything) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> wide = {1, 2.5, nan, -4, 1e-300, 6};
  const std::vector<float> narrow = {1, 2.5f, static_cast<float>(nan), -4, 1e-30f, 6};
  for (const FieldFormat format : {FieldFormat::kNpz, FieldFormat::kNetcdf, FieldFormat::kNetcdf4}) {
    for (const weft_dtype dtype : {WEFT_DTYPE_F32, WEFT_DTYPE_F64}) {
      const FieldType type = written_type(dtype);
      const void* data = dtype == WEFT_DTYPE_F64 ? static_cast<const void*>(wide.data()) : narrow.data();
      const Result<std::string> file = encode_field(type, data, format);
      ASSERT_TRUE(file.ok()) << to_string(file.error());
      EXPECT_EQ(*file, *encode_field(type, data, format)) << "not the same bytes again";
      EXPECT_EQ(field_format_of(std::as_bytes(std::span(*file))), format);
      const Result<Loaded> loaded = load(*file, "", trusted());
      ASSERT_TRUE(loaded.ok()) << to_string(loaded.error());
      EXPECT_EQ(loaded->type, type) << to_string(format);
      for (size_t i = 0; i < 6; ++i) {
        const double expected = dtype == WEFT_DTYPE_F64 ? wide[i] : double{narrow[i]};
        if (i == 2) EXPECT_TRUE(std::isnan(loaded->values[i]));
        else EXPECT_EQ(loaded->values[i], expected) << to_string(format) << " " << i;
      }
    }
  }
}

TEST(EncodeField, WritesNumpysOwnBytes) {
  FieldType type = written_type(WEFT_DTYPE_F32);
  type.axes = {{.name = "y", .size = 3}, {.name = "x", .size = 4}};
  std::vector<float> values(12);
  for (size_t i = 0; i < 12; ++i) values[i] = static_cast<float>(formula(i));
  EXPECT_EQ(*encode_field(type, values.data(), FieldFormat::kNpy), read_file("f4.npy"));
}

TEST(EncodeField, RefusesWhatAFormatCannotHold) {
  FieldType type = written_type(WEFT_DTYPE_F32);
  const std::vector<float> values(6);
  EXPECT_EQ(encode_field(type, values.data(), FieldFormat::kGrib).code(), StatusCode::kUnsupported);
  type.name = "a/b";
  for (const FieldFormat format : {FieldFormat::kNetcdf, FieldFormat::kNetcdf4})
    EXPECT_THAT(to_string(encode_field(type, values.data(), format).error()), HasSubstr("'a/b'"));
}

}  // namespace
}  // namespace weft
