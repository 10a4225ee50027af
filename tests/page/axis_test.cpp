// Axes: every value lies on them, ticks are round and not crowded.
#include "cli/page/axis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "cli/page/text.h"

namespace pgram::page {
namespace {

void expect_sensible(const Axis& axis, const std::vector<double>& values, int most) {
  ASSERT_LT(axis.low, axis.high);
  EXPECT_TRUE(!axis.log || axis.low > 0);
  for (const double value : values) {
    EXPECT_GE(axis.at(value), 0);
    EXPECT_LE(axis.at(value), 1);
  }
  EXPECT_GE(axis.ticks.size(), 1u);
  EXPECT_LE(std::ssize(axis.ticks), 2 * most);
  for (size_t i = 0; i < axis.ticks.size(); ++i) {
    EXPECT_GE(axis.at(axis.ticks[i]), -1e-9);
    EXPECT_LE(axis.at(axis.ticks[i]), 1 + 1e-9);
    EXPECT_TRUE(i == 0 || axis.ticks[i - 1] < axis.ticks[i]);
  }
}

TEST(Axis, AnyValues) {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> exponent(-9, 12), share(0, 1);
  for (int i = 0; i < 2000; ++i) {
    const double base = std::pow(10, exponent(random)), span = std::pow(10, 6 * share(random));
    std::vector<double> values(1 + random() % 20);
    for (double& value : values) value = base * (1 + span * share(random)) - (random() % 4 == 0 ? base : 0);
    expect_sensible(axis_of(values, static_cast<Spacing>(random() % 3), 6), values, 6);
  }
}

TEST(Axis, NoValuesOneValueAndThoseThatAreNone) {
  const double infinity = std::numeric_limits<double>::infinity();
  expect_sensible(axis_of({}), {}, 6);
  expect_sensible(axis_of(std::vector{5.0}), {5}, 6);
  expect_sensible(axis_of(std::vector{0.0}), {0}, 6);
  expect_sensible(axis_of(std::vector{-3.0, infinity, std::nan("")}), {-3}, 6);
  expect_sensible(axis_at({}), {}, 6);
  expect_sensible(axis_at(std::vector{8.0}), {8}, 6);
}

TEST(Axis, RoundTicks) {
  // 0.96 to 2.04 with the room of 4 % at each end.
  std::string ticks;
  for (const double tick : axis_of(std::vector{1.0, 2.0}, Spacing::linear, 6).ticks) ticks += rounded(tick) + " ";
  EXPECT_EQ(ticks, "1.00 1.20 1.40 1.60 1.80 2.00 ");
  const Axis decades = axis_of(std::vector{0.02, 300.0});
  EXPECT_TRUE(decades.log);
  EXPECT_EQ(decades.ticks.size(), 4u);  // 0.1, 1, 10, 100: with 3s between them there would be 9
  EXPECT_FALSE(axis_of(std::vector{1.0, 7.9}).log);
  EXPECT_TRUE(axis_of(std::vector{1.0, 8.0}).log);
  EXPECT_EQ(axis_of(std::vector{3.0, 8.0}, Spacing::from_zero).low, 0);
}

TEST(Axis, TicksAtCountsThatAreFarEnoughApart) {
  EXPECT_EQ(axis_at(std::vector<double>{64, 8, 16, 32, 64}).ticks, (std::vector<double>{8, 16, 32, 64}));
  // 1 to 256: an eighth of the axis for each doubling, a third of that between 48 and 64.
  const Axis crowded = axis_at(std::vector<double>{1, 2, 4, 48, 64, 256}, 0.09);
  EXPECT_EQ(crowded.ticks, (std::vector<double>{1, 2, 4, 48, 256}));
  // The last one always has its tick.
  EXPECT_EQ(axis_at(std::vector<double>{1, 255, 256}).ticks, (std::vector<double>{1, 256}));
}

}  // namespace
}  // namespace pgram::page
