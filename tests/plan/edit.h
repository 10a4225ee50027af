// Planting defects: small edits of a good Plan. Edits that change what is called link the plan again, so that its waits
// are right and only the planted defect is left to find.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/plan/link.h"
#include "core/plan/plan.h"
#include "core/plan/verify.h"
#include "core/planner/planner.h"
#include "tests/planner/small_models.h"

namespace pgram::test {

inline Body& body(Plan& plan, const std::string& name) {
  for (Body& b : plan.bodies) {
    if (b.name == name) return b;
  }
  ADD_FAILURE() << "no body " << name;
  return plan.bodies.front();
}

/// Index of the `nth` call of a body in a role.
inline size_t find_call(const Plan& plan, size_t role, const std::string& name, int nth = 0) {
  const Program& program = plan.programs[role];
  for (size_t c = 0; c < program.calls.size(); ++c) {
    if (plan.bodies[program.calls[c].body].name == name && nth-- == 0) return c;
  }
  ADD_FAILURE() << "role " << role << " has no such call of " << name;
  return 0;
}

inline size_t find_op(const Body& b, Kernel kernel, int nth = 0) {
  for (size_t i = 0; i < b.ops.size(); ++i) {
    if (b.ops[i].kernel == kernel && nth-- == 0) return i;
  }
  ADD_FAILURE() << b.name << " has no such " << name_of(kernel);
  return 0;
}

inline void fix_slots(Program& program) {
  size_t at = 0;
  for (size_t s = 0; s < program.slot_ops.size(); ++s) {
    SlotOp& slot = program.slot_ops[s];
    slot.first_call = static_cast<uint32_t>(at);
    slot.num_calls = 0;
    while (at < program.calls.size() && program.calls[at].slot_op == s) ++at, ++slot.num_calls;
  }
}

inline void remove_call(Plan& plan, size_t role, size_t call) {
  Program& program = plan.programs[role];
  program.calls.erase(program.calls.begin() + static_cast<ptrdiff_t>(call));
  fix_slots(program);
  link(plan);
}

/// A second call right behind it, with the same arguments.
inline void repeat_call(Plan& plan, size_t role, size_t call) {
  Program& program = plan.programs[role];
  const Call again = program.calls[call];
  program.calls.insert(program.calls.begin() + static_cast<ptrdiff_t>(call), again);
  fix_slots(program);
  link(plan);
}

/// Exchanges two calls in issue order; each keeps its arguments.
inline void swap_calls(Plan& plan, size_t role, size_t a, size_t b) {
  Program& program = plan.programs[role];
  std::swap(program.calls[a], program.calls[b]);
  std::swap(program.calls[a].slot_op, program.calls[b].slot_op);
  link(plan);
}

inline void move_call(Plan& plan, size_t role, size_t from, size_t before) {
  Program& program = plan.programs[role];
  Call call = program.calls[from];
  program.calls.erase(program.calls.begin() + static_cast<ptrdiff_t>(from));
  const size_t to = before > from ? before - 1 : before;
  call.slot_op = program.calls[std::min(to, program.calls.size() - 1)].slot_op;
  program.calls.insert(program.calls.begin() + static_cast<ptrdiff_t>(to), call);
  fix_slots(program);
  link(plan);
}

inline void remove_op(Plan& plan, Body& b, size_t op) {
  b.ops.erase(b.ops.begin() + static_cast<ptrdiff_t>(op));
  link(plan);
}

/// The argument that a call hands to the formal of a record.
inline Arg& arg_of(Plan& plan, size_t role, size_t call, const std::string& record) {
  Program& program = plan.programs[role];
  const Call& c = program.calls[call];
  const Body& b = plan.bodies[c.body];
  for (size_t i = 0; i < b.formals.size(); ++i) {
    if (plan.records[b.formals[i]].name == record) return program.args[c.first_arg + i];
  }
  ADD_FAILURE() << b.name << " has no formal " << record;
  return program.args[c.first_arg];
}

inline Arg with_flags(Arg arg, bool allocates, bool frees) {
  return Arg(arg.pool(), arg.slot(), allocates, frees);
}

/// A good plan: the test fails right here if it is not.
inline Plan good(const Model& model, const std::string& layout_text, const Workload& w = work(8, 1),
                 const std::string& schedule = "1f1b") {
  Plan plan = make_plan(model, layout(layout_text, schedule), w);
  EXPECT_EQ(verify(plan), "") << layout_text;
  return plan;
}

/// The message of verify() must hold every part.
inline ::testing::AssertionResult refused(const Plan& plan, const std::vector<std::string>& parts) {
  const std::string message = verify(plan);
  if (message.empty()) return ::testing::AssertionFailure() << "accepted";
  if (message.find('\n') != std::string::npos) return ::testing::AssertionFailure() << "not one line: " << message;
  for (const std::string& part : parts) {
    if (message.find(part) == std::string::npos) {
      return ::testing::AssertionFailure() << "no \"" << part << "\" in: " << message;
    }
  }
  return ::testing::AssertionSuccess() << message;
}

}  // namespace pgram::test
