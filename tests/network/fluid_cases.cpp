#include "tests/network/fluid_cases.h"

#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace pgram::test {

namespace {

constexpr double kMicrosecond = 1e-6, kGigabyte = 1e9, kFlops = 4e14;

using Ids = std::vector<uint32_t>;

struct Duplex {
  uint32_t there = 0, back = 0;
};

/// Builds a problem task by task; routes are made when they are first used.
class Maker {
 public:
  using Way = std::function<Ids(uint32_t source, uint32_t target)>;

  uint32_t host() {
    problem.hosts.push_back(kFlops);
    return static_cast<uint32_t>(problem.hosts.size() - 1);
  }
  Duplex duplex(double bytes_per_second, double latency) {
    const auto first = static_cast<uint32_t>(problem.links.size());
    problem.links.insert(problem.links.end(), 2, {bytes_per_second, latency});
    return {first, first + 1};
  }

  uint32_t compute(uint32_t host, double flops, Ids after) {
    if (const auto last = last_compute_.find(host); last != last_compute_.end()) after.push_back(last->second);
    return last_compute_[host] = add({false, host, flops}, after);
  }
  uint32_t message(uint32_t source, uint32_t target, double bytes, const Ids& after) {
    return add({true, route(source, target), std::floor(bytes)}, after);
  }

  /// `ready`: what each rank's first send waits for. Gives what ends each rank's part.
  std::vector<Ids> ring_all_reduce(const Ids& ranks, double bytes, const std::vector<Ids>& ready) {
    const auto n = static_cast<uint32_t>(ranks.size());
    if (n == 1) return ready;
    const double piece = std::max(1.0, std::round(bytes / n));
    std::vector<Ids> needs = ready;
    Ids sent(n);
    for (uint32_t step = 0; step < 2 * (n - 1); ++step) {
      Ids now(n);
      for (uint32_t i = 0; i < n; ++i) now[i] = message(ranks[i], ranks[(i + 1) % n], piece, needs[i]);
      for (uint32_t i = 0; i < n; ++i) needs[i] = {now[(i + n - 1) % n], now[i]};
      sent = now;
    }
    return needs;
  }

  sim::FluidProblem problem;
  Way way;

 private:
  uint32_t route(uint32_t source, uint32_t target) {
    const auto [known, is_new] = routes_.try_emplace({source, target}, static_cast<uint32_t>(problem.routes.size()));
    if (is_new) {
      const Ids links = way(source, target);
      problem.routes.push_back(
          {source, target, static_cast<uint32_t>(problem.route_links.size()), static_cast<uint32_t>(links.size())});
      problem.route_links.insert(problem.route_links.end(), links.begin(), links.end());
    }
    return known->second;
  }

  uint32_t add(sim::FluidTask task, const Ids& after) {
    const std::set<uint32_t> once(after.begin(), after.end());
    task.first_predecessor = static_cast<uint32_t>(problem.predecessors.size());
    task.num_predecessors = static_cast<uint32_t>(once.size());
    problem.predecessors.insert(problem.predecessors.end(), once.begin(), once.end());
    problem.tasks.push_back(task);
    return static_cast<uint32_t>(problem.tasks.size() - 1);
  }

  std::map<uint32_t, uint32_t> last_compute_;
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> routes_;
};

/// A two-level fat tree; the spine of a pair is fixed. Hosts on one node of more than one talk over its own switch.
class LeafSpine {
 public:
  LeafSpine(Maker& make, uint32_t leaves, uint32_t per_leaf, uint32_t spines, double oversubscription, uint32_t node,
            const std::function<double()>& scatter)
      : per_leaf_(per_leaf), spines_(spines), node_(node) {
    constexpr double kPort = 50 * kGigabyte;
    for (uint32_t i = 0; i < leaves * per_leaf; ++i) {
      make.host();
      port_.push_back(make.duplex(kPort * scatter(), kMicrosecond * scatter()));
      if (node > 1) nvlink_.push_back(make.duplex(450 * kGigabyte, 0.5 * kMicrosecond));
    }
    const double up = per_leaf * kPort / oversubscription / spines;
    for (uint32_t i = 0; i < leaves * spines; ++i)
      up_.push_back(make.duplex(up * scatter(), 2 * kMicrosecond * scatter()));
  }

  Ids way(uint32_t source, uint32_t target) const {
    if (node_ > 1 && source / node_ == target / node_) return {nvlink_[source].there, nvlink_[target].back};
    const uint32_t from = source / per_leaf_, to = target / per_leaf_;
    if (from == to) return {port_[source].there, port_[target].back};
    const uint64_t hash = source * uint64_t{2654435761} + target * uint64_t{40503};
    const auto spine = static_cast<uint32_t>((hash >> 4) % spines_);
    return {port_[source].there, up_[from * spines_ + spine].there, up_[to * spines_ + spine].back, port_[target].back};
  }

 private:
  uint32_t per_leaf_, spines_, node_;
  std::vector<Duplex> port_, nvlink_, up_;
};

class TrainingStep {
 public:
  explicit TrainingStep(uint32_t dp)
      : dp_(dp), network_(make_, dp * kPp / kNodesPerLeaf, kNodesPerLeaf * kTp, 8, 2, kTp, [] { return 1.0; }) {
    make_.way = [this](uint32_t source, uint32_t target) { return network_.way(source, target); };
  }

  sim::FluidProblem run() {
    for (uint32_t d = 0; d < dp_; ++d) run_replica(d);
    for (uint32_t s = 0; s < kPp; ++s) {
      for (uint32_t t = 0; t < kTp; ++t) {
        Ids ranks;
        std::vector<Ids> ready;
        for (uint32_t d = 0; d < dp_; ++d) {
          ranks.push_back(rank(d, s, t));
          ready.push_back(gradients_[{d, s}][t]);
        }
        ready = make_.ring_all_reduce(ranks, kGradientBytes, ready);
        for (uint32_t d = 0; d < dp_; ++d) make_.compute(ranks[d], 1e10, ready[d]);
      }
    }
    return std::move(make_.problem);
  }

 private:
  static constexpr uint32_t kTp = 8, kPp = 8, kMicro = 8, kNodesPerLeaf = 4;
  static constexpr double kActivationBytes = 64 << 20, kGradientBytes = 200 << 20, kHalfLayerFlops = 4e11;

  static uint32_t rank(uint32_t d, uint32_t s, uint32_t t) { return (d * kPp + s) * kTp + t; }

  /// 1F1B: every stage goes on as far as what it needs is there.
  void run_replica(uint32_t d) {
    std::vector<std::vector<std::pair<bool, uint32_t>>> rows(kPp);  // backward, micro-batch
    for (uint32_t s = 0; s < kPp; ++s) {
      const uint32_t warm_up = std::min(kPp - 1 - s, kMicro);
      for (uint32_t m = 0; m < warm_up; ++m) rows[s].emplace_back(false, m);
      for (uint32_t m = warm_up; m < kMicro; ++m) rows[s].insert(rows[s].end(), {{false, m}, {true, m - warm_up}});
      for (uint32_t m = kMicro - warm_up; m < kMicro; ++m) rows[s].emplace_back(true, m);
    }
    std::vector<size_t> next(kPp);
    arrived_.clear();
    for (bool going = true; going;) {
      going = false;
      for (uint32_t s = 0; s < kPp; ++s) {
        for (; next[s] < rows[s].size() && run_stage(d, s, rows[s][next[s]].first, rows[s][next[s]].second);
             ++next[s]) {
          going = true;
        }
      }
    }
  }

  /// False where its input is not there yet.
  bool run_stage(uint32_t d, uint32_t s, bool backward, uint32_t micro) {
    std::vector<Ids> ready(kTp);
    if (backward ? s + 1 < kPp : s > 0) {
      const auto input = arrived_.find({s, backward, micro});
      if (input == arrived_.end()) return false;
      ready = input->second;
    }
    Ids hosts;
    for (uint32_t t = 0; t < kTp; ++t) hosts.push_back(rank(d, s, t));
    for (int half = 0; half < 2; ++half) {
      for (uint32_t t = 0; t < kTp; ++t) {
        ready[t] = {make_.compute(hosts[t], backward ? 2 * kHalfLayerFlops : kHalfLayerFlops, ready[t])};
      }
      ready = make_.ring_all_reduce(hosts, kActivationBytes, ready);
    }
    if (backward && micro == kMicro - 1) gradients_[{d, s}] = ready;
    if (backward ? s == 0 : s + 1 == kPp) return true;
    const uint32_t to = backward ? s - 1 : s + 1;
    std::vector<Ids>& there = arrived_[{to, backward, micro}];
    for (uint32_t t = 0; t < kTp; ++t) {
      there.push_back({make_.message(hosts[t], rank(d, to, t), kActivationBytes / kTp, ready[t])});
    }
    return true;
  }

  uint32_t dp_;
  Maker make_;
  LeafSpine network_;
  std::map<std::tuple<uint32_t, bool, uint32_t>, std::vector<Ids>> arrived_;  // stage, backward, micro-batch
  std::map<std::pair<uint32_t, uint32_t>, std::vector<Ids>> gradients_;       // replica, stage
};

std::string number(double value) {
  char text[32];
  return {text, std::to_chars(text, text + 32, value).ptr};
}

}  // namespace

sim::FluidProblem random_flows(uint32_t tasks, uint32_t hosts, uint32_t seed) {
  constexpr uint32_t kPerLeaf = 4;
  std::mt19937_64 random(seed);
  // Not of the standard library, whose distributions are another on each platform.
  const auto real = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(random() >> 11) / 9007199254740992.0;
  };
  const auto below = [&](uint32_t end) { return static_cast<uint32_t>(random() % end); };
  Maker make;
  LeafSpine network(make, hosts / kPerLeaf, kPerLeaf, 2, 2, 1, [&] { return real(0.5, 1.5); });
  make.way = [&](uint32_t source, uint32_t target) { return network.way(source, target); };
  const uint32_t window = 2 * hosts;
  for (uint32_t i = 0; i < tasks; ++i) {
    Ids after;
    for (uint32_t k = below(4) == 0 ? 2 : 1; i >= window && k > 0; --k) after.push_back(i - 1 - below(window));
    if (below(10) == 0) {
      make.compute(below(hosts), kFlops * real(1e-5, 1e-3), after);
    } else {
      const uint32_t source = below(hosts), target = (source + 1 + below(hosts - 1)) % hosts;
      make.message(source, target, std::pow(10, real(4, 8)), after);
    }
  }
  return std::move(make.problem);
}

sim::FluidProblem ring_on_a_star(uint32_t hosts, double bytes) {
  Maker make;
  std::vector<Duplex> ports;
  Ids ranks;
  for (uint32_t i = 0; i < hosts; ++i) {
    ranks.push_back(make.host());
    ports.push_back(make.duplex(450 * kGigabyte, 0.5 * kMicrosecond));
  }
  make.way = [&](uint32_t source, uint32_t target) { return Ids{ports[source].there, ports[target].back}; };
  make.ring_all_reduce(ranks, bytes, std::vector<Ids>(hosts));
  return std::move(make.problem);
}

sim::FluidProblem training_step(uint32_t dp) {
  return TrainingStep(dp).run();
}

std::string to_text(const sim::FluidProblem& problem) {
  std::string text;
  const auto add = [&](double value) { text += ' ' + number(value); };
  for (double flops : problem.hosts) text += "H " + number(flops) + '\n';
  for (const sim::FluidLink& link : problem.links) {
    text += "L " + number(link.bytes_per_second) + ' ' + number(link.latency) + '\n';
  }
  for (const sim::FluidRoute& route : problem.routes) {
    text += "R";
    text += " " + std::to_string(route.source) + " " + std::to_string(route.target);
    for (uint32_t i = 0; i < route.count; ++i) text += ' ' + std::to_string(problem.route_links[route.first + i]);
    text += '\n';
  }
  for (size_t id = 0; id < problem.tasks.size(); ++id) {
    const sim::FluidTask& task = problem.tasks[id];
    text += (task.is_message ? "M " : "C ") + std::to_string(id);
    if (task.is_message) {
      text += ' ' + std::to_string(problem.routes[task.place].source);
      text += ' ' + std::to_string(problem.routes[task.place].target);
    } else {
      text += ' ' + std::to_string(task.place);
    }
    add(task.work);
    for (uint32_t i = 0; i < task.num_predecessors; ++i) {
      text += ' ' + std::to_string(problem.predecessors[task.first_predecessor + i]);
    }
    text += '\n';
  }
  return text;
}

}  // namespace pgram::test
