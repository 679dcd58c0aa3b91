// The devices of a host, with libweft_simt.so loaded as CUDA's library is.
#include "pipeline/memory/devices.h"

#include <gtest/gtest.h>

#include <set>

namespace weft {
namespace {

constexpr weft_device kSimt = {WEFT_DEVICE_SIMT, 0};

TEST(Devices, OpenWhenTheyAreNamedAndLimitTheirMemory) {
  CpuPool cpu;
  MemoryService memory({&cpu});
  Devices devices(memory, 1 << 20);
  EXPECT_TRUE(devices.open({WEFT_DEVICE_CPU, 0}).ok());
  EXPECT_EQ(devices.stream(kSimt).code(), StatusCode::kUnsupported);
  EXPECT_EQ(memory.pool(kSimt), nullptr);
  ASSERT_TRUE(devices.open(kSimt).ok());
  ASSERT_TRUE(devices.open(kSimt).ok()) << "again";
  EXPECT_EQ(devices.limit_bytes(kSimt), 1u << 20);
  EXPECT_EQ(devices.limit_bytes({WEFT_DEVICE_CPU, 0}), 0u);
  EXPECT_FALSE(devices.description(kSimt).empty());
  auto stream = devices.stream(kSimt);
  ASSERT_TRUE(stream.ok());
  auto buffer = allocate_buffer(*memory.pool(kSimt), 1000, 0, stream->get(), "x");
  ASSERT_TRUE(buffer.ok());
  EXPECT_EQ(memory.statistics(kSimt).live_bytes, 1000u);
  EXPECT_EQ(memory.statistics({WEFT_DEVICE_CPU, 0}).live_bytes, 0u);
  const auto beyond = allocate_buffer(*memory.pool(kSimt), 1 << 20, 0, stream->get(), "y");
  ASSERT_EQ(beyond.code(), StatusCode::kOutOfMemory);
  EXPECT_NE(to_string(beyond.error()).find("simt:0, buffer 'y'"), std::string::npos);
  *buffer = Buffer();
  EXPECT_EQ(memory.statistics(kSimt).live_bytes, 0u);
}

TEST(Devices, ThatAreNotThereAreNotOpened) {
  CpuPool cpu;
  MemoryService memory({&cpu});
  Devices devices(memory, 0);
  EXPECT_EQ(devices.open({WEFT_DEVICE_SIMT, 1}).code(), StatusCode::kNotFound);
  EXPECT_EQ(memory.pool({WEFT_DEVICE_SIMT, 1}), nullptr);
}

TEST(Devices, StreamsAreUsedAgain) {
  CpuPool cpu;
  MemoryService memory({&cpu});
  Devices devices(memory, 0);
  ASSERT_TRUE(devices.open(kSimt).ok());
  std::set<weft_stream*> seen;
  for (int i = 0; i < 5; ++i) {
    auto first = devices.stream(kSimt), second = devices.stream(kSimt);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_NE(first->get(), second->get());
    seen.insert({first->get(), second->get()});
  }
  EXPECT_EQ(seen.size(), 2u);
  EXPECT_EQ(devices.stream({WEFT_DEVICE_CPU, 0})->get(), nullptr);
}

}  // namespace
}  // namespace weft
