#include "kernels/device/device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "kernels/device/loader.h"
#include "kernels/device/ops.h"

namespace weft {
namespace {

TEST(DeviceName, IsAKindAndANumber) {
  EXPECT_EQ(parse_device_name("cuda:12")->index, 12);
  EXPECT_EQ(parse_device_name("cuda")->index, 0);
  EXPECT_EQ(parse_device_name("simt:0")->kind, "simt");
  for (const char* bad : {"", "cpu", "gpu:0", "cuda:", "cuda:-1", "cuda:1x", "cuda:99999999999", ":0"}) {
    EXPECT_EQ(parse_device_name(bad).code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(ComputeDevice::open(bad).code(), StatusCode::kInvalidArgument) << bad;
  }
}

TEST(DeviceOps, NameEveryFolderOfOps) {
  std::set<std::string> folders, named;
  for (const auto& entry : std::filesystem::directory_iterator("kernels/ops"))
    if (entry.is_directory()) folders.insert(entry.path().filename());
  DeviceOps().for_each([&](const auto& op) {
    const std::string name = op.name();
    named.insert(name.substr(0, name.find('/')));
    EXPECT_FALSE(op.served());
  });
  EXPECT_EQ(named, folders);
}

}  // namespace
}  // namespace weft
