// What is done once per body and call for speed against what is done task by task: the waits of link() and the verdict
// of verify(), on plans by chance and on ones with defects by chance.
#include "core/plan/verify_calls.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/plan/edit.h"
#include "tests/plan/slow_link.h"

namespace pgram {
namespace {

using namespace test;

class Chance {
 public:
  explicit Chance(uint32_t seed) : random_(seed) {}
  size_t below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random_); }
  template <class T>
  T& of(std::vector<T>& list) {
    return list[below(list.size())];
  }

  Plan plan() {
    std::vector<Model> models = all_kinds();
    const Model m = of(models);
    std::vector<std::string> layouts{"tp1",
                                     "tp2",
                                     "dp2",
                                     "pp2",
                                     "tp2.pp2",
                                     "tp2.pp3.sp",
                                     "tp2.dp2.sp",
                                     "pp4.dp2",
                                     "tp2.pp2.paired",
                                     "pp4.paired",
                                     "tp2.pp3.paired",
                                     "pp3.dp2",
                                     "tp2.pp2.dp2"};
    std::vector<std::string> schedules{"1f1b", "gpipe"};
    Layout l = layout(of(layouts), of(schedules));
    Workload w = work(static_cast<uint32_t>(l.dp * (1 + below(6))), 1);
    if (below(2)) w.optimizer = Optimizer::sgd;
    return make_plan(m, l, w);
  }

  /// One slot under two names; false: the call by chance has no formals that could be.
  bool name_twice(const Plan& plan, Program& program) {
    const Call& call = of(program.calls);
    const std::vector<uint16_t>& formals = plan.bodies[call.body].formals;
    const size_t a = below(formals.size()), b = below(formals.size());
    if (formals[a] == formals[b]) program.args[call.first_arg + a] = program.args[call.first_arg + b];
    return a != b && formals[a] == formals[b];
  }

  /// One small change that keeps every index within its bounds.
  void spoil(Plan& plan) {
    Program& program = of(plan.programs);
    switch (below(15)) {
      case 0: {  // another slot of the same pool, other flags
        Arg& arg = of(program.args);
        const bool moves = below(2);
        const uint32_t slot = moves ? static_cast<uint32_t>(below(program.pools[arg.pool()].slots)) : arg.slot();
        arg = Arg(arg.pool(), slot, arg.allocates() != (below(4) == 0), arg.frees() != (below(4) == 0));
        break;
      }
      case 1: {
        const size_t at = below(program.calls.size());
        program.calls.erase(program.calls.begin() + static_cast<ptrdiff_t>(at));
        break;
      }
      case 2: {
        const size_t at = below(program.calls.size() - 1);
        std::swap(program.calls[at], program.calls[at + 1]);
        break;
      }
      case 3: {
        const Call again = of(program.calls);
        program.calls.insert(program.calls.begin() + static_cast<ptrdiff_t>(below(program.calls.size())), again);
        break;
      }
      case 4: {  // a wait or record less, or at another event
        Call& call = of(program.calls);
        if (call.num_syncs == 0) break;
        Sync& sync = program.syncs[call.first_sync + below(call.num_syncs)];
        if (below(2))
          --call.num_syncs;
        else
          sync.event = static_cast<uint16_t>((sync.event & Sync::kRecord) | below(program.num_events));
        break;
      }
      case 5: {  // an operand of another field of the record
        Body& body = of(plan.bodies);
        Operand& operand = of(body.operands);
        const size_t fields = plan.records[body.formals[operand.formal]].fields.size();
        operand.field = static_cast<uint16_t>(below(fields));
        operand.fields = 1;
        break;
      }
      case 6: {
        Body& body = of(plan.bodies);
        Op& op = of(body.ops);
        if (op.num_waits > 0 && below(2))
          --op.num_waits;
        else
          op.read_writes = static_cast<uint8_t>(below(4));
        break;
      }
      case 7: {  // an op less: what waits for it or those behind it waits for another
        Body& body = of(plan.bodies);
        if (body.ops.size() < 2) break;
        for (Op& op : body.ops) op.num_waits = 0;
        body.ops.erase(body.ops.begin() + static_cast<ptrdiff_t>(below(body.ops.size())));
        for (Program& p : plan.programs) {
          for (Sync& sync : p.syncs) sync.op = 0;
        }
        break;
      }
      case 8: {  // a sync of another op of its call
        Call& call = of(program.calls);
        if (call.num_syncs == 0) break;
        program.syncs[call.first_sync + below(call.num_syncs)].op =
            static_cast<uint16_t>(below(plan.bodies[call.body].ops.size()));
        break;
      }
      case 9:
        name_twice(plan, program);
        break;
      case 10: {
        Body& body = of(plan.bodies);
        if (!body.waits.empty()) of(body.waits) = static_cast<uint16_t>(below(body.ops.size()));
        break;
      }
      case 11: {
        Op& op = of(of(plan.bodies).ops);
        op.stream = below(2) ? Stream::misc : Stream::compute;
        break;
      }
      case 12: {  // temporaries that share bytes
        Record& record = of(plan.records);
        if (record.kind == RecordKind::scratch) of(record.fields).offset = of(record.fields).offset;
        break;
      }
      case 13: {  // an operand of another formal of the same record
        Body& body = of(plan.bodies);
        const uint8_t formal = static_cast<uint8_t>(below(body.formals.size()));
        Operand& operand = of(body.operands);
        if (body.formals[formal] == body.formals[operand.formal]) operand.formal = formal;
        break;
      }
      default: {  // a gradient that is summed over other axes
        Record& record = of(plan.records);
        of(record.fields).partial_axes ^= static_cast<AxisMask>(1u << below(3));
        break;
      }
    }
  }

 private:
  std::mt19937 random_;
};

TEST(VerifyCalls, GoodPlansAreProvenCallByCall) {
  Chance chance(1);
  for (int i = 0; i < 60; ++i) {
    const Plan plan = chance.plan();
    const Overlaps overlaps = overlaps_of(plan);
    const CallProver prover(plan, overlaps);
    for (size_t role = 0; role < plan.programs.size(); ++role) {
      ASSERT_EQ(verify_tasks(plan, role, overlaps), "") << plan.facts.at("layout");
      ASSERT_TRUE(prover.holds(role)) << plan.facts.at("layout");
    }
  }
}

// Never proven where task by task a defect is found. The other way round a proof may fail (two names for one slot,
// syncs out of order), but seldom.
TEST(VerifyCalls, DefectsAreFoundAsTaskByTask) {
  Chance chance(2);
  int defects = 0, harmless = 0, beyond = 0;
  for (int i = 0; i < 120; ++i) {
    const Plan good = chance.plan();
    for (int n = 0; n < 40; ++n) {
      Plan plan = good;
      for (size_t changes = 1 + chance.below(3); changes > 0; --changes) chance.spoil(plan);
      const Overlaps overlaps = overlaps_of(plan);
      const CallProver prover(plan, overlaps);
      for (size_t role = 0; role < plan.programs.size(); ++role) {
        const std::string error = verify_tasks(plan, role, overlaps);
        const bool proven = prover.holds(role);
        ASSERT_FALSE(proven && !error.empty()) << plan.facts.at("layout") << " is proven, but " << error;
        ++(!error.empty() ? defects : proven ? harmless : beyond);
      }
    }
  }
  EXPECT_GT(defects, 1000);
  EXPECT_GT(harmless, 1000);
  EXPECT_LT(beyond, harmless / 20);
}

/// One role, one record of one field; ops of no kernel that write or read what they are handed.
struct Tiny {
  Tiny() {
    plan.attributes.resize(1);
    plan.records.resize(1);
    plan.records[0].name = "value";
    plan.records[0].kind = RecordKind::edge;
    plan.records[0].fields.resize(1);
    plan.records[0].lay_out();
    plan.programs.resize(1);
    plan.programs[0].pools = {{0, 2}};
  }
  struct What {
    Stream stream;
    uint8_t formal;
    bool writes;
  };
  void add_body(size_t formals, const std::vector<What>& ops) {
    Body& body = plan.bodies.emplace_back();
    body.name = "body";
    body.formals.assign(formals, 0);
    for (const What& what : ops) {
      Op& op = body.ops.emplace_back();
      op.stream = what.stream;
      op.num_operands = 1;
      op.num_writes = what.writes;
      op.first_operand = static_cast<uint32_t>(body.operands.size());
      body.operands.push_back({what.formal, 1, 0});
    }
  }
  void call(uint16_t body, const std::vector<Arg>& args, const std::vector<Sync>& syncs) {
    Program& program = plan.programs[0];
    Call& call = program.calls.emplace_back();
    call.body = body;
    call.first_arg = static_cast<uint32_t>(program.args.size());
    call.first_sync = static_cast<uint32_t>(program.syncs.size());
    call.num_syncs = static_cast<uint16_t>(syncs.size());
    program.args.insert(program.args.end(), args.begin(), args.end());
    program.syncs.insert(program.syncs.end(), syncs.begin(), syncs.end());
  }
  bool holds() const { return CallProver(plan, overlaps_of(plan)).holds(0); }
  std::string error() const { return verify_tasks(plan, 0, overlaps_of(plan)); }

  Plan plan;
};

// Reads formal 1, then writes formal 0: good with two slots of which the second was written, not with one slot.
TEST(VerifyCalls, OneSlotUnderTwoNames) {
  for (const bool same : {false, true}) {
    Tiny tiny;
    tiny.add_body(1, {{Stream::compute, 0, true}});
    tiny.add_body(2, {{Stream::compute, 1, false}, {Stream::compute, 0, true}});
    if (!same) tiny.call(0, {Arg(0, 1, true, false)}, {});
    tiny.call(1, {Arg(0, 0, true, !same), Arg(0, same ? 0 : 1, false, true)}, {});
    EXPECT_EQ(tiny.holds(), !same);
    EXPECT_EQ(tiny.error().empty(), !same);
  }
}

// Call 0 writes a value on the tensor stream: event 0. Of call 1 the first op records event 1 and the second waits for
// event 0; what waits for event 1 on another stream knows nothing of the value, whichever sync is written first.
TEST(VerifyCalls, SyncsOutOfOrder) {
  const auto recorded = [](uint16_t event) { return static_cast<uint16_t>(Sync::kRecord | event); };
  for (const bool sorted : {false, true}) {
    Tiny tiny;
    tiny.plan.programs[0].num_events = 2;
    tiny.add_body(1, {{Stream::tensor, 0, true}});
    tiny.add_body(1, {{Stream::compute, 0, true}, {Stream::compute, 0, true}});
    tiny.add_body(1, {{Stream::misc, 0, false}});
    tiny.call(0, {Arg(0, 0, true, false)}, {{0, recorded(0)}});
    std::vector<Sync> syncs{{0, recorded(1)}, {1, 0}};
    if (!sorted) std::swap(syncs[0], syncs[1]);
    tiny.call(1, {Arg(0, 1, true, true)}, syncs);
    tiny.call(2, {Arg(0, 0, false, true)}, {{0, 1}});
    EXPECT_FALSE(tiny.holds());
    EXPECT_NE(tiny.error().find("is not ordered after role 0 call 0"), std::string::npos) << tiny.error();
  }
}

TEST(VerifyCalls, WaitsAreThoseOfEveryFieldOfEveryTask) {
  Chance chance(3);
  int named_twice = 0;
  for (int i = 0; i < 90; ++i) {
    Plan plan = chance.plan();
    if (i % 3) {  // waits of plans that no planner makes, too
      for (int n = 0; n < 4; ++n) {
        Program& program = chance.of(plan.programs);
        std::swap(chance.of(program.calls), chance.of(program.calls));
      }
      for (int n = 0; i % 3 == 2 && n < 8; ++n) named_twice += chance.name_twice(plan, chance.of(plan.programs));
      link(plan);
    }
    for (const Program& program : plan.programs)
      ASSERT_EQ(waits_of(plan, program), slow_waits(plan, program)) << plan.facts.at("layout");
    Plan bare = plan;
    for (Body& body : bare.bodies) {
      for (Op& op : body.ops) op.num_waits = 0;
    }
    for (uint16_t b = 0; b < plan.bodies.size(); ++b) {
      const Body& body = plan.bodies[b];
      Program alone;
      for (uint32_t f = 0; f < body.formals.size(); ++f) {
        alone.pools.push_back({body.formals[f], 1});
        alone.args.emplace_back(f, 0);
      }
      alone.calls.emplace_back().body = b;
      std::vector<SlowWait> waits;
      for (uint16_t op = 0; op < body.ops.size(); ++op) {
        for (int w = 0; w < body.ops[op].num_waits; ++w)
          waits.push_back({0, op, 0, body.waits[body.ops[op].first_wait + w]});
      }
      std::ranges::sort(waits);
      ASSERT_EQ(waits, slow_waits(bare, alone)) << body.name;
    }
  }
  EXPECT_GT(named_twice, 10);
}

}  // namespace
}  // namespace pgram
