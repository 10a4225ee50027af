// What streams, events, channels and collectives mean, on plans small enough to time by hand.
#include <gtest/gtest.h>

#include "tests/sim/hand_made.h"

namespace pgram {
namespace {

using test::laws;
using test::PlanMaker;
using test::span_of;
using test::unused_cluster;

class Streams : public testing::TestWithParam<Engine> {
 protected:
  SimulationResult run(const Plan& plan, Picoseconds f, Picoseconds b, Picoseconds c) const {
    return simulate(plan, unused_cluster(), laws(f, b, c, GetParam()));
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, Streams, testing::Values(Engine::evaluator, Engine::events));

// Role 0: F(10), send. Role 1: recv, F(10). Latency 3: the receive is posted at 0, its partner comes at 10, it arrives
// at 13, and the second F ends at 23.
TEST_P(Streams, ReceiveArrivesAfterTheLatency) {
  PlanMaker make(2);
  const uint16_t channel = make.channel(0, 1), f = make.compute("F", 0);
  make.call(0, f, {}, {0});
  make.call(0, make.transfer("send", Kernel::send, channel, Stream::channel_first), {0});
  make.call(1, make.transfer("recv", Kernel::recv, channel, Stream::channel_first), {}, {0});
  make.call(1, f, {0});
  const SimulationResult result = run(make.plan, 10'000, 0, 3'000);
  const Span receive = span_of(result, {1, 0, 0});
  EXPECT_EQ(receive.start, 0);
  EXPECT_EQ(receive.wait(), 10'000);
  EXPECT_EQ(receive.end, 13'000);
  EXPECT_EQ(span_of(result, {0, 1, 0}).end, 10'000) << "a send ends with its bandwidth term";
  EXPECT_EQ(span_of(result, {1, 1, 0}).start, 13'000);
  EXPECT_EQ(result.makespan, 23'000);
}

// Latency holds no stream: three messages sent at 1, 2, 3 with latency 10 arrive at 11, 12, 13.
TEST_P(Streams, LatencyHoldsNoStream) {
  PlanMaker make(2);
  const uint16_t channel = make.channel(0, 1), f = make.compute("F", 0);
  const uint16_t send = make.transfer("send", Kernel::send, channel, Stream::channel_first);
  const uint16_t receive = make.transfer("recv", Kernel::recv, channel, Stream::channel_first);
  for (int i = 0; i < 3; ++i) {
    make.call(0, f, {}, {0});
    make.call(0, send, {0});
    make.call(1, receive);
  }
  const SimulationResult result = run(make.plan, 1, 0, 10);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(span_of(result, {1, i, 0}).end, 11 + i);
  EXPECT_EQ(result.makespan, 13) << "the last one's arrival is the end";
}

// Event slot 0 is recorded twice; each wait sees the latest record issued before it, not the last of the program.
// Compute: F0 ends at 1, F1 at 2. misc: a wait for F0 at its issue, so its zero-cost op starts at 1; the next at 2.
TEST_P(Streams, EventSlotsAreReused) {
  PlanMaker make(1, 1);
  Communicator alone;
  alone.name = "alone";
  const uint16_t comm = make.comm(alone), f = make.compute("F", 0);
  const uint16_t mark = make.transfer("mark", Kernel::all_reduce, comm, Stream::misc);
  make.call(0, f, {}, {0});
  make.call(0, mark, {0});
  make.call(0, f, {}, {0});
  make.call(0, mark, {0});
  const SimulationResult result = run(make.plan, 1, 0, 0);
  EXPECT_EQ(span_of(result, {0, 1, 0}).start, 1);
  EXPECT_EQ(span_of(result, {0, 3, 0}).start, 2);
}

// Roles 0, 1, 2 reach an all-reduce after 1 F, 1 B and nothing: with F = 5 and B = 7 all start at 7.
TEST_P(Streams, CollectiveStartsWhenAllAreThere) {
  PlanMaker make(3);
  Communicator pipeline;
  pipeline.name = "pipeline";
  pipeline.axes = kPp;
  const uint16_t comm = make.comm(pipeline);
  const uint16_t reduce = make.transfer("reduce", Kernel::all_reduce, comm, Stream::compute);
  make.call(0, make.compute("F", 0));
  make.call(1, make.compute("B", 1));
  make.call(0, reduce);
  make.call(1, reduce);
  make.call(2, reduce);
  const SimulationResult result = run(make.plan, 5'000, 7'000, 0);
  const Span first = span_of(result, {0, 1, 0}), second = span_of(result, {1, 1, 0}),
             third = span_of(result, {2, 0, 0});
  EXPECT_EQ(first.start, 5'000);
  EXPECT_EQ(first.wait(), 2'000);
  EXPECT_EQ(second.wait(), 0);
  EXPECT_EQ(third.start, 0);
  EXPECT_EQ(third.wait(), 7'000);
  for (const Span& span : {first, second, third}) EXPECT_EQ(span.end, 7'000);
}

// Whether ops are calls of their own or one body makes no difference, and a body without ops takes no time. Role 0
// calls F, nothing, an all-reduce and B; role 1 has F, F, the all-reduce and B in one body. F = 5 and B = 7: the
// all-reduce begins at 10, for which role 0 waits from 5 on, and both end at 17. Twice: the second one begins at 27,
// after role 0 has waited from 22 on, and both end at 34.
TEST_P(Streams, OpsOfOneBodyAreAsCallsOfTheirOwn) {
  PlanMaker make(2);
  Communicator pipeline;
  pipeline.name = "pipeline";
  pipeline.axes = kPp;
  const uint16_t f = make.compute("F", 0), b = make.compute("B", 1);
  const uint16_t reduce = make.transfer("reduce", Kernel::all_reduce, make.comm(pipeline), Stream::misc);
  Body none, all;
  none.name = "none";
  all.name = "all";
  for (uint16_t body : {f, f, reduce, b}) all.ops.push_back(make.plan.bodies[body].ops[0]);
  all.waits = {1, 2};
  all.ops[2].num_waits = all.ops[3].num_waits = 1;
  all.ops[3].first_wait = 1;
  make.plan.bodies.push_back(none);
  make.plan.bodies.push_back(all);
  for (int i = 0; i < 2; ++i) {
    make.call(0, f, {}, {0});
    make.call(0, 3);
    make.call(0, reduce, {0}, {1});
    make.call(0, b, {1});
    make.call(1, 4);
  }
  const SimulationResult result = run(make.plan, 5'000, 7'000, 0);
  EXPECT_EQ(result.tasks, 2u * (3 + 4));
  for (uint32_t i = 0; i < 2; ++i) {
    const Picoseconds since = i * 17'000;
    EXPECT_EQ(span_of(result, {0, 4 * i + 2, 0}).start, since + 5'000);
    EXPECT_EQ(span_of(result, {0, 4 * i + 2, 0}).wait(), 5'000);
    EXPECT_EQ(span_of(result, {1, i, 2}).start, since + 10'000);
    EXPECT_EQ(span_of(result, {1, i, 2}).wait(), 0);
    EXPECT_EQ(span_of(result, {0, 4 * i + 3, 0}).end, since + 17'000);
    EXPECT_EQ(span_of(result, {1, i, 3}).end, since + 17'000);
  }
  EXPECT_EQ(result.makespan, 34'000);
}

// Two roles that first send to each other and then receive, all on one stream: neither send finds its partner.
TEST_P(Streams, DeadlockNamesTheTasks) {
  PlanMaker make(2);
  const uint16_t there = make.channel(0, 1), back = make.channel(1, 0);
  make.call(0, make.transfer("send there", Kernel::send, there, Stream::misc));
  make.call(0, make.transfer("receive back", Kernel::recv, back, Stream::misc));
  make.call(1, make.transfer("send back", Kernel::send, back, Stream::misc));
  make.call(1, make.transfer("receive there", Kernel::recv, there, Stream::misc));
  const SimulationResult result = run(make.plan, 0, 0, 0);
  EXPECT_EQ(result.error,
            "deadlock: rank 0 send there(layer 0, mb 0).0:send waits on f0>1 for "
            "rank 1 receive there(layer 0, mb 0).0:recv, which comes after rank 1 send back(layer 0, mb 0).0:send; "
            "that waits on f1>0 for rank 0 receive back(layer 0, mb 0).0:recv, which comes after "
            "rank 0 send there(layer 0, mb 0).0:send: a cycle of 2 waits");
  EXPECT_TRUE(result.timeline.spans.empty());
}

// A send whose receiver has no receive at all is as stuck as one that comes too late. What went before it has ended,
// and all of rank 1.
TEST_P(Streams, MissingReceiveIsADeadlock) {
  PlanMaker make(2);
  make.call(0, make.compute("F", 0));
  make.call(0, make.transfer("send", Kernel::send, make.channel(0, 1), Stream::misc), {}, {0});
  make.call(0, make.compute("F", 0), {0});
  make.call(1, make.compute("F", 1));
  make.call(1, make.compute("F", 1));
  const SimulationResult result = run(make.plan, 0, 0, 0);
  EXPECT_EQ(result.error,
            "deadlock: rank 0 send(layer 0, mb 0).0:send waits on f0>1 for rank 1, which never comes: "
            "its program has no such operation");
  EXPECT_EQ(result.tasks, 3u);
}

// Rank 2 waits for a cycle that it is not part of: 2 waits for 0, 0 for 1, 1 for 0. The cycle alone is told.
TEST_P(Streams, DeadlockLeavesOutWhoOnlyWaitsForTheCycle) {
  PlanMaker make(3);
  const uint16_t there = make.channel(0, 1), back = make.channel(1, 0), onward = make.channel(0, 2);
  make.call(0, make.transfer("send there", Kernel::send, there, Stream::misc));
  make.call(0, make.transfer("receive back", Kernel::recv, back, Stream::misc));
  make.call(0, make.transfer("send onward", Kernel::send, onward, Stream::misc));
  make.call(1, make.transfer("send back", Kernel::send, back, Stream::misc));
  make.call(1, make.transfer("receive there", Kernel::recv, there, Stream::misc));
  make.call(2, make.transfer("receive onward", Kernel::recv, onward, Stream::misc));
  const std::string error = run(make.plan, 0, 0, 0).error;
  EXPECT_EQ(error.find("onward"), std::string::npos) << error;
  EXPECT_NE(error.find(": a cycle of 2 waits"), std::string::npos) << error;
}

// An all-reduce whose third member stands in an earlier all-reduce that the first has behind this one: on two streams
// each, so that only an event orders them.
TEST_P(Streams, DeadlockOfCollectivesFollowsTheEvents) {
  PlanMaker make(3);
  Communicator world;
  world.name = "world";
  world.axes = kPp;
  const uint16_t x = make.comm(world);
  world.name = "pair";
  world.roles = {0, 2};
  const uint16_t y = make.comm(world);
  const uint16_t on_world = make.transfer("world sum", Kernel::all_reduce, x, Stream::misc);
  const uint16_t on_pair = make.transfer("pair sum", Kernel::all_reduce, y, Stream::data);
  make.call(0, on_world, {}, {0});
  make.call(0, on_pair, {0});
  make.call(1, on_world);
  make.call(2, on_pair, {}, {0});
  make.call(2, on_world, {0});
  EXPECT_EQ(
      run(make.plan, 0, 0, 0).error,
      "deadlock: rank 0 world sum(layer 0, mb 0).0:all_reduce waits on world for "
      "rank 2 world sum(layer 0, mb 0).0:all_reduce, which comes after rank 2 pair sum(layer 0, mb 0).0:all_reduce; "
      "that waits on pair for rank 0 pair sum(layer 0, mb 0).0:all_reduce, which comes after "
      "rank 0 world sum(layer 0, mb 0).0:all_reduce: a cycle of 2 waits");
}

TEST_P(Streams, SpansAreSortedByRankStreamStart) {
  const SimulationResult result = run(make_schedule_plan(one_f_one_b(4, 6)), 3, 5, 2);
  const auto& spans = result.timeline.spans;
  ASSERT_EQ(spans.size(), result.tasks);
  for (size_t i = 1; i < spans.size(); ++i) {
    const auto key = [](const Span& s) { return std::tuple(s.rank, s.stream, s.start); };
    ASSERT_LE(key(spans[i - 1]), key(spans[i])) << i;
  }
}

// A window of one task: nothing is issued before the task before it has ended, so compute and misc no longer overlap.
// Unbounded: F (10) and the marked op at 0 overlap. Window 1: F, B, F, B one after the other either way, but the op on
// misc between them is issued at the end of the first.
TEST(LaunchWindow, BoundsWhatIsIssued) {
  PlanMaker make(1);
  Communicator alone;
  alone.name = "alone";
  const uint16_t f = make.compute("F", 0);
  const uint16_t mark = make.transfer("mark", Kernel::all_reduce, make.comm(alone), Stream::misc);
  make.call(0, f);
  make.call(0, mark);
  SimulationOptions options = laws(10, 0, 0, Engine::events);
  EXPECT_EQ(span_of(simulate(make.plan, unused_cluster(), options), {0, 1, 0}).start, 0);
  options.launch_window = 1;
  const SimulationResult result = simulate(make.plan, unused_cluster(), options);
  EXPECT_EQ(span_of(result, {0, 1, 0}).start, 10);
  EXPECT_EQ(result.timeline.facts.at("launch_window"), "1");
}

}  // namespace
}  // namespace pgram
