#include "cpu_backend/kernels/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pgram {
namespace {

TEST(VectorMath, ExpIsWithinTwoTenMillionths) {
  double worst = 0;
  for (double x = -87; x <= 88; x += 1.0 / 4096) {
    const double exact = std::exp(x);
    worst = std::max(worst, std::abs(vector_exp(static_cast<float>(x)) / exact - 1));
  }
  EXPECT_LT(worst, 2e-7);
}

TEST(VectorMath, ExpHandlesTheEnds) {
  EXPECT_EQ(vector_exp(0.0f), 1.0f);
  EXPECT_EQ(vector_exp(-std::numeric_limits<float>::infinity()), 0.0f);
  EXPECT_EQ(vector_exp(-1e30f), 0.0f);
  EXPECT_TRUE(std::isfinite(vector_exp(1e30f)));
}

TEST(VectorMath, NormalCdfIsWithinTwoTenMillionths) {
  double worst = 0;
  for (double x = -20; x <= 20; x += 1.0 / 2048)
    worst = std::max(worst, std::abs(vector_normal_cdf(static_cast<float>(x)) - 0.5 * std::erfc(-x / std::sqrt(2.0))));
  EXPECT_LT(worst, 2e-7);
  EXPECT_EQ(vector_normal_cdf(0.0f), 0.5f);
  EXPECT_EQ(vector_normal_cdf(40.0f), 1.0f);
  EXPECT_EQ(vector_normal_cdf(-40.0f), 0.0f);
}

}  // namespace
}  // namespace pgram
