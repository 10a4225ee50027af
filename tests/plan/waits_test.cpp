// Every wait that link() places is needed: remove any one of them and verify() refuses the plan. link() and verify()
// share no code, so each is a check of the other.
#include <gtest/gtest.h>

#include "tests/plan/edit.h"

namespace pgram {
namespace {

using namespace test;

std::string place(const Plan& plan, size_t role, size_t call, const Sync& sync) {
  const Call& c = plan.programs[role].calls[call];
  return "role " + std::to_string(role) + " call " + std::to_string(call) + " " + plan.bodies[c.body].name + "." +
         std::to_string(sync.op) + (sync.records() ? " record " : " wait ") + std::to_string(sync.slot());
}

/// The plan without the `index`-th sync of a role.
Plan without_sync(Plan plan, size_t role, uint32_t index) {
  Program& program = plan.programs[role];
  program.syncs.erase(program.syncs.begin() + index);
  for (Call& call : program.calls) {
    if (index >= call.first_sync && index < call.first_sync + call.num_syncs) {
      --call.num_syncs;
    } else if (call.first_sync > index) {
      --call.first_sync;
    }
  }
  return plan;
}

/// The plan without the `index`-th wait of a body's op.
Plan without_wait(Plan plan, size_t b, size_t op, uint8_t index) {
  Body& body = plan.bodies[b];
  std::vector<uint16_t> rest;
  for (uint8_t w = 0; w < body.ops[op].num_waits; ++w) {
    if (w != index) rest.push_back(body.waits[body.ops[op].first_wait + w]);
  }
  body.ops[op].num_waits = static_cast<uint8_t>(rest.size());
  body.ops[op].first_wait = static_cast<uint32_t>(body.waits.size());
  body.waits.insert(body.waits.end(), rest.begin(), rest.end());
  return plan;
}

struct Case {
  Model model;
  std::string layout;
  std::string schedule;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.model.name << " " << c.layout << " " << c.schedule;
}

class Waits : public ::testing::TestWithParam<Case> {};

TEST_P(Waits, EachSyncIsNeeded) {
  const Case& c = GetParam();
  const Plan plan = good(c.model, c.layout, work(6, 1), c.schedule);
  int removed = 0;
  for (size_t role = 0; role < plan.programs.size(); ++role) {
    const Program& program = plan.programs[role];
    for (size_t call = 0; call < program.calls.size(); ++call) {
      const Call& at = program.calls[call];
      for (uint32_t s = at.first_sync; s < at.first_sync + at.num_syncs; ++s) {
        EXPECT_NE(verify(without_sync(plan, role, s)), "")
            << "not needed: " << place(plan, role, call, program.syncs[s]);
        ++removed;
      }
    }
  }
  EXPECT_GT(removed, 0);
}

TEST_P(Waits, EachWaitWithinABodyIsNeeded) {
  const Case& c = GetParam();
  const Plan plan = good(c.model, c.layout, work(6, 1), c.schedule);
  for (size_t b = 0; b < plan.bodies.size(); ++b) {
    for (size_t op = 0; op < plan.bodies[b].ops.size(); ++op) {
      for (uint8_t w = 0; w < plan.bodies[b].ops[op].num_waits; ++w) {
        EXPECT_NE(verify(without_wait(plan, b, op, w)), "")
            << "not needed: " << plan.bodies[b].name << "." << op << ":" << name_of(plan.bodies[b].ops[op].kernel)
            << " after " << plan.bodies[b].waits[plan.bodies[b].ops[op].first_wait + w];
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Plans, Waits,
                         ::testing::Values(Case{llama(), "tp2", "1f1b"}, Case{llama(), "tp2.sp", "1f1b"},
                                           Case{llama(), "pp2", "1f1b"}, Case{llama(), "pp3", "gpipe"},
                                           Case{llama(), "dp2", "1f1b"}, Case{gpt2(), "tp2.pp2.dp2.sp", "1f1b"},
                                           Case{gpt2(), "tp2.pp2.dp2", "gpipe"}, Case{gpt_neox(), "tp2.dp2.sp", "1f1b"},
                                           Case{qwen3(), "tp2.pp4", "1f1b"}));

}  // namespace
}  // namespace pgram
