// Goodput and the best checkpoint interval, found by simulation, against Young's and Daly's formulas.
#include "sim/whole_run/goodput.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/base/errors.h"
#include "sim/whole_run/failure_sample.h"
#include "sim/whole_run/formulas.h"
#include "sim/whole_run/random.h"

namespace pgram {
namespace {

/// From a cluster that hardly fails to one that fails in every second checkpoint: sqrt(C / 2M) from 0.0007 to 0.2.
const std::vector<TrainingRun> kRuns{{.step = 0.5, .checkpoint = 2, .restart = 600, .mtbf = 2e6},
                                     {.step = 10, .checkpoint = 0.5, .restart = 600, .mtbf = 10800},
                                     {.step = 10, .checkpoint = 30, .restart = 630, .mtbf = 10800},
                                     {.step = 5, .checkpoint = 60, .restart = 660, .mtbf = 356'000},
                                     {.step = 12, .checkpoint = 300, .restart = 900, .mtbf = 3600}};

TEST(Goodput, IsDalysCompleteModel) {
  // At the best interval the root mean square error of so many gaps is 2e-7 to 2e-6, over six seeds; elsewhere it
  // grows with the interval.
  const std::vector<double> gaps = failure_gaps(1 << 18, 7);
  for (const TrainingRun& run : kRuns) {
    const double best = daly_interval(run);
    for (const double factor : {0.25, 0.5, 1.0, 2.0, 4.0}) {
      const auto every = static_cast<uint64_t>(std::max(1.0, best * factor / run.step));
      EXPECT_NEAR(goodput(run, every, gaps), expected_goodput(run, static_cast<double>(every) * run.step), 2e-5)
          << run.mtbf << " " << factor;
    }
  }
}

TEST(Goodput, TheBestIntervalIsDalys) {
  // Around the best interval t the share that is not useful grows as w/2 (e^x + e^-x) - w = w x^2 / 2 where x is the
  // logarithm of interval / t and w = sqrt(2 C / M). A noise of s in the difference of two goodputs moves the highest
  // by x = sqrt(2 s / w) where single steps are compared. With 2^18 gaps s is 0.0002 w at most, over six seeds: x =
  // 0.02. A parabola through seven points evens that out, but lets the third order in: its points are x = -0.6 to 0.6
  // off, of which sum x^4 / sum x^2 = 0.28, and the term (t/M)^2 / 6 of e^(t/M) moves its vertex by 0.28 x 8/6 x w^2 /
  // 6 / w = 0.06 w. Steps are whole: half a step of t.
  const std::vector<double> gaps = failure_gaps(1 << 18, 3);
  for (const TrainingRun& run : kRuns) {
    const Goodput best = best_goodput(run, gaps);
    const double daly = daly_interval(run), waste = std::sqrt(2 * run.checkpoint / run.mtbf);
    const double tolerance = 0.02 + 0.06 * waste + 0.5 * run.step / daly;
    EXPECT_NEAR(std::log(best.interval / daly), 0, tolerance) << run.mtbf;
    EXPECT_EQ(best.interval, static_cast<double>(best.every) * run.step);
    EXPECT_EQ(best.share, goodput(run, best.every, gaps));
    // Young's is the first order of it: shorter by 2/3 sqrt(C / 2M) of itself in Daly's second order.
    const double order = 2.0 / 3 * std::sqrt(run.checkpoint / (2 * run.mtbf));
    EXPECT_NEAR(std::log(best.interval / young_interval(run)), 0, order + tolerance) << run.mtbf;
  }
}

TEST(Goodput, FewGapsGiveNearlyTheSame) {
  // What a case of a sweep takes. With 2^10 gaps s is 0.013 w at most, over 200 seeds, so that single steps are right
  // to x = 0.16; the parabola's vertex was right to 0.04. The true goodput is then less than the best by w x^2 / 2 =
  // 0.013 w. The share that it says was off by 0.03 w at most.
  for (const TrainingRun& run : kRuns) {
    const Goodput best = best_goodput(run);
    const double waste = std::sqrt(2 * run.checkpoint / run.mtbf);
    const double highest = expected_goodput(run, daly_interval(run));
    EXPECT_GT(expected_goodput(run, best.interval), highest - 0.015 * waste) << run.mtbf;
    EXPECT_NEAR(best.share, highest, 0.04 * waste) << run.mtbf;
    EXPECT_EQ(best.every, best_goodput(run).every);
  }
}

TEST(Goodput, WithoutCostThereIsACheckpointAfterEveryStep) {
  const TrainingRun run{.step = 7, .checkpoint = 0, .restart = 60, .mtbf = 5000};
  const Goodput best = best_goodput(run);
  EXPECT_EQ(best.every, 1u);
  EXPECT_NEAR(best.share, expected_goodput(run, 7), 1e-4);
}

TEST(Goodput, IsNothingWhereNoCheckpointIsEverReached) {
  const std::vector<double> gaps = failure_gaps(1024, 1);
  // The longest of 1,024 gaps is some 7 to 15 times the mean of 1 s.
  EXPECT_EQ(goodput({.step = 1, .checkpoint = 0, .restart = 100, .mtbf = 1}, 1, gaps), 0);
  EXPECT_EQ(goodput({.step = 100, .checkpoint = 0, .restart = 0, .mtbf = 1}, 1, gaps), 0);
}

TEST(Goodput, CountsWholeCheckpoints) {
  // 1 s, 4 s and 6.5 s, each 0.5 s less by the restart: 0, 3 and 6 checkpoints of a step of 1 s in 11.5 s.
  const std::vector<double> gaps{0.5, 2, 3.25};
  EXPECT_EQ(goodput({.step = 1, .checkpoint = 0, .restart = 0.5, .mtbf = 2}, 1, gaps), 9 / 11.5);
  // Of 2^-31 s: more than 2^34.
  EXPECT_EQ(goodput({.step = 0x1p-31, .checkpoint = 0, .restart = 0, .mtbf = 2}, 1, gaps), 1);
}

TEST(Goodput, GapsAreStratified) {
  const std::vector<double> gaps = failure_gaps(1000, 5);
  EXPECT_EQ(gaps, failure_gaps(1000, 5));
  EXPECT_NE(gaps, failure_gaps(1000, 6));
  double sum = 0;
  for (size_t i = 0; i < gaps.size(); ++i) {
    const double tail = std::exp(-gaps[i]);  // the chance of a longer one
    EXPECT_GE(tail, static_cast<double>(i) / 1000 - 1e-12);
    EXPECT_LE(tail, static_cast<double>(i + 1) / 1000 + 1e-12);
    sum += gaps[i];
  }
  EXPECT_NEAR(sum / 1000, 1, 0.005);
}

TEST(BestInterval, FindsTheHighestOfASmoothFunction) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const TrainingRun run{.step = 1,
                          .checkpoint = std::exp(8 * random_uniform(seed, 0) - 3),
                          .restart = 10,
                          .mtbf = std::exp(8 + 6 * random_uniform(seed, 1))};
    const auto at = [&](uint64_t every) { return expected_goodput(run, static_cast<double>(every)); };
    const auto most = static_cast<uint64_t>(run.mtbf);
    uint64_t asked = 0;
    const uint64_t found = best_interval(most, [&](uint64_t every) {
      EXPECT_GE(every, 1u);
      EXPECT_LE(every, most);
      ++asked;
      return at(every);
    });
    uint64_t best = 1;
    for (uint64_t every = 2; every <= most && every < 100'000; ++every)
      if (at(every) > at(best)) best = every;
    // As above, without noise: 0.06 w and half a step. The parabola's middle may be 0.38 off, at the end of a bracket
    // of 1: the third derivative of cosh there moves the vertex by 0.28 x 0.38 / 6 = 0.018.
    const double waste = std::sqrt(2 * run.checkpoint / run.mtbf);
    if (best < 99'999) {
      EXPECT_LE(std::abs(std::log(static_cast<double>(found) / static_cast<double>(best))),
                0.018 + 0.06 * waste + 0.5 / static_cast<double>(best))
          << seed;
    }
    EXPECT_LE(asked, 24u);
  }
  EXPECT_EQ(best_interval(1, [](uint64_t) { return 1.0; }), 1u);
  EXPECT_EQ(best_interval(2, [](uint64_t every) { return static_cast<double>(every); }), 2u);
  EXPECT_EQ(best_interval(1'000'000, [](uint64_t every) { return -static_cast<double>(every); }), 1u);
}

TEST(Formulas, OfTheirAuthors) {
  // C = 2, M = 100: Young 20 s. sqrt(C / 2M) = 0.1: Daly 20 (1 + 0.1 / 3 + 0.01 / 9) - 2 = 18.68889.
  const TrainingRun run{.step = 1, .checkpoint = 2, .restart = 0, .mtbf = 100};
  EXPECT_DOUBLE_EQ(young_interval(run), 20);
  EXPECT_NEAR(daly_interval(run), 18.6888889, 1e-6);
  EXPECT_EQ(daly_interval({.step = 1, .checkpoint = 200, .restart = 0, .mtbf = 100}), 100);
  // Failures that hardly come: t / (t + C) (1 - (t + C) / 2M - R / M).
  const TrainingRun rare{.step = 1, .checkpoint = 10, .restart = 30, .mtbf = 1e6};
  EXPECT_NEAR(expected_goodput(rare, 90), 0.9 * (1 - 50e-6 - 30e-6), 1e-8);
  // Daly's interval is that of the highest goodput to the third order: 5 % away on either side it is lower. There
  // t / M = 1 - e^-((t + C) / M).
  for (const TrainingRun& each : kRuns) {
    const double best = daly_interval(each), at = expected_goodput(each, best);
    EXPECT_NEAR(best / each.mtbf, -std::expm1(-(best + each.checkpoint) / each.mtbf), 0.02 * best / each.mtbf);
    EXPECT_GT(at, expected_goodput(each, best * 1.05));
    EXPECT_GT(at, expected_goodput(each, best / 1.05));
  }
}

TEST(FailureSample, DaysAreThoseOfTheFormula) {
  // 30 days of 240 failures each, 100 times.
  const TrainingRun run{.step = 10, .checkpoint = 30, .restart = 630, .mtbf = 10800};
  const Seconds wall = 30 * 86400;
  const FailureSample sample(run.mtbf, wall, 100, 11);
  const ExpectedDays days = sample.days(run, 80);
  // A run begins without a restart and ends without a loss: that is less than one failure's share of 240.
  const double formula = expected_goodput(run, 800);
  EXPECT_NEAR(days.goodput, formula, 4 * days.standard_error + (1 - formula) / 240);
  EXPECT_NEAR(days.failures, 240, 4 * std::sqrt(240 / 100.0));
  EXPECT_NEAR(days.useful + days.checkpoints + days.lost + days.restarts, wall, 1e-3);
  EXPECT_NEAR(days.useful, days.goodput * wall, 1e-3);
  EXPECT_NEAR(days.steps * run.step, days.useful, run.step);
  // What a failure throws away is its time modulo the cycle of c = 830 s: M - c / (e^(c/M) - 1) = 409.7 s in the mean,
  // and nothing where it comes during a restart: e^(-630 / 10800) of 409.7 s. Its standard deviation is about that of a
  // uniform time, 250 s, and there are 24,000.
  EXPECT_NEAR(days.lost / days.failures, 386.5, 4 * 250 / std::sqrt(24'000.0));
  EXPECT_EQ(days.goodput, FailureSample(run.mtbf, wall, 100, 11).days(run, 80).goodput);
  EXPECT_NE(days.goodput, FailureSample(run.mtbf, wall, 100, 12).days(run, 80).goodput);
}

TEST(FailureSample, OfTooManyFailuresIsRefused) {
  EXPECT_THROW(FailureSample(0.01, 86400, 100, 1), InputError);
}

}  // namespace
}  // namespace pgram
