// Transfers that share links, and what else makes tasks slow each other down: by hand, and folded against unfolded.
// Devices of 1 FLOP/s, wires of 1 B/s without latency; nothing has a profile of NCCL, so a collective is a ring.
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/errors.h"
#include "sim/jitter.h"
#include "tests/sim/hand_made.h"
#include "tests/sim/random_plans.h"

namespace pgram {
namespace {

using test::PlanMaker;
using test::RandomCase;
using test::RandomCases;
using test::span_of;
using test::unit_cluster;

constexpr Picoseconds kSecond = 1'000'000'000'000;
constexpr Bytes kSize = 2000;  // above what is too small to share

/// Roles 0 and 1 send to roles 2 and 3, `bytes` each, at once.
Plan two_sends(Bytes first, Bytes second) {
  PlanMaker make(4);
  const Bytes bytes[] = {first, second};
  for (uint16_t i = 0; i < 2; ++i) {
    const uint16_t channel = make.channel(i, i + 2);
    make.call(i, make.transfer("send", Kernel::send, channel, channel_stream(true, false, false), bytes[i]));
    make.call(i + 2, make.transfer("recv", Kernel::recv, channel, channel_stream(true, false, true), bytes[i]));
  }
  return make.plan;
}

// Two nodes of two devices with one NIC. Both sends leave by it: 1/2 B/s each. The shorter one, 2,000 bytes, ends
// after 4,000 s; the longer has 1,000 bytes left then and the NIC for itself: 5,000 s. The analytic network gives each
// device its share of the NIC all the time: 6,000 s.
TEST(SharedLinks, TwoSendsThroughOneNic) {
  const Plan plan = two_sends(2000, 3000);
  const Cluster cluster = unit_cluster(2, 2, 1);
  const SimulationResult shared = simulate(plan, cluster);
  EXPECT_EQ(shared.engine, Engine::events);
  EXPECT_EQ(span_of(shared, {0, 0, 0}).end, 4000 * kSecond);
  EXPECT_EQ(span_of(shared, {2, 0, 0}).end, 4000 * kSecond);
  EXPECT_EQ(span_of(shared, {1, 0, 0}).end, 5000 * kSecond);
  SimulationOptions analytic;
  analytic.network = NetworkLevel::analytic;
  const SimulationResult alone = simulate(plan, cluster, analytic);
  EXPECT_EQ(alone.engine, Engine::evaluator);
  EXPECT_EQ(span_of(alone, {1, 0, 0}).end, 6000 * kSecond);

  // Rank 1 lost its 2,000 s, and rank 0 its own, to the other one.
  const std::vector<Contention>& held = shared.timeline.contention;
  ASSERT_EQ(held.size(), 4u);
  for (const Contention& c : held) {
    EXPECT_EQ(c.lost, 2000 * kSecond);
    EXPECT_EQ(c.rank % 2, 1 - shared.timeline.spans[c.span].rank % 2);
  }
}

// With a NIC for each device nothing is shared, and the evaluator does.
TEST(SharedLinks, NicOfItsOwn) {
  const SimulationResult result = simulate(two_sends(2000, 3000), unit_cluster(2, 2, 2));
  EXPECT_EQ(result.engine, Engine::evaluator);
  EXPECT_EQ(result.timeline.facts.at("network"), "flow: no link is ever full");
  EXPECT_EQ(span_of(result, {1, 0, 0}).end, 3000 * kSecond);
}

// Four nodes of one device, two below each leaf, the spine oversubscribed 4 times: 2 NICs x 1 B/s / 4 = 1/2 B/s up.
// Both sends (ranks 0, 1 to 2, 3) cross it with 1/4 B/s: 2,000 bytes take 8,000 s, and the rest of the longer, 1,000
// bytes with 1/2 B/s, 2,000 s more.
TEST(SharedLinks, OversubscribedSpine) {
  const SimulationResult result = simulate(two_sends(2000, 3000), unit_cluster(4, 1, 1, 4));
  EXPECT_EQ(span_of(result, {0, 0, 0}).end, 8000 * kSecond);
  EXPECT_EQ(span_of(result, {1, 0, 0}).end, 10000 * kSecond);
}

// Two nodes of two devices with one NIC, and a sum over each device and its like in the other node: 2 x 1/2 of the
// 2,000 bytes go either way, at 1/2 B/s while both are at it. Rings load all members evenly, halving and doubling does
// not by itself.
TEST(SharedLinks, TwoSumsThroughOneNic) {
  PlanMaker make(1, 2);
  make.plan.mesh.size[1] = 2;
  Communicator group;
  group.name = "dp";
  group.axes = kDp;
  group.stream = Stream::data;
  make.call(0, make.transfer("sum", Kernel::all_reduce, make.comm(group), Stream::data, kSize));
  for (const Algorithm algorithm : {Algorithm::ring, Algorithm::halving_doubling}) {
    SimulationOptions options;
    options.collectives.algorithm = algorithm;
    const SimulationResult result = simulate(make.plan, unit_cluster(2, 2, 1), options);
    EXPECT_EQ(result.makespan, 4000 * kSecond) << name_of(algorithm);
    EXPECT_EQ(result.classes, 1u) << name_of(algorithm);
  }
}

uint32_t link_named(const Cluster& cluster, const std::string& from, const std::string& to) {
  const ClusterGraph& graph = cluster.graph();
  for (uint32_t i = 0; i < graph.links.size(); ++i) {
    if (graph.vertices[graph.links[i].from].name == from && graph.vertices[graph.links[i].to].name == to) return i;
  }
  ADD_FAILURE() << "no link " << from << ">" << to;
  return 0;
}

// 1,000 of rank 0's 2,000 bytes are through when its NIC falls to 1/4 of its 1 B/s: the rest takes 4,000 s.
TEST(LinkChanges, ALinkGetsSlower) {
  const Cluster cluster = unit_cluster(2, 2, 2);
  SimulationOptions options;
  options.link_changes = {{1000 * kSecond, link_named(cluster, "n0.nic0", "leaf0"), 0.25}};
  const SimulationResult result = simulate(two_sends(2000, 3000), cluster, options);
  EXPECT_EQ(span_of(result, {0, 0, 0}).end, 5000 * kSecond);
  EXPECT_EQ(span_of(result, {1, 0, 0}).end, 3000 * kSecond);
}

// When it goes down instead, the rest goes by the other NIC, which rank 1 uses too: 1/2 B/s each. Rank 0's 1,000 bytes
// take 2,000 s, until 3,000 s; rank 1 has had 1,000 + 1,000 bytes by then, and needs 1,000 s more.
TEST(LinkChanges, ALinkGoesDown) {
  const Cluster cluster = unit_cluster(2, 2, 2);
  SimulationOptions options;
  options.link_changes = {{1000 * kSecond, link_named(cluster, "n0.nic0", "leaf0"), 0}};
  const SimulationResult result = simulate(two_sends(2000, 3000), cluster, options);
  EXPECT_EQ(span_of(result, {0, 0, 0}).end, 3000 * kSecond);
  EXPECT_EQ(span_of(result, {1, 0, 0}).end, 4000 * kSecond);
}

// With one NIC a node there is no other way.
TEST(LinkChanges, NoWayLeft) {
  const Cluster cluster = unit_cluster(2, 2, 1);
  SimulationOptions options;
  options.link_changes = {{1000 * kSecond, link_named(cluster, "n0.nic0", "leaf0"), 0}};
  try {
    simulate(two_sends(2000, 3000), cluster, options);
    FAIL() << "went on";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("device 0 has no way to device 2"), std::string::npos) << error.what();
  }
}

// 10 s of compute beside an all-reduce that takes 40 % of the device while it is on it. The ring of two passes 2 x 1/2
// x 30 bytes over 10 B/s: 3 s (too few bytes to share links). In these compute does 1.8 s of its work: it ends after 3
// + 8.2 = 11.2 s.
TEST(SharedSms, ACollectiveSlowsCompute) {
  PlanMaker make(1, 2);
  Communicator group;
  group.name = "tp";
  group.axes = kTp;
  group.stream = Stream::tensor;
  make.call(0, make.transfer("sum", Kernel::all_reduce, make.comm(group), Stream::tensor, 30));
  Op op;
  op.flops = 10;
  make.call(0, make.body("ten", op));
  SimulationOptions options;
  options.collective_share = 0.4;
  const SimulationResult result = simulate(make.plan, unit_cluster(1, 2, 1), options);
  EXPECT_EQ(result.classes, 1u);
  EXPECT_EQ(span_of(result, {0, 0, 0}).end, 3 * kSecond);
  EXPECT_EQ(span_of(result, {0, 1, 0}).end, 11'200'000'000'000);
  options.collective_share = 0;
  EXPECT_EQ(span_of(simulate(make.plan, unit_cluster(1, 2, 1), options), {0, 1, 0}).end, 10 * kSecond);
}

// exp(sigma x): over 4,000 tasks the logarithms have mean 0 and deviation sigma within 3 standard errors (sigma/63 and
// sigma/89), one seed gives one result, and another seed another.
TEST(JitterOfTasks, IsLogNormalAndRepeats) {
  const Jitter jitter{0.1, 3};
  double sum = 0, squares = 0;
  for (uint32_t i = 0; i < 4000; ++i) {
    const double x = std::log(sim::jitter_factor(jitter, {i % 8, i / 8, 0}));
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 4000, 0, 3 * 0.1 / 63);
  EXPECT_NEAR(std::sqrt(squares / 4000), 0.1, 3 * 0.1 / 89);

  PlanMaker make(2);
  Op op;
  op.flops = 6;
  for (uint32_t role : {0u, 1u}) make.call(role, make.body("six", op));
  SimulationOptions options;
  options.jitter = jitter;
  const SimulationResult a = simulate(make.plan, unit_cluster(1, 2, 1), options);
  EXPECT_EQ(a.classes, 2u);
  EXPECT_EQ(span_of(a, {1, 0, 0}).end, std::llround(6e12 * sim::jitter_factor(jitter, {1, 0, 0})));
  EXPECT_EQ(simulate(make.plan, unit_cluster(1, 2, 1), options).makespan, a.makespan);
  options.jitter.seed = 4;
  EXPECT_NE(simulate(make.plan, unit_cluster(1, 2, 1), options).makespan, a.makespan);
}

/// The analytic network takes a share of a link as its width.
bool has_shared_paths(const Cluster& cluster) {
  for (uint32_t device = 1; device < cluster.devices; ++device) {
    const Path path = cluster.path(0, device);
    if (path.bytes_per_second != path.alone_bytes_per_second) return true;
  }
  return false;
}

TEST(Networks, AgreeWhereNothingIsShared) {
  RandomCases cases(21);
  uint32_t compared = 0;
  for (int i = 0; i < 80; ++i) {
    const RandomCase c = cases.next();
    if (has_shared_paths(c.cluster)) continue;
    SimulationOptions options;
    options.collective_share = 0;
    const SimulationResult flow = simulate(c.plan, c.cluster, options);
    options.network = NetworkLevel::analytic;
    const SimulationResult analytic = simulate(c.plan, c.cluster, options);
    if (!flow.timeline.contention.empty()) continue;
    // Within a picosecond for each task that may follow another.
    EXPECT_LE(std::abs(flow.makespan - analytic.makespan), static_cast<Picoseconds>(flow.tasks)) << c.text;
    ++compared;
  }
  EXPECT_GT(compared, 5u);
}

// A node without a switch (DGX-1V), one with NVSwitches, a torus: eight ranks that only do tensor parallelism meet
// nobody.
TEST(Networks, OneGroupAloneIsNeverHeldBack) {
  for (const char* name : {"dgx-1v", "dgx-h100", "a100-pcie", "torus-4x4x4"}) {
    const Cluster cluster = find_cluster(name);
    Model model;
    model.layers = 2;
    model.heads = model.kv_heads = 8;
    model.head_dim = 64;
    model.hidden = model.ffn = 512;
    model.vocabulary = 1024;
    model.max_positions = 256;
    model.rotary_dims = 64;
    Layout layout;
    layout.tp = 8;
    Workload work;
    work.global_batch = 2;
    work.sequence = 256;
    SimulationOptions options;
    options.collective_share = 0;
    const Plan plan = make_plan(model, layout, work);
    const SimulationResult flow = simulate(plan, cluster, options);
    options.network = NetworkLevel::analytic;
    const SimulationResult analytic = simulate(plan, cluster, options);
    EXPECT_LE(std::abs(flow.makespan - analytic.makespan), static_cast<Picoseconds>(flow.tasks)) << name;
  }
}

/// Links that change break the symmetry; what is still alike stays folded, with the same times.
TEST(Networks, FoldedWithChangesEqualsUnfolded) {
  RandomCases cases(22);
  uint32_t ranks = 0, classes = 0;
  for (int i = 0; i < 40; ++i) {
    const RandomCase c = cases.next();
    SimulationOptions options;
    const uint32_t links = c.cluster.topology->num_links();
    options.link_changes = {{0, cases.draw(0, links - 1), 0.3}, {300'000'000, cases.draw(0, links - 1), 0.5}};
    const SimulationResult folded = simulate(c.plan, c.cluster, options);
    options.unfold = true;
    const SimulationResult whole = simulate(c.plan, c.cluster, options);
    ASSERT_EQ(folded.makespan, whole.makespan) << c.text;
    for (uint32_t rank = 0; rank < whole.classes; ++rank) {
      const auto own = [&](const SimulationResult& result, uint32_t r) {
        std::vector<Span> spans;
        for (const Span& span : result.timeline.spans) {
          if (span.rank == r) spans.push_back(span);
        }
        for (Span& span : spans) span.rank = 0;
        return spans;
      };
      ASSERT_EQ(own(folded, folded.timeline.representative_of(rank)), own(whole, rank)) << c.text << ", rank " << rank;
    }
    ranks += whole.classes;
    classes += folded.classes;
  }
  EXPECT_LT(classes, ranks);
}

TEST(NetworkOptions, RefusedWithTheirNumbers) {
  const auto message = [&](const SimulationOptions& options) -> std::string {
    try {
      simulate(two_sends(kSize, kSize), unit_cluster(2, 2, 1), options);
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  };
  SimulationOptions options;
  options.engine = Engine::evaluator;
  EXPECT_EQ(message(options),
            "engine: the evaluator cannot let tasks slow each other down on shared links: use the event loop, or the "
            "analytic network");
  options = {};
  options.jitter.sigma = 3;
  EXPECT_EQ(message(options), "jitter: expected a sigma from 0 to 2, got 3.000000");
  options = {};
  options.collective_share = 1;
  EXPECT_EQ(message(options), "collective share: expected 0 to 0.95 of a device's compute, got 1.000000");
  options = {};
  options.link_changes = {{0, 1000, 0.5}};
  EXPECT_EQ(message(options).find("link: 1000 is none of the "), 0u);
  options.link_changes = {{-1, 0, 0.5}};
  EXPECT_EQ(message(options).find("link: changes need a time of 0 or more"), 0u);
  options.network = NetworkLevel::analytic;
  EXPECT_EQ(message(options), "link: changes need the network level flow or step, and a cluster of GPUs");
}

}  // namespace
}  // namespace pgram
