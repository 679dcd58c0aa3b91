// Noise against PyTorch's: assets/golden/diffusion/noise.json, made by scripts/make_golden/noise.py.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "kernels/diffusion/noise/noise.h"
#include "modalities/weights/json_file.h"

namespace weft {
namespace {

using namespace diffusion;
using rapidjson::Value;

rapidjson::Document golden() {
  Result<rapidjson::Document> document =
      read_json_file("assets/golden/diffusion/noise.json", kMaxConfigBytes);
  EXPECT_TRUE(document.ok()) << to_string(document.error());
  return document.ok() ? std::move(*document) : rapidjson::Document();
}

uint64_t fnv(const std::vector<float>& values) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (float value : values) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    for (int i = 0; i < 4; ++i) hash = (hash ^ (bits >> (8 * i) & 0xFF)) * 0x100000001B3u;
  }
  return hash;
}

TEST(TorchCpuNoise, HasTheBitsOfPyTorch) {
  const rapidjson::Document document = golden();
  for (const Value& sequence : document["torch_cpu"].GetArray()) {
    NoiseGenerator generator(NoiseSource::kTorchCpu, sequence["seed"].GetUint64());
    for (const Value& call : sequence["calls"].GetArray()) {
      SCOPED_TRACE(std::to_string(sequence["seed"].GetUint64()) + ", " +
                   std::to_string(call["size"].GetInt()));
      std::vector<float> noise(static_cast<size_t>(call["size"].GetInt()));
      generator.fill(noise);
      if (call.HasMember("fnv")) {
        EXPECT_EQ(fnv(noise), std::strtoull(call["fnv"].GetString(), nullptr, 16));
        continue;
      }
      for (size_t i = 0; i < noise.size(); ++i) {
        const char* bits = call["bits"][static_cast<rapidjson::SizeType>(i)].GetString();
        EXPECT_EQ(std::bit_cast<uint32_t>(noise[i]), std::strtoul(bits, nullptr, 16)) << i;
      }
    }
  }
}

TEST(PhiloxNoise, HasTheNumbersOfCuda) {
  const rapidjson::Document document = golden();
  const Value& values = document["philox"]["values"];
  NoiseGenerator generator(NoiseSource::kPhilox, document["philox"]["seed"].GetUint64());
  std::vector<float> noise(values.Size());
  generator.fill(noise);
  for (rapidjson::SizeType i = 0; i < values.Size(); ++i) {
    EXPECT_NEAR(noise[i], values[i].GetDouble(), document["philox"]["tolerance"].GetDouble()) << i;
  }
}

TEST(PhiloxNoise, GivesAnElementTheSameNumberInAnySize) {
  std::vector<float> few(3), many(1000);
  NoiseGenerator(NoiseSource::kPhilox, 5).fill(few);
  NoiseGenerator(NoiseSource::kPhilox, 5).fill(many);
  EXPECT_EQ(few, std::vector<float>(many.begin(), many.begin() + 3));
}

TEST(Noise, IsNormal) {
  for (const NoiseSource source : {NoiseSource::kTorchCpu, NoiseSource::kPhilox}) {
    std::vector<float> noise(100'000);
    NoiseGenerator(source, 3).fill(noise);
    double sum = 0, squares = 0, fourth = 0;
    for (const float value : noise) {
      const double square = static_cast<double>(value) * value;
      sum += value, squares += square, fourth += square * square;
    }
    const double n = static_cast<double>(noise.size());
    EXPECT_NEAR(sum / n, 0, 0.02);
    EXPECT_NEAR(squares / n, 1, 0.02);
    EXPECT_NEAR(fourth / n, 3, 0.15);
  }
}

TEST(Noise, GoesOnFromCallToCall) {
  for (const NoiseSource source : {NoiseSource::kTorchCpu, NoiseSource::kPhilox}) {
    NoiseGenerator generator(source, 3);
    std::vector<float> first(32), second(32);
    generator.fill(first);
    generator.fill(second);
    EXPECT_NE(first, second);
  }
}

}  // namespace
}  // namespace weft
