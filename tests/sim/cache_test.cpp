// Simulations that share a cache or what is known of a plan: nothing in the results tells which ones were before them,
// or are at the same time.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <thread>
#include <tuple>
#include <vector>

#include "core/base/errors.h"
#include "sim/recent.h"
#include "sim/simulation_cache.h"
#include "tests/sim/random_plans.h"

namespace pgram {

namespace {

using test::RandomCase;
using test::RandomCases;

/// Or the error, if the input is none.
struct Simulated {
  SimulationResult result;
  std::string refused;
};

/// `plan`: itself, or its index.
template <class PlanOrIndex>
Simulated simulated(const PlanOrIndex& plan, const Cluster& cluster, const SimulationOptions& options,
                    SimulationCache& cache) {
  try {
    return {simulate(plan, cluster, options, cache), ""};
  } catch (const InputError& error) {
    return {{}, error.what()};
  }
}

void expect_equal(const Simulated& a, const Simulated& b, const std::string& what) {
  ASSERT_EQ(a.refused, b.refused) << what;
  ASSERT_EQ(a.result.error, b.result.error) << what;
  ASSERT_EQ(a.result.makespan, b.result.makespan) << what;
  ASSERT_EQ(a.result.tasks, b.result.tasks) << what;
  ASSERT_EQ(a.result.classes, b.result.classes) << what;
  ASSERT_EQ(a.result.engine, b.result.engine) << what;
  ASSERT_EQ(a.result.provenance, b.result.provenance) << what;
  const Timeline &x = a.result.timeline, &y = b.result.timeline;
  ASSERT_EQ(x.facts, y.facts) << what;
  ASSERT_EQ(x.representative, y.representative) << what;
  ASSERT_TRUE(std::ranges::equal(x.spans, y.spans)) << what;
  const auto of_sample = [](const CounterSample& s) { return std::tuple(s.rank, s.counter, s.time, s.value); };
  ASSERT_TRUE(std::ranges::equal(x.counters, y.counters, {}, of_sample, of_sample)) << what;
  const auto of_loss = [](const Contention& c) { return std::tuple(c.step, c.span, c.rank, c.call, c.op, c.lost); };
  ASSERT_TRUE(std::ranges::equal(x.contention, y.contention, {}, of_loss, of_loss)) << what;
}

/// Plans, clusters and options of few kinds, any of them with any other.
class Mixture {
 public:
  explicit Mixture(uint32_t seed) : cases_(seed) {
    while (models_.size() < 2) {
      RandomCase one = cases_.next();
      if (one.model.layers >= kMostStages) models_.push_back(std::move(one.model));
    }
    while (clusters_.size() < 2) {
      RandomCase one = cases_.next();
      if (one.cluster.devices >= kMostRanks) clusters_.push_back(std::move(one.cluster));
    }
  }

  uint32_t draw(uint32_t low, uint32_t high) { return cases_.draw(low, high); }

  Plan plan() {
    Layout layout;
    layout.tp = draw(1, 2);
    layout.pp = draw(1, kMostStages);
    layout.dp = cases_.pick<uint32_t>({1, 3});
    layout.sequence_parallel = layout.tp > 1 && draw(0, 1);
    if (draw(0, 1)) std::swap(layout.order[0], layout.order[1]);
    Workload work;
    work.micro_batch = draw(1, 2);
    work.global_batch = layout.dp * work.micro_batch * draw(1, 3);
    work.sequence = 16;
    return make_plan(models_[draw(0, 1)], layout, work);
  }
  const std::vector<Cluster>& clusters() const { return clusters_; }
  const Cluster& cluster() { return clusters_[draw(0, 1)]; }

  /// Each differs from the usual ones in few things, and those in few ways, so that much comes again.
  SimulationOptions options(const Plan& plan, const Cluster& cluster) {
    SimulationOptions options;
    options.network = cases_.pick<NetworkLevel>(
        {NetworkLevel::flow, NetworkLevel::flow, NetworkLevel::flow, NetworkLevel::analytic, NetworkLevel::step});
    for (uint32_t disturbed = draw(0, 2); disturbed > 0; --disturbed) {
      switch (draw(0, 9)) {
        case 0:
        case 9:
          options.slow_ranks.push_back({draw(0, std::min(3u, plan.mesh.ranks() - 1)), draw(1, 2) * 1.5});
          break;
        case 1:
        case 2:
          options.link_changes.push_back({draw(0, 1) * 20'000'000,
                                          draw(0, std::min(3u, cluster.topology->num_links() - 1)),
                                          cases_.pick<double>({0, 0.25, 0.5})});
          break;
        case 3:
          options.jitter.sigma = 0.1;
          break;
        case 4:
          options.unfold = true;
          break;
        case 5:
          options.collectives.algorithm =
              cases_.pick<Algorithm>({Algorithm::ring, Algorithm::tree, Algorithm::halving_doubling});
          break;
        case 6:
          options.collective_share = 0;
          break;
        case 7:
          options.laws.enabled = true;
          break;
        default:
          options.keep_spans = false;
      }
    }
    return options;
  }

 private:
  static constexpr uint32_t kMostStages = 2, kMostRanks = 12;

  RandomCases cases_;
  std::vector<Model> models_;
  std::vector<Cluster> clusters_;
};

TEST(Cache, SimulationsAreTheSameAfterWhicheverOthers) {
  Mixture mixture(3);
  SimulationCache shared;
  struct Held {
    Simulated with, alone;
  };
  std::deque<Held> held;  // their spans must stay as they are
  int finished = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto plan = std::make_shared<const Plan>(mixture.plan());
    const Cluster& cluster = mixture.cluster();
    const SimulationOptions options = mixture.options(*plan, cluster);
    SimulationCache own;
    held.push_back({simulated(plan, cluster, options, shared), simulated(plan, cluster, options, own)});
    ASSERT_NO_FATAL_FAILURE(expect_equal(held.back().with, held.back().alone, std::to_string(i)));
    finished += held.back().with.refused.empty();
    while (held.size() > mixture.draw(0, 2)) {
      ASSERT_NO_FATAL_FAILURE(expect_equal(held.front().with, held.front().alone, std::to_string(i) + ", later"));
      held.pop_front();
    }
  }
  EXPECT_GT(finished, 500);
}

TEST(Cache, AnIndexServesAnyNumberOfSimulationsOfThePlan) {
  Mixture mixture(5);
  int finished = 0;
  for (int i = 0; i < 100; ++i) {
    const auto plan = std::make_shared<const Plan>(mixture.plan());
    const auto index = make_plan_index(plan);
    struct Asked {
      const Cluster& cluster;
      SimulationOptions options;
      Simulated got;
    };
    std::array<std::vector<Asked>, 2> of_thread;
    for (std::vector<Asked>& own : of_thread) {
      for (const Cluster& cluster : mixture.clusters()) own.push_back({cluster, mixture.options(*plan, cluster), {}});
    }
    {
      std::vector<std::jthread> threads;
      for (std::vector<Asked>& own : of_thread) {
        threads.emplace_back([&] {
          SimulationCache cache;
          for (Asked& asked : own) asked.got = simulated(*index, asked.cluster, asked.options, cache);
        });
      }
    }
    for (const std::vector<Asked>& own : of_thread) {
      for (const Asked& asked : own) {
        SimulationCache cache;
        const Simulated alone = simulated(plan, asked.cluster, asked.options, cache);
        ASSERT_NO_FATAL_FAILURE(expect_equal(asked.got, alone, std::to_string(i)));
        finished += alone.refused.empty();
      }
    }
  }
  EXPECT_GT(finished, 100);
}

struct Text {
  std::string text;
  size_t bytes() const { return 1000; }
};

TEST(Cache, WhatWasNotAskedForTheLongestIsDropped) {
  for (sim::Recent<Text> recent : {sim::Recent<Text>(3, 1 << 20), sim::Recent<Text>(100, 3500)}) {  // room for three
    int made = 0;
    const auto ask = [&](uint32_t number) {
      sim::Key key(nullptr);
      key.add(number);
      return recent.get(std::move(key), [&] { return ++made, Text{std::to_string(number)}; })->text;
    };
    for (const uint32_t number : {1u, 2u, 3u, 1u}) EXPECT_EQ(ask(number), std::to_string(number));
    EXPECT_EQ(made, 3);
    EXPECT_EQ(ask(4), "4");  // takes the place of 2
    EXPECT_EQ(made, 4);
    for (const uint32_t number : {1u, 3u, 4u}) EXPECT_EQ(ask(number), std::to_string(number));
    EXPECT_EQ(made, 4);
    EXPECT_EQ(ask(2), "2");
    EXPECT_EQ(made, 5);
  }
}

TEST(Cache, KeysAreAboutOneThing) {
  const auto one = std::make_shared<const int>(1), other = std::make_shared<const int>(1);
  const auto key = [](std::shared_ptr<const int> about, const std::vector<std::vector<uint32_t>>& lists) {
    sim::Key key(std::move(about));
    key.add(lists);
    return key;
  };
  EXPECT_EQ(key(one, {{1, 2}, {3}}), key(one, {{1, 2}, {3}}));
  EXPECT_NE(key(one, {{1, 2}, {3}}), key(other, {{1, 2}, {3}}));
  EXPECT_NE(key(one, {{1, 2}, {3}}), key(one, {{1}, {2, 3}}));
}

}  // namespace
}  // namespace pgram
