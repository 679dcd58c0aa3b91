#include "pipeline/cli/byte_size.h"

#include <gtest/gtest.h>

namespace weft::cli {
namespace {

TEST(ByteSize, ReadsUnitsAsPowersOf1024) {
  const struct {
    const char* text;
    uint64_t size_bytes;
  } cases[] = {{"0", 0},
               {"4096", 4096},
               {"1K", 1024},
               {"512MiB", 512ull << 20},
               {"512 mb", 512ull << 20},
               {"1.5g", 3ull << 29},
               {"2T", 2ull << 40},
               {"7B", 7}};
  for (const auto& c : cases) {
    const Result<uint64_t> size = parse_byte_size(c.text);
    ASSERT_TRUE(size.ok()) << c.text;
    EXPECT_EQ(*size, c.size_bytes) << c.text;
  }
}

TEST(ByteSize, RefusesWhatIsNoSize) {
  for (const char* text : {"", "G", "-1", "1X", "1Gi2", "nan", "inf", "1e3", "1 2", "0x10"}) {
    EXPECT_EQ(parse_byte_size(text).code(), StatusCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(parse_byte_size("16384P").code(), StatusCode::kOutOfRange);
}

TEST(ByteSize, PrintsThreeDigits) {
  const struct {
    uint64_t size_bytes;
    const char* text;
  } cases[] = {{0, "0 B"},
               {1023, "1023 B"},
               {1024, "1.00 KiB"},
               {98362432, "93.8 MiB"},
               {1023 * 1024, "1.00 MiB"},
               {~0ull, "16384 PiB"}};
  for (const auto& c : cases) EXPECT_EQ(format_byte_size(c.size_bytes), c.text);
}

TEST(Duration, ChoosesTheUnit) {
  EXPECT_EQ(format_duration(0.0123), "12 ms");
  EXPECT_EQ(format_duration(1.254), "1.25 s");
  EXPECT_EQ(format_duration(42.04), "42.0 s");
  EXPECT_EQ(format_duration(184), "3 min 4 s");
  EXPECT_EQ(format_duration(18720), "5 h 12 min");
}

}  // namespace
}  // namespace weft::cli
