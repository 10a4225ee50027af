// The goodput of long runs against closed forms.
#include "sim/whole_run/goodput.h"

#include <gtest/gtest.h>

#include "sim/whole_run/formulas.h"

namespace pgram {
namespace {

TEST(Goodput, OfAnEndlessRunIsDalysCompleteModel) {
  const TrainingRun run{10, 30, 600, 10800};
  const std::vector<double> gaps = failure_gaps(1 << 16, 7);
  for (const uint64_t every : {5, 40, 80, 160, 600})
    EXPECT_NEAR(goodput(run, every, gaps), expected_goodput(run, 10.0 * every), 1e-4);
}

}  // namespace
}  // namespace pgram
