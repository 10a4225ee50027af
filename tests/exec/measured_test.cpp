#include "core/exec/measured.h"

#include <gtest/gtest.h>

namespace pgram {
namespace {

/// tp 2, pp 2: role 0 sends once and all-reduces twice, role 1 receives once.
Plan small_plan() {
  Plan plan;
  plan.mesh.size = {2, 1, 2};
  Communicator group;
  group.name = "tp", group.axes = kTp, group.stream = Stream::tensor;
  Communicator channel;
  channel.name = "f0>1", channel.axes = kPp, channel.directed = true, channel.source = 0, channel.target = 1;
  plan.comms = {group, channel};
  const auto body = [&](std::vector<std::pair<Kernel, uint16_t>> ops) {
    Body b;
    for (const auto& [kernel, comm] : ops) {
      Op op;
      op.kernel = kernel, op.comm = comm;
      b.ops.push_back(op);
    }
    plan.bodies.push_back(b);
  };
  body({{Kernel::all_reduce, 0}, {Kernel::zero, kNoComm}, {Kernel::all_reduce, 0}, {Kernel::send, 1}});
  body({{Kernel::recv, 1}});
  plan.programs.resize(2);
  for (uint16_t role = 0; role < 2; ++role) {
    plan.programs[role].calls.emplace_back();
    plan.programs[role].calls[0].body = role;
  }
  return plan;
}

constexpr Picoseconds kMicrosecond = 1'000'000;

Span span(uint32_t rank, uint16_t op, int start, int end) {
  Span s;
  s.rank = rank, s.op = op, s.start = start * kMicrosecond, s.end = end * kMicrosecond;
  return s;
}

/// Times in us. First all-reduce: ranks 0 and 1 (tp 0 and 1 of role 0) start at 10 and 13, so rank 0 waits 3. Second
/// one: 30 and 24, so rank 1 waits 6. Sends 0 -> 2 and 1 -> 3: rank 2 is there at 5 and waits until 40, rank 3 comes
/// late at 60, after rank 1's send (41 to 50) has ended: that cannot have waited longer than it took, 9.
TEST(EstimateWaits, UntilTheLastMemberStarts) {
  const Plan plan = small_plan();
  std::vector<Span> spans = {span(0, 2, 30, 40), span(0, 0, 10, 20), span(0, 1, 20, 30),
                             span(0, 3, 40, 50), span(1, 0, 13, 20), span(1, 2, 24, 40),
                             span(1, 3, 41, 50), span(2, 0, 5, 50),  span(3, 0, 60, 61)};
  estimate_waits(plan, spans);
  std::vector<Picoseconds> waits;
  for (const Span& s : spans) waits.push_back(s.wait() / kMicrosecond);
  EXPECT_EQ(waits, (std::vector<Picoseconds>{0, 3, 0, 0, 0, 6, 9, 35, 0}));
}

/// Only the spans of some ranks, as one process has them: nobody to wait for, and no wait.
TEST(EstimateWaits, NothingIsKnownOfAbsentRanks) {
  const Plan plan = small_plan();
  std::vector<Span> spans = {span(0, 0, 10, 20), span(2, 0, 5, 50)};
  estimate_waits(plan, spans);
  EXPECT_EQ(spans[0].wait(), 0);
  EXPECT_EQ(spans[1].wait(), 0);
}

}  // namespace
}  // namespace pgram
