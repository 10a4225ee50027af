// Closed laws of pipeline schedules (Megatron's bubble; with a latency c, by derivation and trial), and golden
// sequences.
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "core/planner/schedule.h"
#include "tests/sim/hand_made.h"

namespace pgram {
namespace {

using test::laws;
using test::unused_cluster;

constexpr Engine kEngines[] = {Engine::evaluator, Engine::events};

struct Trial {
  int64_t P, M, F, B, c;
};

/// Random sizes with 0 <= c <= min(F, B), the range in which the laws with latency hold.
Trial random_trial(std::mt19937& random) {
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  Trial t{draw(1, 9), draw(1, 20), draw(1, 50), draw(1, 100), 0};
  t.c = draw(0, std::min(t.F, t.B));
  return t;
}

std::string text(const Trial& t) {
  std::ostringstream out;
  out << "P=" << t.P << " M=" << t.M << " F=" << t.F << " B=" << t.B << " c=" << t.c;
  return out.str();
}

// GPipe: the last stage ends its forwards after (P-1)(F+c) + M F, then backwards run the same way back:
// makespan = (M+P-1)(F+B) + 2c(P-1).
TEST(Laws, GPipe) {
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    const Trial t = random_trial(random);
    const Plan plan = make_schedule_plan(gpipe(t.P, t.M));
    const Picoseconds law = (t.M + t.P - 1) * (t.F + t.B) + 2 * t.c * (t.P - 1);
    for (Engine engine : kEngines) {
      const SimulationResult result = simulate(plan, unused_cluster(), laws(t.F, t.B, t.c, engine));
      ASSERT_EQ(result.makespan, law) << text(t);
      ASSERT_EQ(result.error, "");
    }
  }
}

// 1F1B pays the round trip 2c to fill, and once more every P micro-batches in the steady state, where a forward waits
// for a backward that waited for a forward: makespan = (M+P-1)(F+B) + 2c[(P-1) + floor((M-1)(P-1)/P)].
TEST(Laws, OneForwardOneBackward) {
  std::mt19937 random(2);
  for (int i = 0; i < 400; ++i) {
    const Trial t = random_trial(random);
    const Plan plan = make_schedule_plan(one_f_one_b(t.P, t.M));
    const Picoseconds law = (t.M + t.P - 1) * (t.F + t.B) + 2 * t.c * ((t.P - 1) + (t.M - 1) * (t.P - 1) / t.P);
    for (Engine engine : kEngines) {
      const SimulationResult result = simulate(plan, unused_cluster(), laws(t.F, t.B, t.c, engine));
      ASSERT_EQ(result.makespan, law) << text(t);
    }
  }
}

// A law that is off by one unit of F would not pass: P=4, M=8, F=1, B=2, c=0 is (8+4-1)*3 = 33.
TEST(Laws, OneCaseByHand) {
  const Plan plan = make_schedule_plan(one_f_one_b(4, 8));
  EXPECT_EQ(simulate(plan, unused_cluster(), laws(1, 2, 0)).makespan, 33);
  // c = 1: 33 + 2*(3 + floor(7*3/4)) = 33 + 2*(3+5) = 49.
  EXPECT_EQ(simulate(plan, unused_cluster(), laws(1, 2, 1)).makespan, 49);
}

struct Golden {
  std::string name;
  std::array<Picoseconds, 3> makespans;  // in half units, at c = 0, 1/2, 1 with F = 1, B = 2
  std::vector<uint32_t> peaks;           // activations in flight, per rank
};

/// "33" or "57/2", in halves.
Picoseconds halves(const std::string& text) {
  return text.find('/') == std::string::npos ? 2 * std::stoll(text) : std::stoll(text);
}

std::vector<Golden> read_goldens(const std::string& folder) {
  std::ifstream file(folder + "/summary.tsv");
  std::vector<Golden> goldens;
  std::string line;
  std::getline(file, line);  // column names
  while (std::getline(file, line)) {
    std::vector<std::string> cells;
    std::istringstream columns(line);
    for (std::string cell; std::getline(columns, cell, '\t');) cells.push_back(cell);
    Golden& golden = goldens.emplace_back();
    golden.name = cells.at(0);
    golden.makespans = {halves(cells.at(1)), halves(cells.at(7)), halves(cells.at(8))};
    std::istringstream peaks(cells.at(5));
    for (uint32_t peak; peaks >> peak;) golden.peaks.push_back(peak);
  }
  return goldens;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Sequences as PyTorch and Megatron run them, with makespans and peaks found by an independent evaluator.
TEST(Golden, MakespansAndPeaks) {
  const std::string folder = std::string(PGRAM_SOURCE_DIR) + "/tests/data/schedules";
  const std::vector<Golden> goldens = read_goldens(folder);
  ASSERT_EQ(goldens.size(), 6u);
  for (const Golden& golden : goldens) {
    const std::string path = folder + "/" + golden.name + ".csv";
    const Plan plan = make_schedule_plan(parse_schedule(read_text(path), path));
    for (int c = 0; c < 3; ++c) {
      for (Engine engine : kEngines) {
        EXPECT_EQ(simulate(plan, unused_cluster(), laws(2, 4, c, engine)).makespan, golden.makespans[c])
            << golden.name << " at c = " << c << "/2";
      }
    }
    ASSERT_EQ(plan.programs.size(), golden.peaks.size());
    for (size_t rank = 0; rank < golden.peaks.size(); ++rank) {
      uint32_t saved = 0;
      for (const Pool& pool : plan.programs[rank].pools) {
        if (plan.records[pool.record].kind == RecordKind::saved) saved += pool.slots;
      }
      EXPECT_EQ(saved, golden.peaks[rank]) << golden.name << " rank " << rank;
    }
  }
}

}  // namespace
}  // namespace pgram
