// Collectives step by step: messages per second on one core, and how the time grows with the number of ranks.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "sim/collectives/timing.h"

namespace {

using namespace pgram;
using namespace pgram::sim;

double seconds_of(const std::function<void()>& work) {
  const std::clock_t begin = std::clock();
  work();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

struct Measured {
  uint64_t messages = 0;
  double make = 0, run = 0;  ///< s: the program, and its times
  double time = 0;           ///< s, simulated
  FlowNetwork::Statistics rates;
};

Measured measure(Collective collective, Algorithm algorithm, const Cluster& cluster, Bytes bytes) {
  std::vector<uint32_t> group(cluster.devices);
  std::iota(group.begin(), group.end(), 0u);
  Measured best;
  for (int i = 0; i < 3; ++i) {
    Measured now;
    StepProgram program;
    StepTimes times;
    now.make = seconds_of([&] {
      // One ring, so that twice the ranks are four times the messages and no more.
      program = make_steps(collective, algorithm, GroupNodes::of(group, cluster), {1, 1});
    });
    now.run = seconds_of([&] { times = step_times(program, Protocol::simple, bytes, group, cluster); });
    now.messages = program.messages();
    now.time = times.time;
    now.rates = times.statistics;
    if (i == 0 || now.run < best.run) best = now;
  }
  return best;
}

void print(const std::string& what, const Measured& m) {
  const double n = static_cast<double>(m.messages), dates = static_cast<double>(m.rates.changes);
  std::printf(
      "  %-30s %10lu messages %8.0f ms made %8.0f ms run %7.2f M messages/s %8.1f touched %8.1f changed a date\n",
      what.c_str(), static_cast<unsigned long>(m.messages), m.make * 1e3, m.run * 1e3, n / m.run / 1e6,
      static_cast<double>(m.rates.touched) / dates, static_cast<double>(m.rates.changed) / dates);
}

}  // namespace

int main() {
  constexpr Bytes kBytes = Bytes{1} << 30;
  std::printf("all-reduce of 1 GiB, every message a flow (best of 3, CPU time; aim: 1 M messages/s at 1,024 ranks):\n");
  std::printf("ring over DGX H100, fat-tree:\n");
  std::vector<double> per_message;
  for (const uint32_t nodes : {8u, 16u, 32u, 64u, 128u}) {
    const Measured m = measure(Collective::all_reduce, Algorithm::ring,
                               find_cluster("fat-tree-dgx-h100:" + std::to_string(nodes)), kBytes);
    print(std::to_string(nodes * 8) + " ranks", m);
    per_message.push_back((m.make + m.run) / static_cast<double>(m.messages) / std::log2(m.messages));
  }
  std::printf("  time / (messages log messages), the most over the least: %.2f\n",
              *std::max_element(per_message.begin(), per_message.end()) /
                  *std::min_element(per_message.begin(), per_message.end()));
  std::printf("other algorithms, 128 ranks of 16 nodes:\n");
  const Cluster cluster = find_cluster("dgx-h100:16");
  for (const Algorithm algorithm :
       {Algorithm::tree, Algorithm::halving_doubling, Algorithm::direct, Algorithm::hierarchical, Algorithm::nvls_tree})
    print(name_of(algorithm), measure(Collective::all_reduce, algorithm, cluster, kBytes));
  return 0;
}
