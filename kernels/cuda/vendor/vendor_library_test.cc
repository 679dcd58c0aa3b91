#include "kernels/cuda/vendor/vendor_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "kernels/cuda/vendor/cublaslt.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;

TEST(VendorLibrary, TellsWhatWasTriedWhereThereIsNone) {
  const auto library = VendorLibrary::open("libweft_of_no_vendor.so.1");
  ASSERT_EQ(library.code(), StatusCode::kNotFound);
  const std::string text = to_string(library.error());
  EXPECT_NE(text.find("libweft_of_no_vendor.so.1 is not installed"), std::string::npos) << text;
  EXPECT_NE(text.find("/usr/local/cuda/lib64"), std::string::npos) << text;
}

TEST(VendorLibrary, IsLookedForInToolkitsAndWheels) {
  const fs::path environment = fs::path(::testing::TempDir()) / "weft_wheels";
  const fs::path wheel = environment / "lib/python3.11/site-packages/nvidia/cu13/lib";
  fs::create_directories(wheel);
  std::ofstream(wheel / "libx.so.1") << "";
  ::setenv("VIRTUAL_ENV", environment.c_str(), 1);
  ::setenv("CUDA_HOME", "/opt/cuda", 1);
  const std::vector<std::string> paths = vendor_library_paths("libx.so.1");
  ::unsetenv("VIRTUAL_ENV");
  ::unsetenv("CUDA_HOME");
  fs::remove_all(environment);
  EXPECT_EQ(paths.front(), "libx.so.1");
  EXPECT_THAT(paths, Contains("/opt/cuda/lib64/libx.so.1"));
  EXPECT_THAT(paths, Contains((wheel / "libx.so.1").string()));
}

TEST(VendorLibrary, CublasLtLoadsWithoutADriver) {
  const auto lt = load_cublaslt();
  if (lt.code() == StatusCode::kNotFound) GTEST_SKIP() << "skipped: cuBLASLt is not installed";
  ASSERT_TRUE(lt.ok()) << to_string(lt.error());
  EXPECT_EQ(lt->version.substr(0, lt->version.find('.')), std::to_string(CUBLAS_VER_MAJOR));
  EXPECT_TRUE(fs::exists(lt->path)) << lt->path;
  EXPECT_EQ(vendor_version(130100), "13.1.0");
}

}  // namespace
}  // namespace weft
