#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "kernels/quant/dequantize.h"
#include "kernels/quant/half.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

struct GoldenRecord {
  std::string name;
  std::vector<uint8_t> blocks;
  std::vector<float> values;
};

/// The records of assets/golden/quant_blocks.bin; scripts/make_golden/quant_blocks.py says how they lie.
std::vector<GoldenRecord> read_golden() {
  std::ifstream file("assets/golden/quant_blocks.bin", std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<GoldenRecord> records;
  size_t at = 4;
  const auto take = [&](void* to, size_t size) {
    if (at + size > bytes.size()) return false;
    std::memcpy(to, bytes.data() + at, size);
    at += size;
    return true;
  };
  while (at < bytes.size()) {
    GoldenRecord record;
    uint8_t name_size = 0;
    uint32_t block_bytes = 0, count = 0;
    take(&name_size, 1);
    record.name.resize(name_size);
    take(record.name.data(), name_size);
    take(&block_bytes, 4);
    take(&count, 4);
    record.blocks.resize(block_bytes);
    record.values.resize(count);
    take(record.blocks.data(), block_bytes);
    if (!take(record.values.data(), size_t{count} * 4)) break;
    records.push_back(std::move(record));
  }
  return records;
}

WeightFormat format_named(const std::string& name) {
  for (int i = 0; i < kWeightFormatCount; ++i) {
    if (name == block_layout(static_cast<WeightFormat>(i)).name) return static_cast<WeightFormat>(i);
  }
  ADD_FAILURE() << "no format " << name;
  return WeightFormat::kF32;
}

TEST(Dequantize, GivesTheReferencesValuesForEveryQuantisedFormat) {
  const std::vector<GoldenRecord> records = read_golden();
  ASSERT_EQ(records.size(), 13u);
  for (const GoldenRecord& record : records) {
    const WeightFormat format = format_named(record.name);
    const int64_t count = static_cast<int64_t>(record.values.size());
    ASSERT_EQ(weights_bytes(format, count), static_cast<int64_t>(record.blocks.size())) << record.name;
    std::vector<float> got(record.values.size());
    dequantize(format, record.blocks.data(), count, got.data());
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(got[i], record.values[i]) << record.name << ", value " << i;
  }
}

TEST(Dequantize, ConvertsThePlainFormats) {
  const double f64[] = {1.5, -2.25};
  const int8_t i8[] = {-128, 127};
  const int32_t i32[] = {-70000, 5};
  float y[2];
  dequantize(WeightFormat::kF64, f64, 2, y);
  EXPECT_EQ(y[1], -2.25f);
  dequantize(WeightFormat::kI8, i8, 2, y);
  EXPECT_EQ(y[0], -128.0f);
  dequantize(WeightFormat::kI32, i32, 2, y);
  EXPECT_EQ(y[0], -70000.0f);
}

TEST(Half, EveryF16SurvivesTheWayThroughF32) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = f32_from_f16_bits(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f32_from_f16_bits(f16_bits(value))));
    } else {
      ASSERT_EQ(f16_bits(value), bits);
    }
  }
  EXPECT_EQ(f32_from_f16_bits(0x3c00), 1.0f);
  EXPECT_EQ(f32_from_f16_bits(0x0001), 0x1p-24f);
  EXPECT_EQ(f32_from_f16_bits(0x7bff), 65504.0f);
}

TEST(Half, RoundsToNearestEvenAndOverflowsToInfinity) {
  EXPECT_EQ(f16_bits(1.0f + 0x1p-11f), 0x3c00);      // a tie, down to even
  EXPECT_EQ(f16_bits(1.0f + 3 * 0x1p-11f), 0x3c02);  // a tie, up to even
  EXPECT_EQ(f16_bits(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);
  EXPECT_EQ(f16_bits(65519.0f), 0x7bff);
  EXPECT_EQ(f16_bits(65520.0f), 0x7c00);
  EXPECT_EQ(f16_bits(-0x1p-25f), 0x8000);
  EXPECT_EQ(f16_bits(0x1.8p-25f), 0x0001);
  EXPECT_EQ(bf16_bits(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(bf16_bits(1.0f + 3 * 0x1p-8f), 0x3f82);
  EXPECT_TRUE(std::isnan(f32_from_bf16_bits(bf16_bits(std::bit_cast<float>(0x7f800001u)))));
}

TEST(Quantize, IsUndoneByDequantizeUpToHalfAStepOfTheBlock) {
  struct Case {
    WeightFormat format;
    double tolerance;  // relative error of normally distributed values, a little above what is typical
  };
  const Case cases[] = {{WeightFormat::kF32, 0},     {WeightFormat::kF16, 3e-4},  {WeightFormat::kBF16, 3e-3},
                        {WeightFormat::kQ4_0, 0.10}, {WeightFormat::kQ4_1, 0.08}, {WeightFormat::kQ5_0, 0.05},
                        {WeightFormat::kQ5_1, 0.04}, {WeightFormat::kQ8_0, 6e-3}};
  const std::vector<float> x = testing::random_normal(4096, 7);
  for (const Case& c : cases) {
    std::vector<uint8_t> bytes(static_cast<size_t>(weights_bytes(c.format, 4096)));
    std::vector<float> y(x.size());
    ASSERT_TRUE(quantize(c.format, x.data(), 4096, bytes.data()));
    dequantize(c.format, bytes.data(), 4096, y.data());
    EXPECT_LE(testing::relative_error(y.data(), x.data(), 4096), c.tolerance) << block_layout(c.format).name;
  }
}

TEST(Quantize, KeepsZeroBlocksZeroAndRefusesOtherFormats) {
  const std::vector<float> zeros(256);
  std::vector<uint8_t> bytes(1024);
  std::vector<float> y(256, 1.0f);
  for (const WeightFormat format : {WeightFormat::kQ4_0, WeightFormat::kQ4_1, WeightFormat::kQ5_0,
                                    WeightFormat::kQ5_1, WeightFormat::kQ8_0}) {
    ASSERT_TRUE(quantize(format, zeros.data(), 256, bytes.data()));
    dequantize(format, bytes.data(), 256, y.data());
    EXPECT_EQ(y, zeros) << block_layout(format).name;
  }
  EXPECT_FALSE(quantize(WeightFormat::kQ4_K, zeros.data(), 256, bytes.data()));
  EXPECT_FALSE(quantize(WeightFormat::kI32, zeros.data(), 256, bytes.data()));
}

}  // namespace
}  // namespace weft
