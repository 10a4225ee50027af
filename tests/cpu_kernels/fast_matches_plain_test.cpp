// Every fast kernel against the plain one on odd shapes, with one and two threads, and bit-equal to itself in repeats.
#include "tests/cpu_kernels/kernel_cases.h"

namespace pgram {
namespace {

// Tile sizes are 48 queries x 64 keys x 16 floats: shapes below, at, above and across them.
const Shape kShapes[] = {
    {1, 1, 1, 2, 1, 1, 3, 1, 0},        {3, 7, 33, 6, 4, 2, 17, 2, 1},     {2, 48, 64, 16, 2, 2, 64, 1, 0},
    {1, 131, 130, 40, 3, 1, 100, 4, 3}, {2, 64, 257, 64, 4, 4, 251, 2, 0}, {1, 200, 520, 24, 6, 3, 300, 3, 2},
};

class FastMatchesPlain : public testing::TestWithParam<Shape> {};

TEST_P(FastMatchesPlain, EveryKernelWithOneAndTwoThreads) {
  for (KernelCase& c : cases(GetParam())) {
    // Sums of up to 600 terms in another order; attention's gradient subtracts two such sums that may be equal.
    const double tolerance = c.kernel() == Kernel::attention_bwd ? 1e-5 : 4e-6;
    const auto plain = c.run(KernelSet::plain);
    for (int threads : {1, 2}) {
      c.rank.threads = threads;
      const auto fast = c.run(KernelSet::fast), again = c.run(KernelSet::fast);
      for (int i = 0; i < c.operands(); ++i) {
        const std::string what =
            std::string(name_of(c.kernel())) + " operand " + std::to_string(i) + ", threads " + std::to_string(threads);
        if (!c.is_float(i)) continue;
        expect_close(fast[i], plain[i], tolerance, what);
        EXPECT_EQ(0, std::memcmp(fast[i].data(), again[i].data(), fast[i].size() * sizeof(float))) << what;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, FastMatchesPlain, testing::ValuesIn(kShapes));

}  // namespace
}  // namespace pgram
