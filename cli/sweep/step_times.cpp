#include "cli/sweep/step_times.h"

#include <algorithm>
#include <memory>

#include "core/base/errors.h"
#include "core/plan/memory_bill.h"
#include "core/timeline/summary.h"

namespace pgram::sweep {
namespace {

/// After its fill of pp micro-batches a pipeline needs a few more until it repeats itself.
constexpr uint32_t kSettling = 8, kPeriod = 8;

SimulationOptions options_at(NetworkLevel level) {
  SimulationOptions options;
  options.network = level;
  options.keep_spans = false;
  if (level == NetworkLevel::analytic) options.collective_share = 0;  // as `pgram layouts` ranks
  return options;
}

}  // namespace

Repetition repetition(const Layout& layout, uint32_t micro_batches, uint32_t simulated_in_full) {
  const uint32_t first = layout.pp + kSettling, second = first + kPeriod;
  if (micro_batches <= std::max(second, simulated_in_full)) return {micro_batches, micro_batches, 0};
  return {first, second, static_cast<double>(micro_batches - second) / kPeriod};
}

Workload with_micro_batches(const Layout& layout, Workload work, uint32_t micro_batches) {
  work.global_batch = micro_batches * layout.dp * work.micro_batch;
  return work;
}

StepTime step_time(const Model& model, const Cluster& cluster, const Layout& layout, const Workload& work,
                   NetworkLevel level) {
  StepTime time;
  const auto simulated = [&](uint32_t micro_batches) {
    auto plan = std::make_shared<const Plan>(make_plan(model, layout, with_micro_batches(layout, work, micro_batches)));
    const std::vector<MemoryBill> bills = memory_bill(*plan);
    time.memory_bytes = bills[fullest_role(bills)].total;
    const SimulationResult result = simulate(std::move(plan), cluster, options_at(level));
    if (!result.error.empty()) throw RunError(result.error);
    return to_seconds(result.makespan);
  };
  const Repetition steps = repetition(layout, micro_batches(layout, work), 0);
  time.seconds = simulated(steps.second);
  if (steps.periods > 0) time.seconds += steps.periods * (time.seconds - simulated(steps.first));
  return time;
}

LeastTime::LeastTime(const Model& model, const Cluster& cluster) : model_(model), cluster_(cluster) {}

const LeastTime::Kernels& LeastTime::kernels(const Layout& layout, const Workload& work) {
  const auto [found, added] = kept_.try_emplace({layout.tp, layout.sequence_parallel, work.micro_batch});
  if (!added) return found->second;
  Layout alone = layout;
  alone.pp = alone.dp = 1;
  alone.p2p = PointToPoint::channels;
  const auto busy = [&](uint32_t layers) {
    Model small = model_;
    small.layers = layers;
    SimulationOptions options = options_at(NetworkLevel::analytic);
    options.keep_spans = true;
    const SimulationResult result =
        simulate(make_plan(small, alone, with_micro_batches(alone, work, 1)), cluster_, options);
    if (!result.error.empty()) throw RunError(result.error);
    const Summary summary = summarise(result.timeline);
    const auto& time = summary.ranks.at(0).time;
    return to_seconds(time[static_cast<size_t>(Category::forward)] + time[static_cast<size_t>(Category::backward)]);
  };
  const double one = busy(1), two = busy(2);
  found->second = {two - one, std::max(0.0, 2 * one - two)};
  return found->second;
}

double LeastTime::seconds(const Layout& layout, const Workload& work) {
  const Kernels& kernel = kernels(layout, work);
  const std::vector<uint32_t> layers = partition_layers(model_.layers, layout.pp);
  const double steps = micro_batches(layout, work);
  const double whole = model_.layers * kernel.layer + kernel.rest;  // of a micro-batch, through all stages
  const double fullest = std::max(*std::ranges::max_element(layers) * kernel.layer, whole / layout.pp);
  // The last stage begins when the first micro-batch has come through, and what it did last goes all the way back.
  return std::max(whole + (steps - 1) * layers.back() * kernel.layer, steps * fullest);
}

}  // namespace pgram::sweep
