// Plans that take waits and proof from others of their structure are what they would be without: equal to the byte, and
// refused in the same words.
#include "core/plan/known_plans.h"

#include <gtest/gtest.h>

#include "core/plan/link.h"
#include "core/plan/plan_file.h"
#include "core/plan/verify.h"
#include "core/planner/planner.h"
#include "tests/planner/chance.h"

namespace pgram {
namespace {

using namespace test;

Layout any_layout(Chance& chance) {
  Layout l = chance.layout();
  if (chance.draw(0, 1)) l.p2p = PointToPoint::paired;
  return l;
}

std::shared_ptr<Plan> unlinked(const Model& model, const Layout& l, const Workload& w) {
  return std::make_shared<Plan>(make_unlinked_plan(model, l, w));
}

TEST(KnownPlans, AreEqualToTheByte) {
  Chance chance(21);
  KnownPlans known;
  size_t made = 0;
  while (made < 300) {
    const Model model = chance.model();
    const Layout l = any_layout(chance);
    Workload w = chance.workload(l);
    if (refusal([&] { validate(model, l, w); }) != "accepted") continue;
    // Twice with other sizes.
    for (int size = 0; size < 3; ++size, ++made) {
      const std::shared_ptr<Plan> plan = unlinked(model, l, w);
      EXPECT_EQ(known.link_and_verify(plan), "");
      EXPECT_EQ(plan_to_json(*plan), plan_to_json(make_plan(model, l, w))) << to_text(l);
      w.micro_batch *= 2;
      w.global_batch *= 2;
    }
  }
  // All but those whose packed scratch overlaps in another way.
  EXPECT_LT(known.size(), made / 2);
}

/// A small change, all indices within their bounds.
void edit(Plan& plan, Chance& chance) {
  const auto any = [&](auto& list) -> auto& {
    return list[chance.draw(0, static_cast<uint32_t>(list.size()) - 1)];
  };
  Program& program = any(plan.programs);
  Body& body = any(plan.bodies);
  Op& op = any(body.ops);
  Record& record = any(plan.records);
  Arg& arg = any(program.args);
  switch (chance.draw(0, 26)) {
    case 0:
      arg = Arg(arg.pool(), chance.draw(0, program.pools[arg.pool()].slots - 1), arg.allocates(), arg.frees());
      break;
    case 1:
      arg = Arg(arg.pool(), arg.slot(), !arg.allocates(), arg.frees());
      break;
    case 2:
      arg = Arg(arg.pool(), arg.slot(), arg.allocates(), !arg.frees());
      break;
    case 3:
      std::swap(any(program.calls), any(program.calls));
      break;
    case 4:
      program.calls.erase(program.calls.begin() + chance.draw(0, static_cast<uint32_t>(program.calls.size()) - 1));
      break;
    case 5:
      op.kernel = Kernel::opaque;
      break;
    case 6:
      op.stream = op.stream == Stream::misc ? Stream::compute : Stream::misc;
      break;
    case 7:
      op.read_writes ^= 1;
      break;
    case 8:
      op.num_writes = op.num_writes < op.num_operands ? op.num_writes + 1 : 0;
      break;
    case 9: {
      Operand& operand = any(body.operands);
      const size_t fields = plan.records[body.formals[operand.formal]].fields.size();
      operand = {operand.formal, 1, static_cast<uint16_t>(chance.draw(0, static_cast<uint32_t>(fields) - 1))};
      break;
    }
    case 10: {
      Operand& operand = any(body.operands);
      const auto formal = static_cast<uint8_t>(chance.draw(0, static_cast<uint32_t>(body.formals.size()) - 1));
      const size_t fields = plan.records[body.formals[formal]].fields.size();
      if (operand.field == kWhole || operand.field + size_t{operand.fields} <= fields) operand.formal = formal;
      break;
    }
    case 11:
      if (op.num_operands > op.num_writes) --op.num_operands;
      break;
    case 12:
      ++op.bytes;
      break;
    case 13:
      ++op.micro_batch_offset;
      break;
    case 14:
      ++any(program.calls).layer;
      break;
    case 15:
      ++any(program.calls).micro_batch;
      break;
    case 16:
      if (op.comm != kNoComm)
        op.comm = static_cast<uint16_t>(chance.draw(0, static_cast<uint32_t>(plan.comms.size()) - 1));
      break;
    case 17:
      any(record.fields).partial_axes ^= kDp;
      break;
    case 18:
      record.kind = record.kind == RecordKind::scratch ? RecordKind::saved : RecordKind::scratch;
      break;
    case 19:
      any(record.fields).offset = 0;
      break;
    case 20:
      any(plan.comms).axes ^= kTp;
      break;
    case 21:
      body.grouped = !body.grouped;
      break;
    case 22: {
      Call& call = any(program.calls);
      const std::vector<uint16_t>& formals = plan.bodies[call.body].formals;
      do {
        call.body = static_cast<uint16_t>((call.body + 1u) % plan.bodies.size());
      } while (plan.bodies[call.body].formals != formals);
      break;
    }
    case 23:
      any(plan.comms).directed ^= true;
      break;
    case 24:
      any(plan.comms).source = static_cast<uint16_t>(chance.draw(0, static_cast<uint32_t>(plan.programs.size()) - 1));
      break;
    case 25:
      any(plan.comms).target = static_cast<uint16_t>(chance.draw(0, static_cast<uint32_t>(plan.programs.size()) - 1));
      break;
    default:
      any(plan.comms).roles.assign(1, 0);
      break;
  }
}

TEST(KnownPlans, RefuseWhatVerifyRefuses) {
  Chance chance(22);
  KnownPlans known;
  int refused = 0, edited = 0;
  while (edited < 4500) {
    const Model model = chance.model();
    const Layout l = any_layout(chance);
    const Workload w = chance.workload(l);
    if (refusal([&] { validate(model, l, w); }) != "accepted") continue;
    const std::shared_ptr<Plan> good = unlinked(model, l, w);
    const Plan base = *good;
    ASSERT_EQ(known.link_and_verify(good), "");
    for (int i = 0; i < 30; ++i, ++edited) {
      const auto plan = std::make_shared<Plan>(base);
      edit(*plan, chance);
      Plan same = *plan;
      link(same);
      const std::string error = verify(same);
      EXPECT_EQ(known.link_and_verify(plan), error);
      EXPECT_EQ(plan_to_json(*plan), plan_to_json(same));
      refused += !error.empty();
    }
  }
  EXPECT_GT(refused, 500);
}

TEST(KnownPlans, ForgetTheOldest) {
  Model model = gpt2();
  model.layers = 2;
  KnownPlans none(0), all;
  for (const uint32_t batch : {2, 4, 2, 4}) {
    EXPECT_EQ(none.link_and_verify(unlinked(model, layout("pp2"), work(batch, 1))), "");
    EXPECT_EQ(all.link_and_verify(unlinked(model, layout("pp2"), work(batch, 1))), "");
  }
  EXPECT_EQ(none.size(), 0u);
  EXPECT_EQ(all.size(), 2u);  // 2 and 4 micro-batches
}

}  // namespace
}  // namespace pgram
