#include "cpu_backend/calibrate.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <map>
#include <set>
#include <string_view>
#include <thread>
#include <tuple>

#include "core/exec/calibration_grid.h"
#include "cpu_backend/calibrate_bodies.h"
#include "cpu_backend/calibrate_transfers.h"

namespace pgram {
namespace {

using Shape = std::array<uint64_t, 4>;

constexpr Bytes kMostSlotBytes = 64 << 20;  ///< of one record's slots in a micro-benchmark
constexpr Bytes kMostFlushedBytes = 48 << 20;
constexpr Bytes kGridBytes = 8 << 20;  ///< that a grid case's operands should take: beyond L1 and L2, within L3
constexpr uint32_t kMostGridSlots = 64;
constexpr Seconds kShortest = 4e-3;  ///< of one micro-benchmark
constexpr int kRounds = 3;           ///< plans' bodies and transfers are measured so often, at different times

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::localtime(&now));
  return text;
}

/// Bytes per second that one core copies while all do.
double copy_rate(uint32_t cores) {
  constexpr size_t kBytes = 32 << 20;
  std::vector<Seconds> samples(cores);
  std::vector<std::thread> threads;
  for (uint32_t core = 0; core < cores; ++core) {
    threads.emplace_back([&, core] {
      std::vector<std::byte> from(kBytes), to(kBytes);
      std::vector<Seconds> times;
      for (int i = 0; i < 5; ++i) {
        const auto start = std::chrono::steady_clock::now();
        std::memcpy(to.data(), from.data(), kBytes);
        times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      }
      samples[core] = typical(times);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return static_cast<double>(kBytes) / typical(samples);
}

class Calibration {
 public:
  explicit Calibration(const CalibrateOptions& options)
      : options_(options), cluster_(this_machine()), cores_(cluster_.devices), start_(clock()), crew_(cores_) {}

  Device run() {
    figures();
    for (int round = 0; round < kRounds && !stopped(); ++round) {
      // Without plans the grid takes all; with them the last round ends at the budget.
      const double begin = static_cast<double>(round) / kRounds, part = static_cast<double>(round + 1) / kRounds;
      transfers(begin + 0.3 * (part - begin));
      bodies(round, begin + 0.7 * (part - begin));
      grid(round, part);
    }
    return finish();
  }

 private:
  static Seconds clock() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  /// Budget used so far.
  double used() const { return (clock() - start_) / options_.seconds_budget; }
  /// On a machine that others use, what is needed is left out too at some time.
  bool overdue() const { return clock() - start_ > std::max(60.0, 3 * options_.seconds_budget); }
  bool stopped() const { return options_.stop.stop_requested(); }
  void report(const std::string& what) const {
    if (options_.progress) options_.progress(std::min(0.99, used()), what);
  }

  // --- single figures

  void figures() {
    report("peak and bandwidth");
    overhead_ = measure_task_overhead(options_.kernels);
    const bool plain = options_.kernels == KernelSet::plain;  // a thousandth of the work
    const uint32_t size = plain ? 64 : 768;
    const Seconds best = fastest({Kernel::matmul, size, size, size});
    flops_per_second_ = 2.0 * size * size * size / best;
    const uint32_t sequence = plain ? 32 : 512;
    attention_per_second_ = 2.0 * sequence * sequence * 4 * 64 / fastest({Kernel::attention, sequence, 4, 64});
    copy_per_second_ = copy_rate(cores_);
  }

  Seconds fastest(const GridCase& item) {
    const Plan plan = grid_plan(item);
    const BodyCase alone{&plan, 0, std::vector<uint32_t>(plan.bodies[0].formals.size(), 1), 0};
    const auto samples = measure_body(crew_, alone, options_.kernels, {1, 1}, 10 * kShortest, options_.stop);
    return *std::min_element(samples[0].begin(), samples[0].end());
  }

  // --- transfers

  using TransferKey = std::tuple<Kernel, uint32_t, uint32_t, Bytes>;  ///< operation, ranks, groups, bytes

  /// First what fixes latency and bandwidth, then the sizes between.
  std::vector<TransferKey> transfer_cases() const {
    constexpr std::array<Bytes, 9> kSizes{4,       64 << 10, 1 << 20,  16 << 10, 256 << 10,
                                          4 << 20, 1 << 10,  16 << 20, 128 << 10};
    std::vector<TransferKey> cases;
    for (Bytes bytes : kSizes) {
      for (uint32_t ranks = 2; ranks <= std::max(2u, cores_); ranks *= 2) {
        for (Kernel kernel : {Kernel::all_reduce, Kernel::all_gather, Kernel::reduce_scatter, Kernel::send})
          if (kernel != Kernel::send || ranks == 2)
            cases.emplace_back(kernel, ranks, std::max(1u, cores_ / ranks), bytes);
      }
    }
    return cases;
  }

  /// Until `end` of the budget; what was measured least comes first. Latency and two sizes are always measured.
  void transfers(double end) {
    std::vector<TransferKey> cases = transfer_cases();
    const auto measured = [&](const TransferKey& key) { return transfer_samples_[key].size(); };
    std::stable_sort(cases.begin(), cases.end(), [&](auto& a, auto& b) { return measured(a) < measured(b); });
    for (const TransferKey& key : cases) {
      const auto& [kernel, ranks, groups, bytes] = key;
      const bool needed = measured(key) == 0 && (bytes == 4 || bytes == 64 << 10 || bytes == 1 << 20) && !overdue();
      if (stopped() || (!needed && used() > end)) return;
      report(std::string(name_of(kernel)) + " of " + format_bytes(bytes));
      transfer_samples_[key].push_back(
          measure_transfer(kernel, ranks, groups, bytes, options_.kernels, options_.seconds_budget / 200));
    }
  }

  // --- kernels

  /// The ways that devices share this machine's cores: single cores all busy, all cores as one device, one core alone.
  std::vector<Team> teams() const {
    std::vector<Team> teams{{1, cores_}};
    if (cores_ > 1) teams.push_back({cores_, 1}), teams.push_back({1, 1});
    for (uint32_t devices = 2; devices < cores_; devices *= 2) teams.push_back({cores_ / devices, devices});
    return teams;
  }

  /// As this_machine() gives cores to a plan's ranks.
  Team team_of(const Plan& plan) const {
    const uint32_t threads = std::max(1u, cores_ / plan.mesh.ranks());
    return {threads, std::min(plan.mesh.ranks(), cores_ / threads)};
  }

  using Key = std::tuple<Kernel, Shape, Team>;

  void measure(const BodyCase& item, Team team, Seconds seconds) {
    auto samples = measure_body(crew_, item, options_.kernels, team, seconds, options_.stop);
    const Body& body = item.plan->bodies[item.body];
    for (size_t i = 0; i < samples.size(); ++i) {
      const Op& op = body.ops[i];
      if (is_communication(op.kernel) || op.kernel == Kernel::opaque) continue;
      std::vector<Seconds>& all = kernel_samples_[{op.kernel, kernel_shape(*item.plan, body, op), team}];
      all.insert(all.end(), samples[i].begin(), samples[i].end());
    }
  }

  /// A body that some role calls, on the team of its plan.
  struct Job {
    BodyCase item;
    Team team;
  };

  std::vector<Job> jobs() const {
    std::vector<Job> jobs;
    std::set<Key> known;
    for (const Plan* plan : options_.plans) {
      std::set<uint16_t> used;
      for (const Program& program : plan->programs) {
        for (const Call& call : program.calls) used.insert(call.body);
      }
      const Team team = team_of(*plan);
      for (uint16_t b : used) {
        bool is_new = false;
        for (const Op& op : plan->bodies[b].ops) {
          if (!is_communication(op.kernel))
            is_new |= known.insert({op.kernel, kernel_shape(*plan, plan->bodies[b], op), team}).second;
        }
        if (is_new) jobs.push_back({case_of(*plan, b), team});
      }
    }
    return jobs;
  }

  /// As the program's calls find their memory: as many slots as the pools have, and between two uses of a slot the rest
  /// of the step's memory was touched.
  static BodyCase case_of(const Plan& plan, uint16_t body) {
    BodyCase item{&plan, body, {}, 0};
    const std::vector<uint16_t>& formals = plan.bodies[body].formals;
    for (uint16_t record : formals) {
      uint32_t most = 1;
      for (const Program& program : plan.programs) {
        for (const Pool& pool : program.pools)
          if (pool.record == record) most = std::max(most, pool.slots);
      }
      const Bytes bytes = std::max<Bytes>(1, plan.records[record].bytes);
      item.slots.push_back(static_cast<uint32_t>(std::clamp<Bytes>(kMostSlotBytes / bytes, 1, most)));
    }
    for (const Program& program : plan.programs) {
      std::set<uint32_t> first_slots;
      size_t calls = 0;
      for (const Call& call : program.calls) {
        if (call.body != body || formals.empty()) continue;
        ++calls;
        first_slots.insert(program.args[call.first_arg].slot());
      }
      if (calls == 0) continue;
      const bool once = calls == first_slots.size();
      Bytes rest = 0;
      for (const Pool& pool : program.pools) {
        const Record& record = plan.records[pool.record];
        const bool own = std::find(formals.begin(), formals.end(), pool.record) != formals.end();
        if (once || (!own && record.kind != RecordKind::optimizer)) rest += pool.slots * record.bytes;
      }
      // What is used again and again takes turns with the body's own slots; a round of them sees the rest once.
      item.flushed = std::max(item.flushed, std::min(kMostFlushedBytes, rest) / (once ? 1 : turns(plan, item)));
    }
    return item;
  }

  /// Slots of the weights or gradients that a body goes through.
  static uint32_t turns(const Plan& plan, const BodyCase& item) {
    uint32_t turns = 1;
    const std::vector<uint16_t>& formals = plan.bodies[item.body].formals;
    for (size_t f = 0; f < formals.size(); ++f) {
      const RecordKind kind = plan.records[formals[f]].kind;
      if (kind == RecordKind::parameter || kind == RecordKind::gradient) turns = std::max(turns, item.slots[f]);
    }
    return turns;
  }

  void bodies(int round, double end) {
    const std::vector<Job> all = jobs();
    for (size_t i = 0; i < all.size() && !stopped(); ++i) {
      const auto& [item, team] = all[i];
      const Seconds share = (end - used()) * options_.seconds_budget / static_cast<double>(all.size() - i);
      if (share <= 0 && (round > 0 || overdue())) return;
      report("body " + item.plan->bodies[item.body].name);
      measure(item, team, std::clamp(share, kShortest, 1.0));
    }
  }

  /// Goes on where the round before ended.
  void grid(int round, double end) {
    if (round == 0) grid_ = calibration_grid(GridScale::core);
    const std::vector<Team> all_teams = teams();
    while (grid_level_ < grid_.size()) {
      const std::vector<GridCase>& level = grid_[grid_level_];
      for (; grid_next_ < level.size() * all_teams.size(); ++grid_next_) {
        const Team team = all_teams[grid_next_ / level.size()];
        const bool needed = grid_next_ < level.size() && grid_level_ == 0 && !overdue();
        if (stopped() || (!needed && used() > end)) return;
        const GridCase& item = level[grid_next_ % level.size()];
        report(std::string(name_of(item.kernel)));
        const Plan plan = grid_plan(item);
        // A plan's body measured the shape among its neighbours: nearer to the truth.
        if (kernel_samples_.contains({item.kernel, kernel_shape(plan, plan.bodies[0], plan.bodies[0].ops[0]), team}))
          continue;
        Bytes bytes = 0;
        for (const Record& record : plan.records) bytes += record.bytes;
        const uint32_t slots =
            static_cast<uint32_t>(std::clamp<Bytes>(kGridBytes / std::max<Bytes>(1, bytes), 2, kMostGridSlots));
        measure({&plan, 0, std::vector<uint32_t>(plan.records.size(), slots), 0}, team, kShortest);
      }
      ++grid_level_;
      grid_next_ = 0;
    }
  }

  // --- the device

  Device finish() const {
    Device device = cluster_.device;
    device.source = "measured by pgram calibrate on " + today() + ", one of " + std::to_string(cores_) + " cores";
    if (stopped()) device.source += "; stopped early";
    device.fp32_flops_per_second = device.bf16_flops_per_second = flops_per_second_;
    device.matmul_efficiency = 0.9;
    device.attention_efficiency = std::clamp(attention_per_second_ / flops_per_second_, 0.001, 1.0);
    device.memory_efficiency = 1;  // of a bandwidth that a copy reaches
    device.memory_bytes_per_second = 2 * copy_per_second_;
    device.copy_bytes_per_second = copy_per_second_;
    device.launch_seconds = overhead_;
    for (const auto& [key, samples] : kernel_samples_) {
      const auto& [kernel, shape, team] = key;
      if (samples.empty()) continue;
      device.kernels.push_back(
          {std::string(name_of(kernel)), shape, typical(samples) + overhead_, team.busy, team.threads});
    }
    for (const auto& [key, samples] : transfer_samples_) {
      const auto& [kernel, ranks, groups, bytes] = key;
      if (samples.empty()) continue;
      device.transfers.push_back({std::string(name_of(kernel)), ranks, bytes, typical(samples), groups});
      if (kernel == Kernel::send && bytes == 4) device.transfer_latency_seconds = typical(samples);
    }
    return device;
  }

  const CalibrateOptions& options_;
  const Cluster cluster_;
  const uint32_t cores_;
  const Seconds start_;
  Crew crew_;
  Seconds overhead_ = 0;
  double flops_per_second_ = 0, attention_per_second_ = 0, copy_per_second_ = 0;
  std::map<Key, std::vector<Seconds>> kernel_samples_;
  std::map<TransferKey, std::vector<Seconds>> transfer_samples_;
  std::vector<std::vector<GridCase>> grid_;
  size_t grid_level_ = 0, grid_next_ = 0;
};

}  // namespace

Device calibrate_cpu(const CalibrateOptions& options) {
  return Calibration(options).run();
}

}  // namespace pgram
