// Paired point-to-point: a grouped body's sends and receives start together, hold their stream until the last is off
// the wire, and are all ended for whoever waits for an event. Times by hand, laws, and what the engines must agree in.
#include "core/planner/exchanges.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "core/cluster/fabric.h"
#include "tests/sim/hand_made.h"

namespace pgram {
namespace {

using test::laws;
using test::PlanMaker;
using test::span_of;
using test::unused_cluster;

constexpr Picoseconds kSecond = 1'000'000'000'000;

/// 1 FLOP/s, wires of 1 B/s and half a second in all.
Cluster unit_cluster(bool shares_cores = false) {
  Fabric fabric;
  fabric.devices_per_node = 2;
  fabric.inside = {"nvlink", 1, 0.25};
  Cluster cluster;
  build_topology(fabric, cluster);
  cluster.device.fp32_flops_per_second = 1;
  cluster.device.memory_bytes_per_second = 1;
  cluster.device.matmul_efficiency = cluster.device.attention_efficiency = cluster.device.memory_efficiency = 1;
  cluster.cores_per_device = 1;
  cluster.shared_cores = shares_cores ? 1 : 0;
  return cluster;
}

/// Two roles with a channel in each direction, on the streams of paired plans.
class ExchangeMaker : public PlanMaker {
 public:
  ExchangeMaker() : PlanMaker(2), there(channel(0, 1)), back(channel(1, 0)) {}

  Op message(uint32_t role, Kernel kernel, Bytes bytes) const {
    Op op;
    op.kernel = kernel;
    op.comm = (role == 0) == (kernel == Kernel::send) ? there : back;
    op.stream = neighbour_stream(role == 0);
    op.bytes = bytes;
    return op;
  }
  uint16_t exchange(uint32_t role, Bytes sent, Bytes received) {
    const uint16_t index = body("exchange", message(role, Kernel::send, sent));
    plan.bodies[index].ops.push_back(message(role, Kernel::recv, received));
    plan.bodies[index].grouped = true;
    return index;
  }
  uint16_t single(uint32_t role, Kernel kernel, Bytes bytes) {
    return body(std::string(name_of(kernel)), message(role, kernel, bytes));
  }
  uint16_t seconds(uint64_t n) {
    Op op;
    op.flops = n;
    return body(std::to_string(n) + " s", op);
  }
  /// A call of an exchange: records come after its last op.
  void call_exchange(uint32_t role, uint16_t body, std::vector<uint16_t> waits, std::vector<uint16_t> records) {
    call(role, body, waits, records);
    Program& program = plan.programs[role];
    for (uint32_t s = program.calls.back().first_sync; s < program.syncs.size(); ++s) {
      if (program.syncs[s].records()) program.syncs[s].op = 1;
    }
  }

  uint16_t there, back;
};

class Exchanges : public testing::TestWithParam<Engine> {
 protected:
  SimulationResult run(const Plan& plan, const Cluster& cluster = unit_cluster()) const {
    SimulationOptions options;
    options.engine = GetParam();
    SimulationResult result = simulate(plan, cluster, options);
    EXPECT_EQ(result.error, "");
    return result;
  }
  static void expect_span(const SimulationResult& result, Task task, double arrival, double start, double end) {
    const Span span = span_of(result, task);
    const std::string text = to_text(*result.timeline.plan, task);
    EXPECT_EQ(span.start, static_cast<Picoseconds>(arrival * kSecond)) << text << " arrives";
    EXPECT_EQ(span.start + span.wait(), static_cast<Picoseconds>(start * kSecond)) << text << " starts";
    EXPECT_EQ(span.end, static_cast<Picoseconds>(end * kSecond)) << text << " ends";
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, Exchanges, testing::Values(Engine::evaluator, Engine::events));

// Role 0 computes 6 s and sends 3 bytes for 5, role 1 computes 2 s and does the opposite. Both groups are there at 6 s.
// The 3 bytes are off the wire at 9 s and arrive at 9.5 s, the 5 at 11 s and 11.5 s. Both streams are free at 11 s.
// Role 0's event comes when its receive has ended, at 11.5 s; role 1's when its send has, at 11 s.
TEST_P(Exchanges, BothDirectionsAtOnce) {
  ExchangeMaker make;
  make.call(0, make.seconds(6), {}, {0});
  make.call_exchange(0, make.exchange(0, 3, 5), {0}, {1});
  make.call(0, make.seconds(1), {1});
  make.call(1, make.seconds(2), {}, {0});
  make.call_exchange(1, make.exchange(1, 5, 3), {0}, {1});
  make.call(1, make.seconds(1), {1});
  // The next on the same streams begins when they are free.
  make.call(0, make.single(0, Kernel::send, 1));
  make.call(1, make.single(1, Kernel::recv, 1));
  const SimulationResult result = run(make.plan);
  expect_span(result, {0, 1, 0}, 6, 6, 9);
  expect_span(result, {0, 1, 1}, 6, 6, 11.5);
  expect_span(result, {1, 1, 0}, 2, 6, 11);
  expect_span(result, {1, 1, 1}, 2, 6, 9.5);
  expect_span(result, {0, 2, 0}, 11.5, 11.5, 12.5);
  expect_span(result, {1, 2, 0}, 11, 11, 12);
  expect_span(result, {0, 3, 0}, 11, 11, 12);
  expect_span(result, {1, 3, 0}, 11, 11, 12.5);
}

// The partner posts its halves one by one: it receives, computes 4 s with that, and sends. Role 0's group is there at
// 0: its send runs from 2 s, when the receive is posted, to 5 s; the message arrives at 5.5 s; role 1 sends from 9.5 s
// to 14.5 s, which arrives at 15 s. Role 0's stream is held until 14.5 s, and its event comes at 15 s.
TEST_P(Exchanges, EachHalfMeetsItsPartner) {
  ExchangeMaker make;
  make.call_exchange(0, make.exchange(0, 3, 5), {}, {0});
  make.call(0, make.seconds(1), {0});
  make.call(0, make.single(0, Kernel::send, 1));
  make.call(1, make.seconds(2), {}, {0});
  make.call(1, make.single(1, Kernel::recv, 3), {0}, {1});
  make.call(1, make.seconds(4), {1}, {2});
  make.call(1, make.single(1, Kernel::send, 5), {2});
  make.call(1, make.single(1, Kernel::recv, 1));
  const SimulationResult result = run(make.plan);
  expect_span(result, {0, 0, 0}, 0, 2, 5);
  expect_span(result, {0, 0, 1}, 0, 9.5, 15);
  expect_span(result, {1, 1, 0}, 2, 2, 5.5);
  expect_span(result, {1, 3, 0}, 9.5, 9.5, 14.5);
  expect_span(result, {0, 1, 0}, 15, 15, 16);
  expect_span(result, {0, 2, 0}, 14.5, 14.5, 15.5);
}

// An event says that everything before it on its stream has ended. Role 1 receives 1 byte (off the wire at 1 s, there
// at 1.5 s) and sends nothing at 1 s: what waits for that send begins at 1.5 s.
TEST_P(Exchanges, EventsWaitForTheLatencyOfEarlierReceives) {
  ExchangeMaker make;
  make.call(0, make.single(0, Kernel::send, 1));
  make.call(0, make.single(0, Kernel::recv, 0));
  make.call(1, make.single(1, Kernel::recv, 1));
  make.call(1, make.single(1, Kernel::send, 0), {}, {0});
  make.call(1, make.seconds(1), {0});
  const SimulationResult result = run(make.plan);
  expect_span(result, {1, 0, 0}, 0, 0, 1.5);
  expect_span(result, {1, 1, 0}, 1, 1, 1);
  expect_span(result, {1, 2, 0}, 1.5, 1.5, 2.5);
}

// Neither comes to what the other's group waits for: role 1 would first receive on a channel whose other end is after
// role 0's group.
TEST_P(Exchanges, DeadlockOfAGroup) {
  ExchangeMaker make;
  const uint16_t third = make.channel(0, 1);
  make.plan.comms[third].name = "late";
  make.call_exchange(0, make.exchange(0, 1, 1), {}, {});
  make.call(0, make.transfer("late send", Kernel::send, third, neighbour_stream(true)));
  make.call(1, make.transfer("late receive", Kernel::recv, third, neighbour_stream(false)));
  make.call_exchange(1, make.exchange(1, 1, 1), {}, {});
  SimulationOptions options;
  options.engine = GetParam();
  EXPECT_EQ(simulate(make.plan, unit_cluster(), options).error,
            "deadlock: rank 1 late receive(layer 0, mb 0).0:recv waits on late for "
            "rank 0 late send(layer 0, mb 0).0:send, which comes after rank 0 exchange(layer 0, mb 0).1:recv; that "
            "waits on f1>0 for rank 1 exchange(layer 0, mb 0).0:send, which comes after "
            "rank 1 late receive(layer 0, mb 0).0:recv: a cycle of 2 waits");
}

// On one shared core the receivers make the copies. 3 bytes each way: two copies at half speed are done at 6 s and
// arrive at 6.5 s; the sends end at 6 s.
TEST(ExchangesOnSharedCores, CopiesShareThem) {
  ExchangeMaker make;
  make.call_exchange(0, make.exchange(0, 3, 3), {}, {0});
  make.call(0, make.seconds(1), {0});
  make.call_exchange(1, make.exchange(1, 3, 3), {}, {});
  const SimulationResult result = simulate(make.plan, unit_cluster(true), {});
  EXPECT_EQ(result.engine, Engine::events);
  for (uint32_t rank : {0u, 1u}) {
    EXPECT_EQ(span_of(result, {rank, 0, 0}).end, 6 * kSecond);
    EXPECT_EQ(span_of(result, {rank, 0, 1}).end, 6 * kSecond + kSecond / 2);
  }
  EXPECT_EQ(span_of(result, {0, 1, 0}).start, 6 * kSecond + kSecond / 2);
}

// A group is issued as one, whatever the window: with half of it outside, neither rank would come to its receive.
TEST(ExchangesInASmallWindow, AreIssuedWhole) {
  const Plan plan = make_schedule_plan(one_f_one_b(4, 8), PointToPoint::paired);
  for (uint32_t window : {1u, 2u, 3u, 1024u}) {
    SimulationOptions options = laws(10, 20, 3, Engine::events);
    options.launch_window = window;
    const SimulationResult result = simulate(plan, unused_cluster(), options);
    EXPECT_EQ(result.error, "") << window;
    EXPECT_EQ(result.tasks, plan.tasks());
  }
}

// P=2, M=2, F=10, B=20, c=3 by hand. Role 0: F0 0-10, F1 10-20, then its group waits. Role 1: F0 arrives at 13, F0
// 13-23, B0 23-43, and its group comes at 43: both messages arrive at 46. Role 0: B0 46-66. Role 1: F1 46-56, B1 56-76,
// which arrives at 79. Role 0: B1 79-99. With channels F1 would have been there at 23: role 1's F1 43-53, B1 53-73, and
// role 0's B1 after the latency 76-96.
TEST_P(Exchanges, TwoStagesTwoMicroBatches) {
  const auto spans = [&](PointToPoint p2p) {
    const SimulationResult result =
        simulate(make_schedule_plan(one_f_one_b(2, 2), p2p), unused_cluster(), laws(10, 20, 3, GetParam()));
    std::ostringstream out;
    for (const Span& span : result.timeline.spans) {
      if (span.stream != static_cast<uint8_t>(Stream::compute)) continue;
      const Plan& plan = *result.timeline.plan;
      const Call& call = plan.programs[span.rank].calls[span.call];
      out << ' ' << span.rank << plan.bodies[call.body].name << call.micro_batch << ' ' << span.start << '-'
          << span.end;
    }
    return out.str();
  };
  EXPECT_EQ(spans(PointToPoint::paired),
            " 0F0 0-10 0F1 10-20 0B0 46-66 0B1 79-99 1F0 13-23 1B0 23-43 1F1 46-56 1B1 56-76");
  EXPECT_EQ(spans(PointToPoint::channels),
            " 0F0 0-10 0F1 10-20 0B0 46-66 0B1 76-96 1F0 13-23 1B0 23-43 1F1 43-53 1B1 53-73");
}

// A message arrives at 100, when what a send behind the receive waits for ends too. The send takes no time: it has
// ended at 100 as well, whichever of the two was heard of first.
TEST(ExchangeLaws, AllThatEndsAtOneMomentHasEnded) {
  ExchangeMaker make;
  make.call(0, make.compute("F", 0), {}, {0});
  make.call(0, make.single(0, Kernel::recv, 1));
  make.call(0, make.single(0, Kernel::send, 1), {0}, {1});
  make.call(0, make.compute("B", 1));
  make.call(0, make.compute("F", 0), {1});
  make.call(1, make.single(1, Kernel::send, 1));
  make.call(1, make.single(1, Kernel::recv, 1));
  for (Engine engine : {Engine::evaluator, Engine::events}) {
    const SimulationResult result = simulate(make.plan, unused_cluster(), laws(100, 200, 100, engine));
    EXPECT_EQ(result.error, "");
    EXPECT_EQ(result.makespan, 400);
  }
}

// 1F1B, 0 <= c <= min(F, B). The fill costs (P-1) c down and up again, as with channels. In the steady state a middle
// stage exchanges twice for each micro-batch and computes nothing meanwhile: F, exchange, B, exchange; its period is
// F + B + 2c. With two stages each has one neighbour, and the period is F + B + c. The second micro-batch pays but one
// exchange: the other one is already part of the fill.
//   P = 2: (M+1)(F+B+c).   P > 2: (M+P-1)(F+B) + c [2(P-1) + (2M-3 if M > 1)].
// Channels pay 2c[(P-1) + floor((M-1)(P-1)/P)], never more.
TEST(ExchangeLaws, OneForwardOneBackward) {
  std::mt19937 random(3);
  for (int i = 0; i < 400; ++i) {
    const auto draw = [&](int64_t low, int64_t high) {
      return std::uniform_int_distribution<int64_t>(low, high)(random);
    };
    const int64_t P = draw(2, 9), M = draw(1, 20), F = draw(1, 50), B = draw(1, 100), c = draw(0, std::min(F, B));
    const Plan plan = make_schedule_plan(one_f_one_b(P, M), PointToPoint::paired);
    const Picoseconds law =
        P == 2 ? (M + 1) * (F + B + c) : (M + P - 1) * (F + B) + c * (2 * (P - 1) + (M > 1 ? 2 * M - 3 : 0));
    for (Engine engine : {Engine::evaluator, Engine::events}) {
      const SimulationResult result = simulate(plan, unused_cluster(), laws(F, B, c, engine));
      ASSERT_EQ(result.makespan, law) << "P=" << P << " M=" << M << " F=" << F << " B=" << B << " c=" << c;
    }
  }
}

// GPipe's one exchange, where forwards end and backwards begin, costs nothing: (M+P-1)(F+B) + 2c(P-1), as with
// channels.
TEST(ExchangeLaws, GPipe) {
  std::mt19937 random(4);
  for (int i = 0; i < 300; ++i) {
    const auto draw = [&](int64_t low, int64_t high) {
      return std::uniform_int_distribution<int64_t>(low, high)(random);
    };
    const int64_t P = draw(2, 9), M = draw(1, 20), F = draw(1, 50), B = draw(1, 100), c = draw(0, std::min(F, B));
    const Plan plan = make_schedule_plan(gpipe(P, M), PointToPoint::paired);
    for (Engine engine : {Engine::evaluator, Engine::events}) {
      const SimulationResult result = simulate(plan, unused_cluster(), laws(F, B, c, engine));
      ASSERT_EQ(result.makespan, (M + P - 1) * (F + B) + 2 * c * (P - 1))
          << "P=" << P << " M=" << M << " F=" << F << " B=" << B << " c=" << c;
    }
  }
}

}  // namespace
}  // namespace pgram
