// Plans by chance, with fixed seeds: every combination that validate() accepts gives a plan that verify() accepts.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/plan/plan_file.h"
#include "core/plan/verify.h"
#include "core/planner/planner.h"
#include "tests/planner/chance.h"
#include "tests/planner/small_models.h"

namespace pgram {
namespace {

using namespace test;

TEST(RandomPlans, AreGoodAndSurviveTheirFile) {
  Chance chance(7);
  int accepted = 0;
  for (int tries = 0; accepted < 200; ++tries) {
    ASSERT_LT(tries, 2000) << "too few combinations are legal";
    const Model model = chance.model();
    const Layout l = chance.layout();
    const Workload w = chance.workload(l);
    if (refusal([&] { validate(model, l, w); }) != "accepted") continue;
    ++accepted;
    const Plan plan = make_plan(model, l, w);
    const std::string text = model.name + " of " + std::to_string(model.layers) + " layers, " + to_text(l) + " " +
                             l.schedule + " batch " + std::to_string(w.global_batch) + "/" +
                             std::to_string(w.micro_batch) + " x " + std::to_string(w.sequence);
    EXPECT_EQ(verify(plan), "") << text;
    EXPECT_EQ(plan.mesh.ranks(), l.ranks());
    EXPECT_EQ(plan.programs.size(), l.pp);
    if (accepted % 10 == 0) {
      const std::string json = plan_to_json(plan);
      EXPECT_EQ(plan_to_json(plan_from_json(json, "plan.json")), json) << text;
    }
  }
}

TEST(RandomPlans, EverySlotOfEveryPoolIsUsed) {
  Chance chance(8);
  for (int accepted = 0; accepted < 30;) {
    const Model model = chance.model();
    const Layout l = chance.layout();
    const Workload w = chance.workload(l);
    if (refusal([&] { validate(model, l, w); }) != "accepted") continue;
    ++accepted;
    const Plan plan = make_plan(model, l, w);
    for (const Program& program : plan.programs) {
      std::vector<std::vector<bool>> used;
      for (const Pool& pool : program.pools) used.emplace_back(pool.slots, false);
      for (const Arg& arg : program.args) used[arg.pool()][arg.slot()] = true;
      for (size_t p = 0; p < used.size(); ++p) {
        EXPECT_TRUE(std::all_of(used[p].begin(), used[p].end(), [](bool u) { return u; }))
            << plan.records[program.pools[p].record].name << " has memory that no call uses: " << to_text(l);
      }
    }
  }
}

TEST(SchedulePlans, AreGood) {
  for (uint32_t ranks = 1; ranks <= 6; ++ranks) {
    for (const uint32_t m : {1u, 2u, 5u, 9u}) {
      for (const Schedule& rows : {gpipe(ranks, m), one_f_one_b(ranks, m)}) {
        const Plan plan = make_schedule_plan(rows);
        EXPECT_EQ(verify(plan), "") << to_text(rows);
        // One opaque op for each F and B, one task for each end of each transfer: 2 P M + 4 (P - 1) M.
        EXPECT_EQ(plan.tasks(), 2 * ranks * m + 4 * (ranks - 1) * m);
      }
    }
  }
}

}  // namespace
}  // namespace pgram
