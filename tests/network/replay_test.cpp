// Replays: hand-made problems, and random ones against a replay that keeps nothing between two dates.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "sim/network/fluid_problem.h"
#include "sim/network/water_filling.h"
#include "tests/network/fluid_cases.h"

namespace pgram::sim {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void expect_times(const FluidTimes& times, const std::vector<std::pair<double, double>>& expected) {
  ASSERT_EQ(times.finish.size(), expected.size());
  for (size_t task = 0; task < expected.size(); ++task) {
    EXPECT_DOUBLE_EQ(times.start[task], expected[task].first) << "task " << task;
    EXPECT_DOUBLE_EQ(times.finish[task], expected[task].second) << "task " << task;
  }
}

// A host of 5 FLOP/s and one of 4; a link of 10 B/s and 0.5 s. Task 0: 10 FLOPs, 2 s. The message: 2 + 0.5 + 30/10
// = 5.5. Task 2 after it: 5.5 + 8/4 = 7.5. Task 3 on the first host after task 0: 2 + 20/5 = 6.
TEST(Replay, ComputeThenSend) {
  const FluidProblem problem{{5, 4},
                             {{10, 0.5}},
                             {0},
                             {{0, 1, 0, 1}},
                             {{false, 0, 10, 0, 0}, {true, 0, 30, 0, 1}, {false, 1, 8, 1, 1}, {false, 0, 20, 2, 1}},
                             {0, 1, 0}};
  const FluidTimes times = replay(problem);
  expect_times(times, {{0, 2}, {2, 5.5}, {5.5, 7.5}, {2, 6}});
  EXPECT_EQ(times.makespan, 7.5);
  EXPECT_EQ(times.num_finished, 4u);
}

// Latency takes no bandwidth: A (1000 B, latency 1) is alone from 1 s to 3 s at 100 B/s, then B (300 B, latency 3) is
// there: 50 each. B ends at 3 + 6 = 9 s, A has 1000 - 200 - 300 = 500 left and ends at 14 s.
TEST(Replay, LatencyFirst) {
  const FluidProblem problem{{1, 1, 1},
                             {{100, 0}, {1e6, 1}, {1e6, 3}},
                             {1, 0, 2, 0},
                             {{0, 2, 0, 2}, {1, 2, 2, 2}},
                             {{true, 0, 1000, 0, 0}, {true, 1, 300, 0, 0}},
                             {}};
  expect_times(replay(problem), {{0, 14}, {0, 9}});
}

// Nothing to do takes no time, and nothing to send only its latency; the host is shared by two computations of 4 FLOPs:
// 2 FLOP/s each, 2 s.
TEST(Replay, NothingToDoAndASharedHost) {
  const FluidProblem problem{{4},
                             {{10, 0.5}},
                             {0},
                             {{0, 0, 0, 1}},
                             {{false, 0, 0, 0, 0}, {true, 0, 0, 0, 1}, {false, 0, 4, 1, 1}, {false, 0, 4, 2, 1}},
                             {0, 1, 1}};
  expect_times(replay(problem), {{0, 0}, {0, 0.5}, {0.5, 2.5}, {0.5, 2.5}});
}

TEST(Replay, StopsWhereItIsAskedTo) {
  const FluidProblem problem = test::ring_on_a_star(128, 1e6);
  size_t seen = 0;
  const FluidTimes times = replay(problem, [&](size_t finished) {
    seen = finished;
    return false;
  });
  EXPECT_EQ(times.num_finished, seen);
  EXPECT_LT(times.num_finished, problem.tasks.size());
  EXPECT_TRUE(std::isnan(times.finish.back()));
}

/// The expected times in the problem's own comments, "#= start finish" behind a task.
std::vector<std::pair<double, double>> expected_times(const std::string& path) {
  std::vector<std::pair<double, double>> all;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("C ", 0) != 0 && line.rfind("M ", 0) != 0) continue;
    const size_t mark = line.find("#=");
    all.emplace_back(NAN, NAN);
    if (mark != std::string::npos) std::istringstream(line.substr(mark + 2)) >> all.back().first >> all.back().second;
  }
  return all;
}

TEST(Replay, WorkedOutByHand) {
  const std::filesystem::path folder = PGRAM_SOURCE_DIR "/../shared/tools/fluid-oracle/tiny";
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << folder << " is not there";
  size_t compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string path = entry.path();
    const FluidTimes times = replay(read_fluid_problem({&path, 1}));
    const auto expected = expected_times(path);
    ASSERT_EQ(expected.size(), times.finish.size()) << path;
    for (size_t task = 0; task < expected.size(); ++task) {
      if (std::isnan(expected[task].first)) continue;
      ++compared;
      EXPECT_NEAR(times.start[task], expected[task].first, 1e-12 * expected[task].first) << path << " task " << task;
      EXPECT_NEAR(times.finish[task], expected[task].second, 1e-12 * expected[task].second) << path << " task " << task;
    }
  }
  EXPECT_GE(compared, 20u);
}

/// Start and finish of every task, all rates from scratch at every date.
FluidTimes slow_replay(const FluidProblem& problem) {
  struct Running {
    uint32_t task;
    double latency, left, rate;
    std::vector<LinkUse> uses;
  };
  std::vector<double> capacities;
  for (const FluidLink& link : problem.links) capacities.push_back(link.bytes_per_second);
  capacities.insert(capacities.end(), problem.hosts.begin(), problem.hosts.end());
  const size_t num_tasks = problem.tasks.size();
  FluidTimes times;
  times.start.assign(num_tasks, -1);
  times.finish.assign(num_tasks, -1);
  std::vector<Running> running;
  double now = 0;
  for (;;) {
    for (uint32_t t = 0; t < num_tasks; ++t) {
      const FluidTask& task = problem.tasks[t];
      bool ready = times.start[t] < 0;
      for (uint32_t i = 0; i < task.num_predecessors; ++i) {
        ready = ready && times.finish[problem.predecessors[task.first_predecessor + i]] >= 0;
      }
      if (!ready) continue;
      times.start[t] = now;
      Running r{t, 0, task.work, 0, {}};
      if (task.is_message) {
        const FluidRoute& route = problem.routes[task.place];
        for (uint32_t i = 0; i < route.count; ++i) {
          const uint32_t link = problem.route_links[route.first + i];
          r.latency += problem.links[link].latency;
          r.uses.push_back({link});
        }
      } else {
        r.uses.push_back({static_cast<uint32_t>(problem.links.size() + task.place)});
      }
      running.push_back(r);
    }
    if (running.empty()) return times;
    std::vector<WaterFlow> flows;
    for (const Running& r : running) flows.push_back({kInfinity, r.latency > 0 ? std::span<const LinkUse>() : r.uses});
    const std::vector<double> rates = water_filling(capacities, flows);
    double step = kInfinity;
    for (size_t i = 0; i < running.size(); ++i) {
      step = std::min(step, running[i].latency > 0 ? running[i].latency : running[i].left / rates[i]);
    }
    now += step;
    constexpr double kRounding = 1e-12;
    for (size_t i = 0; i < running.size(); ++i) {
      Running& r = running[i];
      if (r.latency > 0) {
        r.latency -= step;
        if (r.latency < kRounding) r.latency = 0;
        if (r.latency == 0 && r.left == 0) times.finish[r.task] = now;
      } else {
        r.left -= rates[i] * step;
        if (r.left < kRounding * rates[i]) times.finish[r.task] = now;
      }
    }
    std::erase_if(running, [&](const Running& r) { return times.finish[r.task] >= 0; });
  }
}

TEST(Replay, RandomProblemsAsTheSlowWay) {
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    const FluidProblem problem = test::random_flows(250, 16, seed);
    const FluidTimes times = replay(problem), expected = slow_replay(problem);
    for (size_t task = 0; task < problem.tasks.size(); ++task) {
      ASSERT_NEAR(times.start[task], expected.start[task], 1e-9 * expected.finish[task]) << seed << " task " << task;
      ASSERT_NEAR(times.finish[task], expected.finish[task], 1e-9 * expected.finish[task]) << seed << " task " << task;
    }
  }
}

// Each of 2 (n - 1) steps takes the latency of two links, 1 us, and a piece of 1e9/64 B at 450 GB/s.
TEST(Replay, ARingAroundASwitch) {
  const FluidTimes times = replay(test::ring_on_a_star(64, 1e9));
  EXPECT_NEAR(times.makespan, 126 * (1e-6 + 1e9 / 64 / 450e9), 1e-12);
}

}  // namespace
}  // namespace pgram::sim
