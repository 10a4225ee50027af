#include "cli/sweep/best_layout.h"

#include <algorithm>
#include <exception>
#include <limits>

#include "cli/sweep/memory_scaling.h"

namespace pgram::sweep {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
/// Candidates that are simulated before the limits are looked at again. Fixed, so that what is simulated does not
/// depend on the number of threads.
constexpr size_t kWave = 16;

struct Entry {
  Layout layout;
  Workload workload;
  double least = 0;
  bool may_fit = false;
  StepTime first, last;  ///< by the analytic network / by the one of the last word; 0 seconds: not simulated
};

class Search {
 public:
  Search(const Model& model, const Cluster& cluster, const LayoutSearch& how, const ParallelFor& parallel_for,
         std::stop_token stop)
      : model_(model), cluster_(cluster), how_(how), parallel_for_(parallel_for), stop_(std::move(stop)) {}

  BestLayouts run(uint32_t devices, const Workload& work) {
    enumerate(devices, work);
    Limits limits;
    // What the last word says of the finalists may be later than the first word's best: then others could still win.
    for (int pass = 0; pass < 2; ++pass) {
      simulate_below(limits, pass == 0);
      judge_finalists();
      limits = {best(true) ? best(true)->last.seconds : kNever, best(false) ? best(false)->last.seconds : kNever};
    }
    BestLayouts found;
    found.legal = entries_.size();
    for (const Entry& entry : entries_) found.simulated += entry.first.seconds > 0;
    if (const Entry* entry = best(true)) found.best = chosen(*entry);
    if (const Entry* entry = best(false)) found.unlimited = chosen(*entry);
    return found;
  }

 private:
  struct Limits {
    double fit = kNever, any = kNever;  ///< seconds
  };

  void enumerate(uint32_t devices, const Workload& work) {
    SearchSpace space;
    space.devices = devices;
    space.devices_per_node = cluster_.devices_per_node;
    space.memory_bytes = cluster_.device.memory_bytes;
    space.micro_batch_sizes = how_.micro_batch_sizes;
    LeastTime least(model_, cluster_);
    MemoryBound memory;
    for (const Candidate& candidate : legal_layouts(model_, work, space)) {
      Entry entry{candidate.layout, candidate.workload, 0, false, {}, {}};
      entry.least = least.seconds(entry.layout, entry.workload);
      entry.may_fit = memory.fullest(model_, entry.layout, entry.workload) <= space.memory_bytes;
      entries_.push_back(entry);
    }
    std::ranges::stable_sort(entries_, {}, &Entry::least);
  }

  bool fits(const Entry& entry) const {
    return entry.first.memory_bytes > 0 && entry.first.memory_bytes <= cluster_.device.memory_bytes;
  }

  /// Calls simulate(entry) for all of `indices`, in parallel.
  template <class Simulate>
  void for_each(const std::vector<size_t>& indices, const Simulate& simulate) {
    std::vector<std::exception_ptr> failures(indices.size());
    parallel_for_(indices.size(), [&](size_t i) {
      if (stop_.stop_requested()) return;
      try {
        simulate(entries_[indices[i]]);
      } catch (...) {  // handed to the caller below, not to the thread that happened to meet it
        failures[i] = std::current_exception();
      }
    });
    for (const std::exception_ptr& failure : failures) {
      if (failure) std::rethrow_exception(failure);
    }
  }

  /// By the analytic network: everything that could be below the limits, which its own times lower if `lower`.
  void simulate_below(Limits limits, bool lower) {
    for (size_t next = 0; next < entries_.size() && !stop_.stop_requested();) {
      std::vector<size_t> wave;
      for (; next < entries_.size() && wave.size() < kWave; ++next) {
        const Entry& entry = entries_[next];
        const bool could_win = entry.least <= limits.any || (entry.may_fit && entry.least <= limits.fit);
        if (could_win && entry.first.seconds == 0) wave.push_back(next);
      }
      for_each(wave, [&](Entry& entry) {
        entry.first = step_time(model_, cluster_, entry.layout, entry.workload, NetworkLevel::analytic);
      });
      if (!lower) continue;
      for (const size_t i : wave) {
        const Entry& entry = entries_[i];
        if (entry.first.seconds == 0) continue;
        limits.any = std::min(limits.any, entry.first.seconds);
        if (fits(entry)) limits.fit = std::min(limits.fit, entry.first.seconds);
      }
    }
  }

  void judge_finalists() {
    std::vector<size_t> chosen;
    for (const bool must_fit : {true, false}) {
      std::vector<size_t> ranked;
      for (size_t i = 0; i < entries_.size(); ++i) {
        if (entries_[i].first.seconds > 0 && (!must_fit || fits(entries_[i]))) ranked.push_back(i);
      }
      std::ranges::stable_sort(ranked, {}, [&](size_t i) { return entries_[i].first.seconds; });
      ranked.resize(std::min(ranked.size(), how_.finalists));
      chosen.insert(chosen.end(), ranked.begin(), ranked.end());
    }
    std::ranges::sort(chosen);
    const auto repeated = std::ranges::unique(chosen);
    chosen.erase(repeated.begin(), repeated.end());
    std::erase_if(chosen, [&](size_t i) { return entries_[i].last.seconds > 0; });
    for_each(chosen, [&](Entry& entry) {
      entry.last = how_.network == NetworkLevel::analytic
                       ? entry.first
                       : step_time(model_, cluster_, entry.layout, entry.workload, how_.network);
    });
  }

  const Entry* best(bool must_fit) const {
    const Entry* best = nullptr;
    for (const Entry& entry : entries_) {
      if (entry.last.seconds == 0 || (must_fit && !fits(entry))) continue;
      if (!best || entry.last.seconds < best->last.seconds) best = &entry;
    }
    return best;
  }

  static ChosenLayout chosen(const Entry& entry) { return {entry.layout, entry.workload, entry.last}; }

  const Model& model_;
  const Cluster& cluster_;
  const LayoutSearch& how_;
  const ParallelFor& parallel_for_;
  std::stop_token stop_;
  std::vector<Entry> entries_;  ///< by the time that they take at least
};

}  // namespace

BestLayouts best_layouts(const Model& model, const Cluster& cluster, uint32_t devices, const Workload& work,
                         const LayoutSearch& how, const ParallelFor& parallel_for, std::stop_token stop) {
  return Search(model, cluster, how, parallel_for, std::move(stop)).run(devices, work);
}

}  // namespace pgram::sweep
