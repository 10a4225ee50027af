// Flows that come, go, move and are slowed by chance: at every event the rates are those of water-filling from scratch,
// and the next end is the one that these rates give.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "sim/network/flow_network.h"
#include "sim/network/water_filling.h"

namespace pgram::sim {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Shape {
  const char* name;
  uint32_t links, flows, longest;  // of a route
  bool round;                      // small whole numbers: many links are full at one level
  bool limits, weights, disturbed;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  return out << shape.name;
}

class RandomFlows : public testing::TestWithParam<Shape> {};

INSTANTIATE_TEST_SUITE_P(Shapes, RandomFlows,
                         testing::Values(Shape{"few", 4, 12, 3, false, false, false, false},
                                         Shape{"ties", 6, 20, 3, true, false, false, false},
                                         Shape{"sparse", 60, 40, 4, false, false, false, false},
                                         Shape{"dense", 12, 120, 4, false, true, false, false},
                                         Shape{"weighted", 10, 30, 5, false, true, true, true},
                                         Shape{"weighted_ties", 6, 16, 4, true, true, true, true},
                                         Shape{"disturbed", 20, 40, 4, false, false, false, true},
                                         Shape{"rings", 40, 12, 40, true, false, true, true},
                                         Shape{"one_link", 1, 60, 1, false, true, true, true}),
                         [](const auto& info) { return std::string(info.param.name); });

/// The same flows kept the slow way: all bytes at every event, all rates from scratch.
class SlowNetwork {
 public:
  struct Flow {
    double left = 0, limit = 0, rate = 0;
    std::vector<LinkUse> uses;
  };

  explicit SlowNetwork(std::vector<double> capacities) : capacities(std::move(capacities)) {}

  void pass(double now) {
    for (auto& [id, flow] : flows) flow.left = std::max(0.0, flow.left - flow.rate * (now - now_));
    now_ = now;
  }

  void work_out() {
    std::vector<WaterFlow> all;
    for (const auto& [id, flow] : flows) all.push_back({flow.limit, flow.uses});
    const std::vector<double> rates = water_filling(capacities, all);
    size_t i = 0;
    for (auto& [id, flow] : flows) flow.rate = rates[i++];
  }

  double next_end() const {
    double end = kInfinity;
    for (const auto& [id, flow] : flows) {
      if (flow.rate > 0) end = std::min(end, now_ + flow.left / flow.rate);
    }
    return end;
  }

  std::vector<double> capacities;
  std::map<uint32_t, Flow> flows;

 private:
  double now_ = 0;
};

class Chance {
 public:
  Chance(const Shape& shape, uint32_t seed) : shape_(shape), random_(seed) {}
  uint32_t draw(uint32_t low, uint32_t high) { return std::uniform_int_distribution<uint32_t>(low, high)(random_); }
  double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_); }
  double capacity() {
    if (shape_.disturbed && draw(0, 9) == 0) return 0;
    return shape_.round ? 12 * draw(1, 3) : real(1, 100);
  }
  double bytes() { return shape_.round ? draw(1, 30) : real(1, 1000); }
  double limit() {
    if (!shape_.limits || draw(0, 2) > 0) return kInfinity;
    return shape_.round ? draw(1, 4) : real(0.1, 10);
  }
  std::vector<LinkUse> route() {
    std::vector<LinkUse> uses;
    for (uint32_t i = draw(1, shape_.longest); i > 0; --i) {
      const double weight = !shape_.weights ? 1 : shape_.round ? draw(1, 3) : real(0.05, 2);
      uses.push_back({draw(0, shape_.links - 1), weight});
    }
    return uses;
  }

 private:
  const Shape& shape_;
  std::mt19937 random_;
};

void expect_equal(FlowNetwork& network, const SlowNetwork& slow) {
  for (const auto& [id, flow] : slow.flows) {
    ASSERT_NEAR(network.rate(id), flow.rate, 1e-9 * flow.rate) << "flow " << id;
  }
}

void run(const Shape& shape, uint32_t seed, int events) {
  Chance chance(shape, seed);
  std::vector<double> capacities(shape.links);
  for (double& capacity : capacities) capacity = chance.capacity();
  FlowNetwork network(capacities);
  SlowNetwork slow(capacities);
  double now = 0;
  uint32_t next_id = 0;
  for (int event = 0; event < events; ++event) {
    const double end = network.next_end();
    const double expected = slow.next_end();
    if (expected == kInfinity) {
      ASSERT_EQ(end, kInfinity);
    } else {
      ASSERT_NEAR(end, expected, 1e-9 * expected);
    }
    // What has nothing left leaves before anything else happens: a last 1e-15 bytes would hang on a link that stops.
    const uint32_t what = end <= now * (1 + 1e-12) ? 9 : chance.draw(0, 9);
    if (slow.flows.size() < shape.flows && (what < 5 || end == kInfinity)) {
      // Several at one time, and now and then at the time of an end.
      now = end < kInfinity ? (what == 0 ? end : now + (end - now) * chance.real(0, 1)) : now + 1;
      slow.pass(now);
      for (uint32_t i = chance.draw(1, 3); i > 0; --i) {
        const uint32_t id = next_id++;
        SlowNetwork::Flow& flow = slow.flows[id];
        flow = {chance.bytes(), chance.limit(), 0, chance.route()};
        network.start(now, id, flow.left, flow.limit, flow.uses);
      }
    } else if (shape.disturbed && !slow.flows.empty() && (what < 7 || end == kInfinity)) {
      slow.pass(now);
      if (what % 2 == 0) {
        const uint32_t link = chance.draw(0, shape.links - 1);
        slow.capacities[link] = chance.capacity();
        network.set_capacity(now, link, slow.capacities[link]);
      } else {
        auto flow = slow.flows.begin();
        std::advance(flow, chance.draw(0, static_cast<uint32_t>(slow.flows.size()) - 1));
        std::vector<LinkUse> uses = chance.route();
        network.reroute(now, flow->first, uses);
        flow->second.uses.swap(uses);
      }
    } else if (end < kInfinity) {
      now = std::max(now, end);
      slow.pass(now);
      const uint32_t id = network.finish();
      ASSERT_NEAR(slow.flows.at(id).left, 0, 1e-9 * 1000) << "flow " << id;
      slow.flows.erase(id);
      if (network.next_end() <= now) continue;  // what else ends now leaves first
    }
    slow.work_out();
    expect_equal(network, slow);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST_P(RandomFlows, RatesAreThoseOfWaterFilling) {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    run(GetParam(), seed, 400);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace pgram::sim
