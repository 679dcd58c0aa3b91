/// The device that tests run on which any device can pass: WEFT_TEST_DEVICE, "cuda:0" for one, or else simt:0.
#ifndef WEFT_KERNELS_TESTING_DEVICE_NAME_H
#define WEFT_KERNELS_TESTING_DEVICE_NAME_H

#include <cstdlib>
#include <string>

namespace weft::testing {

inline std::string device_name() {
  const char* name = std::getenv("WEFT_TEST_DEVICE");
  return name && *name ? name : "simt:0";
}

}  // namespace weft::testing
#endif
