#include "core/base/units.h"

#include <gtest/gtest.h>

#include "core/base/errors.h"

namespace pgram {
namespace {

TEST(Units, BytesInThreeDigits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1536), "1.50 KiB");  // 1.5 * 1024
  EXPECT_EQ(format_bytes(54ull << 30), "54.0 GiB");
  EXPECT_EQ(format_bytes(~0ull), "16.0 EiB");  // 2^64 - 1 rounds up
}

TEST(Units, TimeInTheLargestUnitBelowIt) {
  EXPECT_EQ(format_time(0), "0 ps");
  EXPECT_EQ(format_time(999), "999 ps");
  EXPECT_EQ(format_time(12'300'000), "12.3 us");
  EXPECT_EQ(format_time(279'000'000'000), "279 ms");
  EXPECT_EQ(format_time(24'400'000'000'000), "24.4 s");
  EXPECT_EQ(format_time(-1'500), "-1.50 ns");
}

TEST(Units, CountsHaveCommas) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(8'030'261'248), "8,030,261,248");
}

TEST(Units, SecondsAndPicosecondsConvert) {
  EXPECT_EQ(to_picoseconds(1.5e-6), 1'500'000);
  EXPECT_DOUBLE_EQ(to_seconds(2'500'000'000'000), 2.5);
}

TEST(Errors, OneLineWithTheKnownParts) {
  EXPECT_STREQ(InputError("a.json", 3, "layers", "must be positive").what(), "a.json:3: layers: must be positive");
  EXPECT_STREQ(InputError("a.json", 0, "layers", "must be positive").what(), "a.json: layers: must be positive");
  EXPECT_STREQ(InputError("--seq", "must be positive").what(), "--seq: must be positive");
}

}  // namespace
}  // namespace pgram
