// The Pareto front against the definition, tried for every pair.
#include "cli/sweep_report/front.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "cli/sweep_report/pictures.h"
#include "tests/sweep_report/made_rows.h"

namespace pgram::sweep_report {
namespace {

/// Cases that no other dominates; of equal ones the first, with the number of the others.
std::vector<FrontMember> by_definition(const std::vector<Objectives>& all) {
  std::vector<FrontMember> front;
  for (size_t i = 0; i < all.size(); ++i) {
    bool beaten = false, repeated = false;
    size_t equals = 0;
    for (size_t j = 0; j < all.size(); ++j) {
      beaten |= dominates(all[j], all[i]);
      if (j != i && all[j] == all[i]) ++equals, repeated |= j < i;
    }
    if (!beaten && !repeated) front.push_back({i, equals});
  }
  std::sort(front.begin(), front.end(), [&](const FrontMember& a, const FrontMember& b) {
    const auto key = [&](const FrontMember& m) {
      const Objectives& o = all[m.index];
      return std::tuple(o.step, o.cost, o.less_headroom);
    };
    return key(a) < key(b);
  });
  return front;
}

TEST(ParetoFront, AsDefined) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 600; ++trial) {
    // Few values give many ties, many values few.
    const uint32_t values = 1u << random() % 11;
    std::vector<Objectives> all(random() % 120);
    for (Objectives& o : all) {
      o = {double(random() % values), double(random() % values), -double(random() % values)};
      if (random() % 8 == 0) o.cost = std::numeric_limits<double>::infinity();
    }
    const std::vector<FrontMember> fast = pareto_front(all), slow = by_definition(all);
    ASSERT_EQ(fast.size(), slow.size()) << trial;
    for (size_t i = 0; i < fast.size(); ++i) {
      ASSERT_EQ(fast[i].index, slow[i].index) << trial;
      ASSERT_EQ(fast[i].equals, slow[i].equals) << trial;
    }
  }
}

TEST(ParetoFront, OfRowsMembersAndDominatedAreAll) {
  std::vector<Row> rows = test::made_rows(5, 400);
  rows.push_back(rows[17]);
  rows.push_back(rows[17]);
  std::vector<const Row*> all;
  std::vector<Objectives> objectives;
  for (const Row& row : rows) all.push_back(&row), objectives.push_back(objectives_of(row));
  const Front front = front_of(all);
  size_t equals = 0;
  for (const size_t more : front.equals) equals += more;
  EXPECT_EQ(front.members.size() + equals + front.dominated.size(), rows.size());
  for (const Row* row : front.dominated) {
    EXPECT_TRUE(std::any_of(objectives.begin(), objectives.end(),
                            [&](const Objectives& o) { return dominates(o, objectives_of(*row)); }));
  }
}

TEST(ParetoFront, UnknownCostsBeatNobodyOnCost) {
  // The second is slower and has less headroom, but its price is known.
  std::vector<Row> rows = test::made_rows(5, 2);
  sweep::Figures &a = rows[0].outcome.figures, &b = rows[1].outcome.figures;
  a.step_seconds = 1, b.step_seconds = 2;
  a.memory_headroom = 2e9, b.memory_headroom = 1e9;
  a.dollars_per_million_tokens = 0, b.dollars_per_million_tokens = 3;
  EXPECT_EQ(front_of({&rows[0], &rows[1]}).members.size(), 2u);
  b.dollars_per_million_tokens = 0;
  EXPECT_EQ(front_of({&rows[0], &rows[1]}).members, std::vector<const Row*>{&rows[0]});
}

}  // namespace
}  // namespace pgram::sweep_report
